"""Which cells of the journal are damaged, and what is put in their place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from postlude.clock import LATEST
from postlude.model.state import QUEUED, Stored
from postlude.stores.sqlite.cells import as_bytes, from_bytes, written

MOST_FENCE: Final = 10**15
MOST_COUNTED: Final = 10**9
LONGEST_RATE: Final = 10**16
MOST_WHOLE: Final = 2**62
"""Bounds of what is ever written; beyond them, sums could leave the range of whole numbers."""

IS_TEXT: Final = "is_text"
"""The SQL function that says whether bytes are UTF-8: SQLite does not look."""


class Column(NamedTuple):
    """A column, when it is damaged, and what then stands for what was there."""

    name: str
    damaged: str
    """A condition in SQL."""
    instead: Callable[[object], object]


def is_text(raw: bytes | None) -> bool:
    """Say whether bytes are UTF-8."""
    try:
        return raw is None or raw.decode() is not None
    except UnicodeDecodeError:
        return False


def _legible(value: object) -> str:
    return str(value) if isinstance(value, str) else written(value)


def _nothing(value: object) -> None:
    return None


def _text(name: str, instead: Callable[[object], object] = _legible, also: str = "0") -> Column:
    """Return a column of texts; most are ASCII, and cost no call of a function."""
    condition = (
        f"typeof({name}) <> 'text' OR ({name} GLOB '*[^ -~]*' OR length({name}) <> octet_length({name}))"
        f" AND NOT {IS_TEXT}(CAST({name} AS BLOB)) OR {also}"
    )
    return Column(name, condition, instead)


def _maybe(column: Column) -> Column:
    return column._replace(damaged=f"{column.name} IS NOT NULL AND ({column.damaged})")


def _whole(name: str, least: int, most: int, default: int | None = None) -> Column:
    def instead(value: object) -> int:
        if default is not None:
            return default
        return min(max(int(value), least), most) if isinstance(value, int | float) else least

    condition = f"typeof({name}) <> 'integer' OR {name} NOT BETWEEN {least} AND {most}"
    return Column(name, condition, instead)


def _moment(name: str) -> Column:
    return _maybe(_whole(name, 0, LATEST)._replace(instead=_nothing))


_UNFINISHED: Final = f"state IN ({', '.join(str(int(stored)) for stored in sorted(QUEUED))})"

_DUE: Final = _moment("due")

JOB: Final = (
    Column("id", "typeof(id) <> 'blob' OR length(id) <> 16", _nothing),
    Column("task", "typeof(task) <> 'integer' OR task NOT IN (SELECT id FROM task_name)", _nothing),
    _text("queue"),
    _whole("priority", -MOST_COUNTED, MOST_COUNTED),
    _whole("fence", 0, MOST_FENCE),
    _whole("failures", 0, MOST_COUNTED),
    _whole("deaths", 0, MOST_COUNTED),
    _whole("suspect", 0, 1),
    _whole("once", 0, 1, default=1),
    _whole("followed", 0, 1),
    _maybe(Column("follows", "typeof(follows) <> 'integer'", _nothing)),
    _whole("created", 0, LATEST),
    _DUE._replace(damaged=f"state = 1 AND due IS NULL OR {_DUE.damaged}"),
    _moment("started"),
    _moment("finished"),
    _moment("cancel_asked"),
    _maybe(Column("runner", "typeof(runner) <> 'integer'", _nothing)),
    _maybe(_text("reason", _nothing)),
    _maybe(_text("key", _nothing)),
    _maybe(_text("lane", _nothing)),
    _maybe(_text("owner")),
    _maybe(_text("release", _nothing)),
    _maybe(_text("opts", also=f"{_UNFINISHED} AND json_error_position(opts) <> 0")),
    _maybe(_text("context", also=f"{_UNFINISHED} AND json_error_position(context) <> 0")),
)
"""The columns by which jobs are found, run, ended and shown."""


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
    (Column("state", _NO_STATE, _nothing), *JOB),
    f"state IN ({_KNOWN}) OR {_NO_STATE}",  # others are of another release, which knows what they mean
    f"{_UNFINISHED} AND NOT EXISTS (SELECT 1 FROM payload WHERE payload.seq = job.seq)",
)
TASK_NAMES: Final = Table("task_name", "id", (_text("name"),))
RUNNERS: Final = Table(
    "runner",
    "id",
    (
        *(_text(name) for name in ("token", "host", "boot", "release")),
        *(_whole(name, 0, LATEST) for name in ("pid", "started", "renewed", "lease")),
    ),
)
BOUNDS: Final = Table(
    "bounds",
    None,
    (
        _text("kind"),
        _text("name"),
        _maybe(_whole("concurrent", 1, MOST_FENCE)),
        _maybe(_whole("every", 1, LONGEST_RATE)),
        _whole("burst", 1, MOST_FENCE),
        _whole("tat", 0, MOST_WHOLE),
        _whole("turn", 0, MOST_WHOLE),
    ),
)
PAUSES: Final = Table("pause", None, (_text("kind"), _text("name")))


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
