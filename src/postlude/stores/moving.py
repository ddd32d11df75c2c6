"""Moving a journal into another one: every row that is no process's, compared, and in one commit.

The source is marked before the commit and refuses to be used from then on: whoever is killed in between
runs the same again, and nothing is in two journals that are both used.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import islice
from typing import Final, NamedTuple, Protocol

from postlude.errors import JournalRefused

Cell = int | float | str | bytes | None
Row = tuple[Cell, ...]

OF_PROCESSES: Final = frozenset({"meta", "runner", "start", "lead", "joined", "schedule_declarer"})
"""Tables that stay behind: they are about the journal itself, and about processes that have ended; and what
is empty in a journal that nobody uses."""

GIVEN_ANEW: Final = frozenset({("log", "place")})
"""Columns whose cells each journal gives by itself, in the order of the rows."""

PIECE: Final = 1000
"""Rows between two words about how far it is."""

Told = Callable[[int], None]
"""Told of so many rows more that are done. Each row is done twice: when it is written, and compared."""


class Numbers(NamedTuple):
    """The last numbers that a journal has given, which are not given again."""

    job: int
    runner: int


class Mark(NamedTuple):
    """Where a journal has been moved to."""

    place: str
    """For people, without secrets."""
    epoch: str
    """Of the journal that is there."""


class Whole(Protocol):
    """A journal row by row, which nobody else uses meanwhile. What is written is one transaction.

    Attributes:
        place: where it is, for people, without secrets.
        epoch: tells it from every other journal.
    """

    place: str
    epoch: str

    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Return its tables, each with its columns."""
        ...

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        ...

    def holds(self, table: str, column: str | None = None) -> bool:
        """Say whether a table has any row, or any with a cell in this column that is not empty."""
        ...

    def rows(self, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
        """Yield what a table has in these columns, as it was written one by one; truths are numbers."""
        ...

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterator[Row]) -> None:
        """Write a table, in the place of what it has."""
        ...

    def fitting(self, row: Row) -> Row:
        """Return a row as it can be kept here."""
        ...

    def unsettled(self) -> int:
        """Return how many jobs are claimed, or have joined a transaction and are not known yet."""
        ...

    def numbers(self) -> Numbers:
        """Return the last numbers that were given."""
        ...

    def go_on_after(self, numbers: Numbers) -> None:
        """Give no number again that another journal has given, or that a row has."""
        ...

    def mark(self) -> Mark | None:
        """Return where it has been moved to."""
        ...

    def set_mark(self, mark: Mark | None) -> None:
        """Have it refuse to be used, or be used again: at once, in a commit of its own."""
        ...

    def moved_from(self) -> str | None:
        """Return the epoch of the journal that has been moved here."""
        ...

    def commit(self, moved_from: str) -> None:
        """Make what was written durable, and note which journal it came from."""
        ...

    def close(self) -> None:
        """Close it; what was not committed is undone."""
        ...


class Moved(NamedTuple):
    """What a move has done."""

    rows: dict[str, int]
    """Of each table."""
    again: bool = False
    """It had been done before."""


def rows_to_move(source: Whole) -> int:
    """Return how many rows there are."""
    return sum(source.count(table) for table in source.tables() if table not in OF_PROCESSES)


def move(source: Whole, target: Whole, told: Told = lambda _: None) -> Moved:
    """Move a journal.

    Args:
        source: from here. In the end it refuses to be used.
        target: to here.
        told: of what is done.

    Raises:
        JournalRefused: it cannot be: one of them has something that the other has no place for, the target
            has jobs already, what was written is not what was read. Nothing is changed then.
        JournalUnavailable: one of them cannot be reached now. Run it again.
    """
    mark = source.mark()
    if mark is not None and mark.epoch != target.epoch:
        raise JournalRefused(
            f"{source.place} has been moved to {mark.place}, or that was begun: move it there again, or let "
            "it be used again with `postlude move --undo`"
        )
    if target.moved_from() == source.epoch:
        if mark is None:
            raise JournalRefused(
                f"{source.place} has been moved to {target.place} and was used again since; empty the target "
                "first, whose jobs would run twice"
            )
        return Moved({}, again=True)
    if target.count("job"):
        raise JournalRefused(f"{target.place} has jobs already; a journal is moved to one that has none")
    shared = _shared(source, target)
    written = {table: _copy(source, target, table, columns, told) for table, columns in shared.items()}
    for table, columns in shared.items():
        _compare(target, table, columns, written[table], told)
    target.go_on_after(source.numbers())
    source.set_mark(Mark(target.place, target.epoch))
    target.commit(source.epoch)
    return Moved({table: rows for table, (rows, _) in written.items()})


def _shared(source: Whole, target: Whole) -> dict[str, tuple[str, ...]]:
    """Return what is moved: the columns of each table."""
    there = target.tables()
    found: dict[str, tuple[str, ...]] = {}
    for table, columns in source.tables().items():
        if table in OF_PROCESSES:
            continue
        if table not in there:
            if source.holds(table):
                raise JournalRefused(f"{target.place} has no place for what the table {table} holds")
            continue
        found[table] = tuple(one for one in columns if one in there[table])
        for column in columns:
            new = column not in there[table] and (table, column) not in GIVEN_ANEW
            if new and source.holds(table, column):
                raise JournalRefused(f"{target.place} has no place for what {table}.{column} holds")
    return found


class _Sum:
    """What tells the rows of a table from others, in whatever order they come."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    @property
    def value(self) -> tuple[int, int]:
        return self.rows, self._sum

    def add(self, row: Row) -> None:
        digest = blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % 2**128
        self.rows += 1


def _copy(source: Whole, target: Whole, table: str, columns: tuple[str, ...], told: Told) -> tuple[int, int]:
    """Write a table; returns how many rows it has, and what tells them from others."""
    found = _Sum()

    def passing() -> Iterator[Row]:
        for row in source.rows(table, columns):
            fitting = target.fitting(row)
            found.add(fitting)
            yield fitting
            if not found.rows % PIECE:
                told(PIECE)

    target.fill(table, columns, passing())
    told(found.rows % PIECE)
    return found.value


def _compare(
    target: Whole, table: str, columns: tuple[str, ...], written: tuple[int, int], told: Told
) -> None:
    found, rows = _Sum(), target.rows(table, columns)
    while piece := list(islice(rows, PIECE)):
        for row in piece:
            found.add(row)
        told(len(piece))
    if found.value != written:
        raise JournalRefused(
            f"{target.place} has {found.rows} rows in the table {table} and not the {written[0]} that were "
            "written, or they are not what was written; nothing is moved"
        )
