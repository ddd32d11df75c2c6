"""Functions that are declared as tasks: how to tell them, and what they may be called."""

import inspect
from collections.abc import Iterable, Sequence
from types import MethodType
from typing import Any

from postlude.errors import NotDurable, TaskDefinitionError
from postlude.messages.quoting import quoted
from postlude.tasks.names import describe, name_of
from postlude.tasks.task import Task


def same_definition(known: Any, function: Any) -> bool:
    """Whether two functions are one definition, made again: a reloaded module, an application factory."""
    if describe(known) != describe(function):
        return False
    if "<" in describe(known):
        return bool(getattr(known, "__code__", known) == getattr(function, "__code__", function))
    return True


def is_declared(function: Any) -> bool:
    """Whether a function is a declared task, or a wrapper that calls one.

    By its type, because a mock of a task says that it is one and promises nothing.
    """
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        if issubclass(type(function), Task):
            return not function.plain
        seen.add(id(function))
        function = inspect.getattr_static(function, "__wrapped__", None)
    return False


def declared_name(function: Any) -> str:
    """Return the name of a declared task. It is found by being declared, so it may be inside a function."""
    if type(function) is MethodType and not isinstance(function.__self__, type):
        raise NotDurable(f"{describe(function)} is bound to an object; give it a name=")
    if not isinstance(getattr(function, "__qualname__", None), str):
        raise NotDurable(f"{describe(function)} has no name of its own; give it a name=")
    name = name_of(function)
    if "<lambda>" in name:
        raise NotDurable(f"{describe(function)} is a lambda, which has no name; give it a name=")
    return name


class Names:
    """What a task is to be known by."""

    def __init__(self, name: str | None, aliases: Sequence[str]) -> None:
        if isinstance(aliases, str) or not isinstance(aliases, Iterable):
            raise TaskDefinitionError(f"aliases={quoted(aliases)}: give a list of names")
        self.name = name
        self.aliases = tuple(aliases)
        for text in (name, *self.aliases):
            if text is not None and (not isinstance(text, str) or not _fits(text)):
                what = "name" if text is name else "aliases"
                raise TaskDefinitionError(f"{what}= must be a short printable text")


def _fits(text: str) -> bool:
    return 0 < len(text) <= 200 and text.isprintable()
