"""The schema and the named statements of a PostgreSQL journal, kept as SQL beside this file."""

import re
from functools import cache
from importlib.resources import files
from typing import Final

from postlude.model.terms import Given
from postlude.stores.relational.cells import Cells
from postlude.stores.relational.columns import INSERTED, JOB, NAMES, REPLACED, SUM_CELLS, SUMMED, PlainRow

_TEXTS: Final = (Cells.text, Cells.maybe_text)

TYPES: Final = {
    **{column.name: "text" if column.read in _TEXTS else "bigint" for column in JOB},
    **dict.fromkeys(("id", "request"), "bytea"),
    **dict.fromkeys(("task", "priority", "failures", "deaths"), "integer"),
    **dict.fromkeys(("suspect", "once", "followed"), "boolean"),
    "seq": "bigint",
    "state": "smallint",
}
"""Of the columns of `job`."""


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _cast(place: int, name: str, *, array: bool = False) -> str:
    """Return a parameter; truths come as numbers: psycopg takes a list of both for one or the other."""
    brackets = "[]" if array else ""
    kind = TYPES[name]
    if kind == "boolean":
        return f"${place}::integer{brackets}::boolean{brackets}"
    return f"${place}::{kind}{brackets}"


def _arrays(names: tuple[str, ...]) -> str:
    casts = [_cast(place, name, array=True) for place, name in enumerate(("seq", *names), 1)]
    return ", ".join([*casts, f"${len(casts) + 1}::bytea[]"])


def _shown(name: str) -> str:
    return f"job.{name}::integer AS {name}" if TYPES[name] == "boolean" else f"job.{name}"


_any_given: Final = " OR ".join(f"j.{name} IS NOT NULL" for name in Given._fields)

_PARTS: Final = {
    "inserted": ", ".join(INSERTED),
    "inserted_arrays": _arrays(INSERTED),
    "plain": ", ".join(PlainRow._fields),
    "plain_arrays": _arrays(PlainRow._fields),
    "replaced": ", ".join(f"{name} = {_cast(place, name)}" for place, name in enumerate(REPLACED, 1)),
    "last": f"${len(REPLACED) + 1}::bigint",
    "summed": ", ".join(SUMMED),
    "summed_arrays": ", ".join(
        f"${place}::{'text' if name in ('queue', 'outcome') else 'bigint'}[]"
        for place, name in enumerate(SUMMED, 1)
    ),
    "sum_of_cells": ", ".join(f"sum({name})::bigint" for name in SUM_CELLS),
    "added_up": ", ".join(f"{name} = sums.{name} + excluded.{name}" for name in SUM_CELLS),
    "job": ", ".join(map(_shown, NAMES)),
    "given": (
        f"CASE WHEN {_any_given} "
        f"THEN jsonb_build_array({', '.join(f'j.{name}' for name in Given._fields)}) END"
    ),
}


@cache
def statements(schema: str) -> dict[str, str]:
    """Return every statement by its name.

    Args:
        schema: of the journal, as an identifier.
    """
    parts = re.split(r"^-- name: (\w+)\n", _text("statements.sql"), flags=re.MULTILINE)[1:]
    found = {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    known = found | _PARTS | {"s": schema}

    def whole(body: str) -> str:
        while re.search(r"\$[a-z]", body):
            body = re.sub(r"\$([a-z]\w*)", lambda part: known[part[1]], body)
        return body

    return {name: whole(body) for name, body in found.items()}


MIGRATIONS: Final = tuple(
    _text(name)
    for name in sorted(file.name for file in files(__package__).iterdir())
    if re.fullmatch(r"[0-9]{4}\.sql", name)
)
"""The schema's steps, in order. The version of a journal is how many of them it has seen."""
