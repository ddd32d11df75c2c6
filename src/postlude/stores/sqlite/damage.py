"""Which cells of the journal are damaged, and what is put in their place."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from postlude.clock import LATEST
from postlude.model.state import Stored
from postlude.stores.relational.cells import as_bytes, from_bytes, written
from postlude.stores.relational.columns import (
    IS_TEXT,
    JOB,
    MOST_FENCE,
    UNFINISHED,
    Column,
    maybe,
    number,
    text,
    whole,
)

LONGEST_RATE: Final = 10**16
MOST_WHOLE: Final = 2**62
"""Bounds of what is ever written; beyond them, sums could leave the range of whole numbers."""


def is_text(raw: bytes | None) -> bool:
    """Say whether bytes are UTF-8."""
    try:
        return raw is None or raw.decode() is not None
    except UnicodeDecodeError:
        return False


class Table(NamedTuple):
    """What is looked at of a table.

    Attributes:
        name: of the table.
        key: the column of whole numbers by which a row is found; None: there is none.
        columns: those that are looked at.
        where: which rows are.
        also: when a row is damaged although none of these cells is.
    """

    name: str
    key: str | None
    columns: tuple[Column, ...]
    where: str = "1"
    also: str = "0"

    @property
    def damaged(self) -> str:
        """The condition under which a row is damaged."""
        conditions = " OR ".join(f"({column.damaged})" for column in self.columns)
        return f"({self.where}) AND ({conditions} OR {self.also})"


_KNOWN: Final = ", ".join(str(int(stored)) for stored in Stored)

_NO_STATE: Final = "typeof(state) <> 'integer' OR state NOT BETWEEN 0 AND 15"

JOBS: Final = Table(
    "job",
    "seq",
    (number("state", _NO_STATE), *JOB),
    f"state IN ({_KNOWN}) OR {_NO_STATE}",  # others are of another release, which knows what they mean
    f"{UNFINISHED} AND NOT EXISTS (SELECT 1 FROM payload WHERE payload.seq = job.seq)",
)
TASK_NAMES: Final = Table("task_name", "id", (text("name"),))
RUNNERS: Final = Table(
    "runner",
    "id",
    (
        *(text(name) for name in ("token", "host", "boot", "release")),
        *(whole(name, 0, LATEST) for name in ("pid", "started", "renewed", "lease")),
    ),
)
BOUNDS: Final = Table(
    "bounds",
    None,
    (
        text("kind"),
        text("name"),
        maybe(whole("concurrent", 1, MOST_FENCE)),
        maybe(whole("every", 1, LONGEST_RATE)),
        whole("burst", 1, MOST_FENCE),
        whole("tat", 0, MOST_WHOLE),
        whole("turn", 0, MOST_WHOLE),
    ),
)
PAUSES: Final = Table("pause", None, (text("kind"), text("name")))


class Damaged(NamedTuple):
    """A row with damaged cells."""

    key: int
    """By which it is found; 0 in a table without such a column."""
    whole: Mapping[str, Any]
    """All cells of the columns that are looked at."""
    cells: Mapping[str, object]
    """Those that are damaged."""

    def __str__(self) -> str:
        return "; ".join(f"{name} is {written(value)}" for name, value in self.cells.items())


def look_for(db: Any, table: Table) -> list[Damaged]:
    """Return the damaged rows of a table."""
    names = [column.name for column in table.columns]
    flags = [f"({column.damaged}) IS TRUE" for column in table.columns]
    looked = ", ".join([table.key or "0", *names, *flags])
    rows = _with_is_text(
        db, as_bytes(f"SELECT {looked} FROM {table.name} WHERE {table.damaged}", 1 + 2 * len(names))
    )
    return [_damaged(names, from_bytes(row)) for row in rows]


def remove(db: Any, table: Table) -> None:
    """Remove the damaged rows of a table."""
    _with_is_text(db, f"DELETE FROM {table.name} WHERE {table.damaged}")


def _damaged(names: Sequence[str], row: Sequence[Any]) -> Damaged:
    key, *cells = row
    flags = cells[len(names) :]
    whole = dict(zip(names, cells, strict=False))
    return Damaged(
        key,
        whole,
        {name: whole[name] for name, odd in zip(names, flags, strict=True) if odd},
    )


def _with_is_text(db: Any, sql: str) -> list[Any]:
    db.create_scalar_function(IS_TEXT, is_text, 1, deterministic=True)
    try:
        return list(db.execute(sql).fetchall())
    finally:
        db.create_scalar_function(IS_TEXT, None, 1)
