"""The names under which functions are stored, and the way back from a name to its function.

Whoever can write the journal can put any name into it. So a name is looked up, never trusted: only
in the application's own packages, only among functions that are defined there under this very
name, and without running a descriptor, a property or a module's `__getattr__` on the way.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Collection, Iterable
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

from postlude.errors import NotDurable, UnknownTask
from postlude.messages.quoting import cut, listed, quoted
from postlude.messages.spelling import near
from postlude.tasks.packages import Packages

BOUND: Final = "is bound to an object"
"""Says of a method why it has no durable form."""

_MAIN: Final = ("__main__", "__mp_main__")
_LONGEST: Final = 500
"""Characters. Longer names are refused before anything looks at them."""


def name_of(function: Any) -> str:
    """Return the name of a function: its importable module and its place in it.

    Raises:
        NotDurable: it has no importable name; the message says what it is and the remedy.
    """
    module: Any
    place: Any
    if type(function) is MethodType and isinstance(function.__self__, type):
        owner = function.__self__
        module, place = owner.__module__, f"{owner.__qualname__}.{function.__func__.__name__}"
    else:
        module, place = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(place, str):
        raise NotDurable(f"{describe(function)} has no importable name; {_REMEDY}")
    return f"{main_name() if module in _MAIN else module}:{place}"


def refuse_generator(function: Any) -> None:
    """Raise if calling a function runs nothing."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise NotDurable(
            f"{describe(function)} is a generator, and calling it runs nothing; write a def that uses it up"
        )


def refuse_nameless(function: Any) -> None:
    """Raise if a plain function cannot be found again by a name."""
    kind = type(function)
    if isinstance(function, str):
        raise NotDurable(f"{quoted(function)} is a text: pass the function itself, not its name")
    if not callable(function):
        raise NotDurable(
            f"{describe(function)} is no function but what calling one gives: pass the function and its "
            f"arguments apart, add_task(function, argument)"
        )
    if kind is MethodType and not isinstance(function.__self__, type):
        raise NotDurable(
            f"{describe(function)} {BOUND}, which cannot be stored; use a function at module "
            f"level that makes the object again, from its arguments or by Depends in a declared task"
        )
    if kind is not FunctionType and kind is not MethodType:
        raise NotDurable(f"{describe(function)} is not a plain function; register it: {_REGISTER}")
    place = function.__qualname__
    if "<lambda>" in place:
        raise NotDurable(f"{describe(function)} is a lambda, which has no name; write a def at module level")
    if "<locals>" in place:
        raise NotDurable(f"{describe(function)} is defined inside a function; move it to module level")


def load(name: str, packages: Packages) -> tuple[ModuleType, str]:
    """Return the module of a name, imported if it was not yet, and the place in it.

    Raises:
        UnknownTask: it is no name, or not one in the application's own packages. Nothing outside
            them has been imported.
    """
    module_name, _, place = name[: _LONGEST + 1].partition(":")
    if len(name) > _LONGEST or not _is_dotted(module_name) or not _is_dotted(place):
        raise UnknownTask(f"{quoted(name)} is not the name of a task")
    if any(part.startswith("__") and part.endswith("__") for part in place.split(".")):
        raise UnknownTask(f"{quoted(name)} is not the name of a task")
    if not packages.own(module_name):
        raise UnknownTask(
            f"{quoted(name)} is not in the application's own packages; register it ({_REGISTER}), "
            f"or name its package in packages=[...]"
        )
    return _module(module_name, name), place


def find(module: ModuleType, place: str) -> FunctionType | MethodType | None:
    """Return the function that a module defines in a place: its own, or one of a class of its own."""
    owner: Any = module
    *path, last = place.split(".")
    for part in path:
        owner = inspect.getattr_static(owner, part, None)
        if not isinstance(owner, type):
            return None
    found = inspect.getattr_static(owner, last, None)
    function = found.__func__ if type(found) in (staticmethod, classmethod) else found
    if type(function) is not FunctionType:
        return None
    if function.__module__ != module.__name__ or function.__qualname__ != place:
        return None
    return MethodType(function, owner) if type(found) is classmethod else function


def describe(function: Any) -> str:
    """Return how a message names a callable. Never its repr, which may tell what it holds."""
    for owner in (function, type(function)):
        place = getattr(owner, "__qualname__", None)
        if isinstance(place, str):
            module = getattr(owner, "__module__", None)
            what = f"{module}:{place}" if isinstance(module, str) else place
            return what if owner is function else f"an object of {what.removeprefix('builtins:')}"
    return f"an object of {type(function).__name__}"


def called(short: str, names: Iterable[str]) -> list[str]:
    """Return the whole names of the tasks that are called so in their modules, or by the last part of that.

    Args:
        short: what people write: `send_receipt`, or `Mailer.send`.
        names: the whole names of tasks.
    """
    found = []
    for name in names:
        within = name.partition(":")[2] or name
        if short in (within, within.rpartition(".")[2]):
            found.append(name)
    return sorted(found)


def no_task(typed: str, tasks: Collection[str]) -> str:
    """Say that no task called so has any job: what may have been meant, and which have some."""
    short = {task.rpartition(":")[2]: task for task in tasks}
    meant = near(typed, tasks) or short.get(near(typed, short) or "")
    says = f"no task called {cut(typed)} has any job"
    if meant is None:
        return f"{says}; these have: {listed(sorted(tasks)) or 'none'}"
    others = f" These have: {listed(sorted(tasks))}" if len(tasks) > 1 else ""
    return f"{says}; did you mean {cut(meant)}?{others}"


def main_name() -> str:
    """Return the name under which the running program's main module can be imported.

    Raises:
        NotDurable: it cannot (an interactive session, a program read from standard input).
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in _MAIN:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    stem = os.path.splitext(os.path.basename(file))[0] if isinstance(file, str) else ""
    if not stem.isidentifier() or stem == "__main__":
        raise NotDurable(
            "functions of this main module cannot be imported by another process; move them to a module"
        )
    return stem


_REGISTER: Final = "postlude.task(function) at module level"
_REMEDY: Final = f"use a function at module level, or register it: {_REGISTER}"


def _module(module_name: str, name: str) -> ModuleType:
    module = sys.modules.get(module_name)
    if module is None:
        if _is_main(module_name):
            # Importing it by name would run the program a second time, with a second application.
            module = sys.modules["__main__"]
        elif module_name.rpartition(".")[2] == "__main__":
            raise UnknownTask(f"{quoted(name)} is in a main module that is not running here")
        else:
            module = _import(module_name, name)
    if not isinstance(module, ModuleType):
        raise UnknownTask(f"{quoted(name)} is not in a module")
    return module


def _is_main(module_name: str) -> bool:
    try:
        return main_name() == module_name
    except NotDurable:
        return False


def _import(module_name: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UnknownTask(
            f"{quoted(name)}: importing its module raised {type(error).__name__}: {error}"
        ) from error


def _is_dotted(text: str) -> bool:
    return bool(text) and all(part.isidentifier() for part in text.split("."))
