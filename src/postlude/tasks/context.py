"""Context variables that travel with a job, as values: a request's id, a tenant, a locale.

Only those that the application lists, and only values that JSON restores as they are. What was
set where the job was added is set again where it runs, in a context of its own.
"""

from collections.abc import Iterable, Mapping
from contextvars import Context, ContextVar
from typing import Any, Final

from pydantic_core import from_json, to_json

from postlude.errors import NotDurable
from postlude.messages.quoting import quoted
from postlude.model.event.request import ContextUnlisted, ContextUnread
from postlude.tasks.codec.precheck import SCALARS
from postlude.telemetry.carrying import CARRIED, NAMES, Carrier
from postlude.telemetry.process import EVENTS

MOST: Final = 4 * 1024
"""Bytes that the values of one job take at most, as JSON."""

DEEPEST: Final = 50
"""How many containers may be inside one another."""

_UNSET: Final = object()

_LONG: Final = frozenset({"tracestate", "baggage"})
"""The texts of traces that say more than which trace it is: left out first."""


class Carried:
    """The context variables that travel with jobs. Frozen, but for those who have traces travel too.

    Attributes:
        carriers: who they are; see `leaving`.

    Args:
        variables: which; their names are what is stored.

    Raises:
        ValueError: one of them is no context variable, or two have the same name.
    """

    __slots__ = ("_named", "_variables", "carriers")

    def __init__(self, variables: Iterable[ContextVar[Any]] = ()) -> None:
        self._variables = _listed(variables)
        self.carriers: tuple[Carrier, ...] = ()
        self._named: dict[str, ContextVar[Any]] = {}
        for variable in self._variables:
            if variable.name in self._named:
                raise ValueError(
                    f"context=: two variables have the name {quoted(variable.name)}, by which jobs are "
                    f"stored; list each once, or give one of them another name"
                )
            self._named[variable.name] = variable

    def __bool__(self) -> bool:
        return bool(self._variables)

    def capture(self) -> str | None:
        """Return the values that are set here, as JSON; None if none is.

        A variable's default is not a value: where the job runs, it has its default again.

        Raises:
            NotDurable: one of them has no durable form, or all are too large; the message names it.
        """
        if not self._variables:
            return None
        found: dict[str, Any] = {}
        for variable in self._variables:
            value = variable.get(_UNSET)
            if value is not _UNSET:
                if type(value) not in SCALARS:
                    _check(variable.name, value, DEEPEST, MOST)
                found[variable.name] = value
        return _text(found) if found else None

    def context(self, text: str | None) -> Context:
        """Return a new context in which only these values are set.

        Names that this release does not list, and a text that it cannot read, are left out.

        Args:
            text: what `capture` returned.
        """
        context = Context()
        if text is not None:
            traces: dict[str, str] = {}
            for name, value in _read(text).items():
                variable = self._named.get(name)
                if variable is not None:
                    context.run(variable.set, value)
                elif name in NAMES and type(value) is str:
                    traces[name] = value
                else:
                    EVENTS.emit(ContextUnlisted(name))
            if traces:
                context.run(CARRIED.set, traces)
        return context

    def leaving(self, text: str | None, traces: Mapping[str, str]) -> str | None:
        """Return what `capture` returned, with the texts of traces beside it, as far as there is room.

        A variable that is listed under the name of one of them keeps it.
        """
        values = {} if text is None else _read(text)
        added = {name: traces[name] for name in traces if name not in self._named}
        for fewer in (added, {name: added[name] for name in added if name not in _LONG}):
            if len(written := to_json({**values, **fewer}, inf_nan_mode="constants")) <= MOST:
                return written.decode()
        return text

    @staticmethod
    def values(text: str | None) -> dict[str, Any]:
        """Return what is stored, to be shown, also of variables that are not listed any more."""
        return {} if text is None else _read(text)


def _listed(variables: Iterable[ContextVar[Any]]) -> tuple[ContextVar[Any], ...]:
    if isinstance(variables, str) or not isinstance(variables, Iterable):
        raise ValueError(
            f"context={quoted(variables)}: give a list of context variables, context=[request_id]"
        )
    listed = tuple(variables)
    for each in listed:
        if not isinstance(each, ContextVar):
            raise ValueError(
                f"context=: {quoted(each)} is no context variable; list the variables themselves "
                f'(request_id = ContextVar("request_id"); context=[request_id])'
            )
    return listed


def _check(name: str, value: Any, depth: int, budget: int) -> int:
    """Return what is left of a budget of parts; refuse what JSON would not restore as it is."""
    kind = type(value)
    if kind in SCALARS:
        return budget - 1
    if kind is not list and kind is not dict:
        raise NotDurable(
            f"the context variable {quoted(name)} holds a value of type "
            f"{kind.__module__}.{kind.__qualname__}, which would not come back from JSON as it is; set it "
            f"to a plain value that it can be loaded by (an id, a text), or leave it out of context="
        )
    if depth <= 0:
        raise NotDurable(
            f"the context variable {quoted(name)} is nested more than {DEEPEST} levels deep; set it to an id "
            f"that its value can be loaded by, or leave it out of context="
        )
    if len(value) > budget:
        raise _too_large(name)
    for part in value:
        if kind is dict:
            if type(part) is not str:
                raise NotDurable(
                    f"the context variable {quoted(name)} holds a dict with a key of type "
                    f"{type(part).__name__}, which JSON would make a str; use str keys, or leave it out of "
                    f"context="
                )
            part = value[part]
        budget = _check(name, part, depth - 1, budget)
        if budget < 0:
            raise _too_large(name)
    return budget


def _text(found: dict[str, Any]) -> str:
    size = 0
    for name, value in found.items():
        size += len(value) if type(value) is str else 1
        if size > MOST:
            raise _too_large(name)
    try:
        text = to_json(found, inf_nan_mode="constants")
    except Exception:
        raise NotDurable(
            f"the context variables {', '.join(found)} cannot be written as JSON: one holds a lone "
            f"surrogate; decode it with errors='replace'"
        ) from None
    if len(text) > MOST:
        raise _too_large(max(found, key=lambda name: len(to_json(found[name], inf_nan_mode="constants"))))
    return text.decode()


def _too_large(name: str) -> NotDurable:
    return NotDurable(
        f"the values that context= lists take more than {MOST} bytes, most of it {quoted(name)}; "
        f"set it to an id that its value can be loaded by, or pass it as an argument"
    )


def _read(text: str) -> dict[str, Any]:
    try:
        found = from_json(text)
    except ValueError:
        found = None
    if type(found) is not dict:
        EVENTS.emit(ContextUnread())
        return {}
    return found
