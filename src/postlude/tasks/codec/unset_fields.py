"""Which fields of a model nobody had set: pydantic keeps that beside the values, JSON does not.

A task that takes the body of a PATCH asks for it (`model_dump(exclude_unset=True)`). Without it, the
defaults would be written over what the client did not mention. So the codec notes these fields
beside the arguments, and takes them out of what has come back.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from postlude.tasks.codec.precheck import SCALARS

Note = tuple[list[str | int], list[str]]
"""The way from the arguments to a model, and the fields of it that were not set."""


def unset_fields(given: Any, back: Any, way: list[str | int]) -> list[Note]:
    """Compare a value with its equal that came back.

    Returns:
        What `restore_unset` needs; empty if there is nothing to restore. Models inside sets are
        left out: a set has no places.
    """
    notes: list[Note] = []
    if isinstance(given, BaseModel):
        unset = back.__pydantic_fields_set__ - given.__pydantic_fields_set__
        if unset:
            notes.append((way, sorted(unset)))
    for step, part, part_back in _pairs(given, back):
        notes += unset_fields(part, part_back, [*way, step])
    return notes


def restore_unset(arguments: Any, notes: Any) -> None:
    """Take the noted fields out of what the models in the arguments count as set.

    A note that no longer leads to a model (its class has changed since) is passed over.
    """
    for note in notes if isinstance(notes, list) else ():
        try:
            way, names = note
            target = arguments
            for step in way:
                target = _take(target, step)
            target.__pydantic_fields_set__.difference_update(names)
        except (LookupError, TypeError, ValueError, AttributeError):
            continue


def _pairs(given: Any, back: Any) -> Iterable[tuple[str | int, Any, Any]]:
    """Return the steps to the parts of what came back, each with the part that was given and itself."""
    if isinstance(back, BaseModel):
        return [(name, given.__dict__[name], part) for name, part in back.__dict__.items()]
    if isinstance(back, dict):
        return [(place, given[key], part) for place, (key, part) in enumerate(back.items())]
    if isinstance(back, (list, tuple, deque)) and not SCALARS.issuperset(map(type, back)):
        return [(place, given[place], part) for place, part in enumerate(back)]
    if dataclasses.is_dataclass(back):
        names = [field.name for field in dataclasses.fields(back) if hasattr(back, field.name)]
        return [(name, getattr(given, name), getattr(back, name)) for name in names]
    return ()


def _take(value: Any, step: str | int) -> Any:
    if isinstance(value, BaseModel):
        return value.__dict__[step]  # type: ignore[index]
    if isinstance(value, dict):
        return value[step] if isinstance(step, str) else list(value.values())[step]
    if isinstance(step, int):
        return value[step]
    if dataclasses.is_dataclass(value) and step in {field.name for field in dataclasses.fields(value)}:
        return getattr(value, step)
    raise LookupError(step)
