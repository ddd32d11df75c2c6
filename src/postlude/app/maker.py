"""The module that makes a `Postlude`: where the application's packages lie, and what it is called."""

import contextlib
from pathlib import Path
from typing import Any, Final

_UNTITLED: Final = frozenset({"", "FastAPI"})


def root_of(module: dict[str, Any]) -> Path | None:
    """Return the directory that holds the module's top package.

    Args:
        module: its names.
    """
    file = module.get("__file__")
    if not isinstance(file, str):
        return None
    path = Path(file).resolve()
    package = module.get("__package__") or ""
    levels = len(package.split(".")) if package else 0
    with contextlib.suppress(IndexError):
        return path.parents[levels]
    return path.parent


def name_of(module: dict[str, Any], app: object) -> str:
    """Return what the application is called in the journal: the module, and its title; empty: nothing tells.

    Args:
        module: its names. One that is run is called as when it is imported.
        app: the application, if it is known.
    """
    name = str(module.get("__name__", ""))
    if name == "__main__":
        spec, file = module.get("__spec__"), module.get("__file__")
        name = spec.name if spec is not None else Path(file).stem if isinstance(file, str) else ""
    name = name.removesuffix(".__main__")
    title = getattr(app, "title", "")
    return f"{name} ({title})" if name and title not in _UNTITLED else name
