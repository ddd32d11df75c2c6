"""The columns of the table `job`, by name: the one list from which its statements and its checks are made.

A field that a call gives to its job's attempts (`model.terms.Given`), or that is stored as a call says it
(`Terms`), needs one line in `JOB`: what is inserted, replaced, claimed, shown and looked through follows.
"""

from collections.abc import Callable
from dataclasses import fields
from operator import itemgetter
from typing import Any, Final, NamedTuple

from postlude.clock import LATEST
from postlude.model.history import RUN_BUCKETS, WAIT_BUCKETS
from postlude.model.job import JobRecord, NewJob
from postlude.model.state import QUEUED, Reason, Stored
from postlude.model.terms import KEPT, Given, Terms
from postlude.stores.relational.cells import Cells, written

MOST_FENCE: Final = 10**15
MOST_COUNTED: Final = 10**9
"""Bounds of what is ever written; beyond them, sums could leave the range of whole numbers."""

IS_TEXT: Final = "is_text"
"""The SQL function that says whether bytes are UTF-8: SQLite does not look."""

Read = Callable[[Cells, str, object], Any]


class Column(NamedTuple):
    """A column, when it is damaged, what then stands for what was there, and how people are shown it."""

    name: str
    damaged: str
    """A condition in SQL."""
    instead: Callable[[object], object]
    read: Read
    claimable: str = ""
    """Of what attempts are given: the condition, in SQL, under which a claim can give it; `j` is the job."""


def nothing(value: object) -> None:
    """Return what stands for a damaged cell that may be empty."""
    return


def _legible(value: object) -> str:
    return str(value) if isinstance(value, str) else written(value)


def text(name: str, instead: Callable[[object], object] = _legible, also: str = "0") -> Column:
    """Return a column of texts; most are ASCII, and cost no call of a function."""
    condition = (
        f"typeof({name}) <> 'text' OR ({name} GLOB '*[^ -~]*' OR length({name}) <> octet_length({name}))"
        f" AND NOT {IS_TEXT}(CAST({name} AS BLOB)) OR {also}"
    )
    return Column(name, condition, instead, Cells.text)


def whole(name: str, least: int, most: int, default: int | None = None) -> Column:
    """Return a column of whole numbers."""

    def instead(value: object) -> int:
        if default is not None:
            return default
        return min(max(int(value), least), most) if isinstance(value, int | float) else least

    condition = f"typeof({name}) <> 'integer' OR {name} NOT BETWEEN {least} AND {most}"
    return Column(name, condition, instead, Cells.whole)


def maybe(column: Column) -> Column:
    """Return a column whose cells may be empty."""
    read = Cells.maybe_whole if column.read is Cells.whole else Cells.maybe_text
    damaged = f"{column.name} IS NOT NULL AND ({column.damaged})"
    return column._replace(damaged=damaged, read=read)


def moment(name: str) -> Column:
    """Return a column of moments (microseconds, UTC) that may be empty."""
    return maybe(whole(name, 0, LATEST)._replace(instead=nothing))


def number(name: str, damaged: str) -> Column:
    """Return a column of other rows' numbers; the condition says when they are damaged."""
    return Column(name, damaged, nothing, Cells.whole)


def json(name: str) -> Column:
    """Return a column of JSON that may be empty, which attempts need whole."""
    wrong = f"json_error_position({name}) <> 0"
    column = maybe(text(name, also=f"{UNFINISHED} AND {wrong}"))
    return column._replace(claimable=f"(j.{name} IS NULL OR json_error_position(j.{name}) = 0)")


UNFINISHED: Final = f"state IN ({', '.join(str(int(stored)) for stored in sorted(QUEUED))})"
"""A job that waits: what stands in its row is still needed. (What runs has been read by its claim.)"""

_DUE: Final = moment("due")

JOB: Final = (
    Column("id", "typeof(id) <> 'blob' OR length(id) <> 16", nothing, Cells.id),
    number("task", "typeof(task) <> 'integer' OR task NOT IN (SELECT id FROM task_name)"),
    text("queue"),
    whole("priority", -MOST_COUNTED, MOST_COUNTED),
    whole("fence", 0, MOST_FENCE),
    whole("failures", 0, MOST_COUNTED),
    whole("deaths", 0, MOST_COUNTED),
    whole("suspect", 0, 1),
    whole("once", 0, 1, default=1),
    whole("followed", 0, 1),
    maybe(number("follows", "typeof(follows) <> 'integer'")),
    whole("created", 0, LATEST),
    _DUE._replace(damaged=f"state = 1 AND due IS NULL OR {_DUE.damaged}"),
    moment("first_due"),
    moment("started"),
    moment("finished"),
    moment("cancel_asked"),
    maybe(number("runner", "typeof(runner) <> 'integer'")),
    maybe(text("reason", nothing)),
    maybe(text("key", nothing)),
    maybe(text("lane", nothing)),
    maybe(text("owner")),
    maybe(text("release", nothing)),
    json("opts"),
    json("context"),
)
"""The columns by which jobs are found, run, ended and shown; beside them `seq` and `state`."""

NAMES: Final = ("seq", "state", *(column.name for column in JOB))

_OTHERWISE_NAMED: Final = {"concurrency_key": "lane"}
"""Terms whose columns have other names."""

