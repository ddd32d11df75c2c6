"""A first look at a value, before anything expensive is done with it.

It bounds size and depth, and refuses what must not even be looked at by a serializer (an iterator
would be used up by it).
"""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import BaseModel

from postlude.tasks.codec.payload import Limits
from postlude.tasks.remedies import remedy_of

FIXED: Final[frozenset[type]] = frozenset({int, float, bool, type(None)})
SCALARS: Final[frozenset[type]] = FIXED | {str}
_SEQUENCES: Final = frozenset({list, tuple, set, frozenset, deque})

_LOOKS: Final = 10_000
_DEPTH: Final = 20
"""How many parts of a value are looked at, and how deep, for what makes it one that cannot be kept."""


class Refused(Exception):
    """A value has no durable form; `path` leads from the argument to the part that has none."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path

    @property
    def place(self) -> str:
        """The path, short enough for a message."""
        return self.path if len(self.path) <= 120 else f"{self.path[:60]}…{self.path[-60:]}"

    def under(self, segment: str) -> "Refused":
        """Return the same refusal, seen from one level up."""
        return Refused(self.reason, segment + self.path)


def survey(value: Any, limits: Limits, *, plain: bool) -> int:
    """Return about how many bytes the value's JSON needs at least.

    Args:
        value: the value of one argument.
        limits: what it may not exceed.
        plain: only exact JSON types are allowed, because no annotation says how to restore others.

    Raises:
        Refused: it is too large, too deep, or cannot be kept.
    """
    return _survey(value, limits.depth, limits.payload, limits, plain)


def _survey(value: Any, depth: int, budget: int, limits: Limits, plain: bool) -> int:
    kind = type(value)
    if kind in FIXED:
        return 1
    if kind is str or (isinstance(value, (str, bytes, bytearray)) and not plain):
        if len(value) > budget:
            raise too_large(limits)
        return len(value) + 2
    if plain and kind is not list and kind is not dict:
        raise Refused(_no_plain_form(value))
    parts = _components(value)
    if parts is None:
        return 1
    if depth <= 0:
        raise Refused(f"is nested more than {limits.depth} levels deep; store it and pass its key")
    if len(value if kind in _SEQUENCES or isinstance(value, dict) else ()) > budget:
        raise too_large(limits)
    if kind in _SEQUENCES and FIXED.issuperset(map(type, value)):
        return 2 + 2 * len(value)
    return _survey_parts(parts, depth - 1, budget, limits, plain)


def _survey_parts(
    parts: Iterable[tuple[str, Any, Any]], depth: int, budget: int, limits: Limits, plain: bool
) -> int:
    total = 2
    for form, key, part in parts:
        try:
            if plain and form == "[{!r}]" and type(key) is not str:
                raise Refused(
                    f"has a key of type {type(key).__name__}; without an annotation keys must be str"
                )
            if type(key) is str:
                total += len(key)
            total += 1 + _survey(part, depth, budget - total, limits, plain)
        except Refused as refused:
            raise refused.under(form.format(_short(key))) from None
        if total > budget:
            raise too_large(limits)
    return total


def explained(value: Any, refused: Refused) -> Refused:
    """Return why a value is refused in words that help, if what it is or holds is known never to be kept.

    Args:
        value: what has been refused.
        refused: why, as it was found.
    """
    waiting: deque[tuple[str, Any, int]] = deque([("", value, 0)])
    looks = _LOOKS
    while waiting and (looks := looks - 1):
        path, part, depth = waiting.popleft()
        told = remedy_of(part)
        if told is not None:
            return Refused(told, path)
        if depth < _DEPTH:
            parts = _components(part) or ()
            waiting += ((path + form.format(_short(key)), each, depth + 1) for form, key, each in parts)
    return refused


def _components(value: Any) -> Iterable[tuple[str, Any, Any]] | None:
    """Return how each part is written in a path, its key and itself; None if the value has no parts."""
    kind = type(value)
    if kind in _SEQUENCES or isinstance(value, (list, tuple)):
        return (("[{}]", index, part) for index, part in enumerate(value))
    if isinstance(value, dict):
        return (("[{!r}]", key, part) for key, part in dict.items(value))
    if isinstance(value, BaseModel):
        return ((".{}", key, part) for key, part in model_state(value).items())
    if dataclasses.is_dataclass(kind):
        return ((".{}", key, part) for key, part in dataclass_state(value).items())
    if isinstance(value, Iterator):
        raise Refused(remedy_of(value) or "is an iterator")
    return None


def model_state(model: BaseModel) -> dict[str, Any]:
    """Return all that makes up a model's value: fields, extra fields and private attributes."""
    return {**model.__dict__, **(model.__pydantic_extra__ or {}), **(model.__pydantic_private__ or {})}


def dataclass_state(value: Any) -> dict[str, Any]:
    """Return all that makes up a dataclass instance's value, also where it has slots."""
    missing = object()
    state = {field.name: getattr(value, field.name, missing) for field in dataclasses.fields(value)}
    state = {name: part for name, part in state.items() if part is not missing}
    return {**state, **getattr(value, "__dict__", {})}


def too_large(limits: Limits) -> Refused:
    """Return the refusal of a value that alone exceeds the limit."""
    return Refused(f"is larger than {limits.payload} bytes; store it and pass its key, or raise max_payload")


def _no_plain_form(value: Any) -> str:
    kind = type(value)
    told = remedy_of(value)
    if told is not None:
        return told
    if any(base in SCALARS or base in (list, dict) for base in kind.__mro__[1:]):
        return f"is of type {kind.__name__} and would come back as its base; annotate the parameter with it"
    return (
        f"is of type {kind.__module__}.{kind.__qualname__}, which JSON cannot restore without an annotation; "
        f"annotate the parameter with a type that pydantic restores, or pass what it can be loaded by"
    )


def _short(key: Any) -> Any:
    return key[:40] + "…" if type(key) is str and len(key) > 40 else key
