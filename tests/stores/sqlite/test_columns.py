"""The list of the job's columns agrees with the schema, and what is made of it with those who use it."""

import re
from importlib.resources import files

import apsw
import pytest

from postlude.model.job import NewJob
from postlude.model.terms import KEPT, Given, Terms
from postlude.stores.relational.columns import GIVEN, JOB, NAMES, NewRow, PlainRow, column_of
from postlude.stores.sqlite.sql import MIGRATIONS, SQL

NOT_LOOKED_AT = {"request", "parent", "pending", "version", "position", "published_at", "publishes"}
"""Columns that no statement reads so far."""

NOT_STORED = {"conflict", "rated", "held", "given"}
"""Terms that only say how a job is stored."""


@pytest.fixture(scope="module")
def db() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    db.execute("".join(MIGRATIONS))
    return db


def columns(db: apsw.Connection) -> set[str]:
    return {str(name) for (name,) in db.execute("SELECT name FROM pragma_table_info('job')").fetchall()}


def test_every_column_is_in_the_list(db: apsw.Connection) -> None:
    assert set(NAMES) | NOT_LOOKED_AT == columns(db)
    assert len(set(NAMES)) == len(NAMES) == len(JOB) + 2


def test_what_a_call_says_of_a_job_has_its_column(db: apsw.Connection) -> None:
    assert {column_of(term) for term in Terms._fields if term not in NOT_STORED} <= columns(db)
    assert tuple(column.name for column in GIVEN) == Given._fields
    assert set(KEPT) <= set(Terms._fields)


def stored(db: apsw.Connection) -> dict[str, object]:
    names = sorted(columns(db))
    row = db.execute(f"SELECT {', '.join(names)} FROM job").fetchall()[0]
    db.execute("DELETE FROM job")
    return dict(zip(names, row, strict=True))


def distinct() -> NewRow:
    """A row in which no two cells are equal."""
    terms = Terms(
        priority=1,
        once=True,
        request=b"r",
        owner="o",
        key="k",
        concurrency_key="c",
        given=Given("opts", "context"),
    )
    row = NewRow(NewJob(b"i" * 16, "t", "q", b"", 3, terms), 4, 5, 6)
    row.fence, row.follows, row.followed = 7, 8, True
    return row


def test_each_cell_is_inserted_where_it_belongs(db: apsw.Connection) -> None:
    row = distinct()
    db.execute(SQL["add_jobs"], row.cells())
    assert stored(db).items() >= {
        "id": b"i" * 16, "queue": "q", "created": 3, "task": 4, "due": 5, "runner": 6, "fence": 7,
        "follows": 8, "followed": 1, "state": 0, "priority": 1, "once": 1, "request": b"r", "owner": "o",
        "key": "k", "lane": "c", "opts": "opts", "context": "context",
    }.items()  # fmt: skip


def test_each_cell_is_replaced_where_it_belongs(db: apsw.Connection) -> None:
    db.execute(
        "INSERT INTO job (seq, id, task, queue, state, created) VALUES (1, zeroblob(16), 1, 'old', 2, 1)"
    )
    db.execute(SQL["replace_job"], (*distinct().replacing(), 1))
    assert stored(db).items() >= {
        "id": b"i" * 16, "queue": "old", "created": 3, "due": 5, "state": 0, "priority": 1, "owner": "o",
        "key": "k", "lane": "c", "opts": "opts", "context": "context", "once": 0, "request": None,
    }.items()  # fmt: skip


def test_each_cell_of_a_plain_job_is_inserted_where_it_belongs(db: apsw.Connection) -> None:
    plain = PlainRow(id=b"i" * 16, task=1, queue="q", state=distinct().state, fence=2, runner=3, created=4)
    db.execute(SQL["add_plain_jobs"], plain)
    cells = plain._asdict()
    assert stored(db).items() >= {**cells, "state": 0}.items()


def test_no_statement_has_the_name_of_another() -> None:
    text = files("postlude.stores.sqlite.sql").joinpath("statements.sql").read_text("utf-8")
    names = re.findall(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    assert len(names) == len(set(names))
    assert set(names) == set(SQL)
