"""Whether a value that came back from JSON is the one that went in: type and value, all the way down.

`==` is not enough: it holds between `1` and `True`, between a subclass and its base, between two
datetimes of which one no longer knows its time zone, and not between NaN and itself.
"""

import dataclasses
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import datetime, time
from decimal import Decimal
from operator import is_
from typing import Any, Final

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from postlude.tasks.codec.precheck import SCALARS, Refused, dataclass_state

CHANGED: Final = "would come back changed: its annotation alters it; pass it as it will come back"

SECRET: Final = (
    "is a secret, which is not written into the journal; pass what it can be loaded by, "
    "or allow it by a serializer in its annotation"
)
_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_EASY: Final = SCALARS - {float}
"""Types whose values `==` compares well enough, if the types are the same."""


def check_same(given: Any, back: Any) -> None:
    """Compare what was given with what would come back.

    Raises:
        Refused: they differ; its path says where.
    """
    kind = type(given)
    if kind is not type(back):
        raise Refused(_changed_type(given, back))
    if kind is float:
        same = _same_float(given, back)
    elif kind in SCALARS:
        same = given == back
    else:
        same = _comparison(given)(given, back)
    if not same:
        raise Refused(SECRET if isinstance(given, _SECRETS) else CHANGED)


def _comparison(given: Any) -> Callable[[Any, Any], bool]:
    if isinstance(given, (list, tuple, deque)):
        return _same_sequence
    if isinstance(given, (set, frozenset)):
        return _same_set
    if isinstance(given, dict):
        return _same_mapping
    if isinstance(given, BaseModel):
        return _same_model
    if dataclasses.is_dataclass(given):
        return _same_dataclass
    if isinstance(given, (datetime, time)):
        return _same_time
    if isinstance(given, Decimal):
        return _same_decimal
    return _same_by_its_own_rule


def _same_float(given: float, back: float) -> bool:
    if math.isnan(given):
        return math.isnan(back)
    return given == back and math.copysign(1, given) == math.copysign(1, back)


def _same_by_its_own_rule(given: Any, back: Any) -> bool:
    return bool(given == back)


def _same_sequence(given: Any, back: Any) -> bool:
    if len(given) != len(back) or getattr(given, "maxlen", None) != getattr(back, "maxlen", None):
        return False
    if _EASY.issuperset(map(type, given)) and all(map(is_, map(type, given), map(type, back))):
        return bool(given == back)
    _check_parts("[{}]", ((index, a, b) for index, (a, b) in enumerate(zip(given, back, strict=True))))
    return True


def _same_set(given: Any, back: Any) -> bool:
    if len(given) != len(back):
        return False
    twins = {member: member for member in back}
    missing = object()
    for member in given:
        twin = twins.get(member, missing)
        if twin is missing:
            return False
        check_same(member, twin)
    return True


def _same_mapping(given: Any, back: Any) -> bool:
    if len(given) != len(back):
        return False
    if isinstance(given, defaultdict) and given.default_factory is not back.default_factory:
        return False
    if not _same_set(given.keys(), back.keys()):
        return False
    _check_parts("[{!r}]", ((key, part, back[key]) for key, part in given.items()))
    return True


def _same_model(given: BaseModel, back: BaseModel) -> bool:
    for state in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        _same_attributes(getattr(given, state) or {}, getattr(back, state) or {})
    return True


def _same_dataclass(given: Any, back: Any) -> bool:
    _same_attributes(dataclass_state(given), dataclass_state(back))
    return True


def _same_attributes(given: dict[str, Any], back: dict[str, Any]) -> None:
    for name in given.keys() - back.keys():
        raise Refused("would be lost: it is no part of what is written as JSON", f".{name}")
    for name in back.keys() - given.keys():
        raise Refused("is missing, and would come back with a value", f".{name}")
    _check_parts(".{}", ((name, value, back[name]) for name, value in given.items()))


def _same_time(given: Any, back: Any) -> bool:
    zone = given.tzinfo
    if zone is not None and zone.utcoffset(None) is None:
        raise Refused(
            f"is in the time zone {zone}, whose rules would be lost (only the offset is kept); "
            f"pass value.astimezone(datetime.UTC), and the zone's name beside it if it matters"
        )
    return bool(given == back and given.utcoffset() == back.utcoffset() and given.fold == back.fold)


def _same_decimal(given: Decimal, back: Decimal) -> bool:
    return given.as_tuple() == back.as_tuple()


def _check_parts(form: str, parts: Iterable[tuple[Any, Any, Any]]) -> None:
    for key, given, back in parts:
        try:
            check_same(given, back)
        except Refused as refused:
            raise refused.under(form.format(key)) from None


def _changed_type(given: Any, back: Any) -> str:
    was, would = type(given), type(back)
    if issubclass(was, would):
        return f"is of type {was.__name__} and would come back as its base {would.__name__}; annotate it so"
    return f"is of type {was.__name__} and would come back as {would.__name__}; pass it as that"
