"""What a `Postlude` is made with, and the module that makes it: where its packages lie, what it is called."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette

from postlude.config import Config
from postlude.messages.quoting import quoted
from postlude.model.role import Role

_UNTITLED: Final = frozenset({"", "FastAPI"})


def refuse_mistaken(app: object, delivery: object, config: object) -> None:
    """Make sure that these are what they are taken for.

    Raises:
        TypeError: `app` is no application, or `config` no `Config`.
        ValueError: there is no such delivery.
    """
    if delivery not in ("at_least_once", "at_most_once"):
        raise ValueError(f'delivery= must be "at_least_once" or "at_most_once", not {quoted(delivery)}')
    if app is not None and not isinstance(app, Starlette):
        raise TypeError(
            f"Postlude({quoted(app)}): give the application first, FastAPI() or Starlette(), or none; "
            f"the journal is store="
        )
    if config is not None and not isinstance(config, Config):
        raise TypeError(f"config={quoted(config)}: give a postlude.Config(...)")


def for_role(config: Config, role: Role) -> Config:
    """Return the configuration with what a worker was told at its start."""
    if role.grace is not None:
        config = replace(config, grace=role.grace)
    most = role.concurrency
    if most is None:
        return config
    # Its runner claims ahead by its slots: no more than it can run.
    return replace(config, loop_slots=most, threads=most, processes=min(config.processes, most))


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
