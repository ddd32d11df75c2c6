"""Which modules are the application's own.

Decided from where a module's top package lies, before anything is imported.
"""

import functools
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class Packages:
    """The application's own packages: those that it names, and those that lie beside it.

    Args:
        named: top-level packages that are its own wherever they lie.
        root: the directory that holds the application's top package or module; what lies under it
            is the application's own, except what was installed there and Python itself.
    """

    def __init__(self, named: Iterable[str] = (), root: Path | None = None) -> None:
        self._named = frozenset(name.partition(".")[0] for name in named)
        self._root = None if root is None else Path(os.path.realpath(root))
        self._foreign = _python_directories(self._root)
        self._own: set[str] = set(self._named)

    def own(self, module: str) -> bool:
        """Whether a module is the application's own. Imports nothing."""
        top = module.partition(".")[0]
        if top in self._own:
            return True
        if self._root is None or not self._lies_beside(top):
            return False
        self._own.add(top)
        return True

    def _lies_beside(self, top: str) -> bool:
        places = _places(top)
        return bool(places) and all(self._is_own_place(Path(os.path.realpath(place))) for place in places)

    def _is_own_place(self, place: Path) -> bool:
        if self._root is None or not place.is_relative_to(self._root):
            return False
        if not _INSTALLED.isdisjoint(place.parts):
            return False
        return not any(place.is_relative_to(directory) for directory in self._foreign)


def _places(top: str) -> list[str]:
    """Return the file, or the directories, that a top-level module would be imported from."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return []
    return [] if spec is None else _places_of(spec)


def _places_of(spec: ModuleSpec) -> list[str]:
    if spec.has_location and spec.origin is not None:
        return [spec.origin]
    return list(spec.submodule_search_locations or ())


def _python_directories(root: Path | None) -> list[Path]:
    """Return the directories of Python itself and of what is installed into it.

    A prefix that holds the application (`/usr`, and the application in `/usr/src/app`) is not one:
    then the standard library and the installed packages are named one by one.
    """
    places = _python_places(sys.prefix, sys.base_prefix, sys.exec_prefix)
    return [place for place in places if root is None or not root.is_relative_to(place)]


@functools.cache
def _python_places(*prefixes: str) -> tuple[Path, ...]:
    """Return these and the libraries' directories. Each Postlude asks; it takes most of a millisecond."""
    paths = sysconfig.get_paths()
    named = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib") if key in paths]
    return tuple(Path(os.path.realpath(place)) for place in (*named, *prefixes))