_DECIDED: Final = frozenset({"due", "follows"})
"""Terms that the store decides by when it stores the job."""


def column_of(term: str) -> str:
    """Return the column in which a term is kept."""
    return _OTHERWISE_NAMED.get(term, term)


_STORED_TERMS: Final = tuple(
    name for name in Terms._fields if column_of(name) in {*NAMES, "request"} and name not in _DECIDED
)
_OF_JOB: Final = ("id", "queue", "created")

SHOWN: Final = tuple(
    column
    for column in JOB
    if column.name in {field.name for field in fields(JobRecord)} - {"task", "reason", "started"}
)
"""Those that people are shown as they are."""

GIVEN: Final = tuple(column for name in Given._fields for column in JOB if column.name == name)
"""Those that attempts are given."""


class NewRow:
    """A job that is about to be inserted: what the store decides of it, by the names of the columns."""

    __slots__ = ("due", "fence", "followed", "follows", "job", "reason", "runner", "state", "task")

    def __init__(self, job: NewJob, task: int, due: int | None, runner: int | None = None) -> None:
        self.job = job
        """What it is stored with as its call has said it."""
        self.task = task
        self.state = Stored.READY
        self.due = due
        self.fence = 0
        self.runner = runner
        self.reason: Reason | None = None
        self.followed = False
        self.follows: int | None = None

    def cells(self) -> tuple[Any, ...]:
        """Return what is inserted, in the order of the statement `add_jobs`."""
        terms = self.job.terms
        return (
            *_of_job(self.job),
            self.task, self.state, self.due, self.first_due, self.fence, self.runner, self.reason,
            self.followed, self.follows, *_of_terms(terms), *terms.given,
        )  # fmt: skip

    def replacing(self) -> tuple[Any, ...]:
        """Return what another job's row gets, in the order of the statement `replace_job`."""
        job = self.job
        return (
            job.id, job.created, self.state, self.due, self.first_due, self.reason, *_of_new(job.terms),
            *job.terms.given,
        )  # fmt: skip

    @property
    def first_due(self) -> int | None:
        """When it is due, if it is to start later; what bounds its wait for another job is no such time."""
        return self.due if self.state is Stored.SCHEDULED else None


_DECIDED_CELLS: Final = (
    "task",
    "state",
    "due",
    "first_due",
    "fence",
    "runner",
    "reason",
    "followed",
    "follows",
)
"""In the order of `NewRow.cells`."""


class PlainRow(NamedTuple):
    """The row of a plain job, in the order of the statement `add_plain_jobs`."""

    id: bytes
    task: int
    queue: str
    state: Stored
    fence: int
    runner: int | None
    created: int


_NEW_TERMS: Final = tuple(name for name in _STORED_TERMS if name not in KEPT)

# By places that are found by names: attributes by name take three times as long.
_of_job: Final = itemgetter(*map(NewJob._fields.index, _OF_JOB))
_of_terms: Final = itemgetter(*map(Terms._fields.index, _STORED_TERMS))
_of_new: Final = itemgetter(*map(Terms._fields.index, _NEW_TERMS))

INSERTED: Final = (*_OF_JOB, *_DECIDED_CELLS, *map(column_of, _STORED_TERMS), *Given._fields)
REPLACED: Final = (
    "id",
    "created",
    "state",
    "due",
    "first_due",
    "reason",
    *map(column_of, _NEW_TERMS),
    *Given._fields,
)


def _listed(names: tuple[str, ...], of: str = "") -> str:
    return ", ".join(f"{of}{name}" for name in names)


def _values(names: tuple[str, ...]) -> str:
    return f"({', '.join('?' * len(names))})"


_any_given: Final = " OR ".join(f"j.{name} IS NOT NULL" for name in Given._fields)

SUM_CELLS: Final = (
    "n", "ran", "waited",
    *(f"run_{place}" for place in range(RUN_BUCKETS)), *(f"wait_{place}" for place in range(WAIT_BUCKETS)),
)  # fmt: skip
"""The columns of `sums` with its numbers, in the order of `history.CELLS`."""

SUMMED: Final = ("minute", "task", "queue", "outcome", *SUM_CELLS)

PARTS: Final = {
    "summed": _listed(SUMMED),
    "summed_values": _values(SUMMED),
    "number_values": f"({', '.join(['?'] * 5 + ['0'] * (len(SUMMED) - 5))})",
    "sum_cells": _listed(SUM_CELLS),
    "sum_of_cells": ", ".join(f"sum({name})" for name in SUM_CELLS),
    "added_up": ", ".join(f"{name} = {name} + excluded.{name}" for name in SUM_CELLS),
    "inserted": _listed(INSERTED),
    "inserted_values": _values(INSERTED),
    "plain": _listed(PlainRow._fields),
    "plain_values": _values(PlainRow._fields),
    "replaced": f"({_listed(REPLACED)}) = {_values(REPLACED)}",
    "job": _listed(NAMES, "job."),
    # No array where nothing is given: nearly always.
    "given": f"CASE WHEN {_any_given} THEN json_array({_listed(Given._fields, 'j.')}) END",
    "claimable": " AND ".join(column.claimable for column in GIVEN if column.claimable),
}
"""Parts of statements, by the names that stand for them there."""
