"""Several statements in one round trip: what the server gets, what a failure says, and how few there are."""

from collections.abc import Iterator
from enum import IntEnum, StrEnum
from typing import Any

import psycopg
import pytest
from psycopg import errors

from postlude.errors import JobRefused
from postlude.model.job import NewJob
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.stores.grouped.backend import Verb
from postlude.stores.postgres import PostgresStore
from postlude.stores.postgres.backend import PostgresBackend
from postlude.stores.postgres.together import BEGIN, COMMIT, Failed, Statement, Together, array, number, text
from postlude.stores.protocol import NewRunner
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.process, pytest.mark.disk]

PATIENCE = 10.0
TASK = "shop:send"


class Seven(IntEnum):
    SEVEN = 7


class Word(StrEnum):
    WORD = "word"


@pytest.fixture
def db(server: PostgresServer) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(server.url, autocommit=True) as db:
        yield db


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [1, -2, 2**63 - 1]),
        ("bigint", [None, 5, None]),
        ("bigint", [Seven.SEVEN, True, 3]),
        ("bigint", []),
        ("bytea", [b"", b"\0\xff" * 300, None]),
        ("text", ["a", "b c", "", "NULL", "{x,y}", "\u00e9\u20ac"]),
        ("text", ["plain", 'a "quoted" one', "back\\slash", None, Word.WORD]),
        ("text", ['","', "a"]),
        ("text", ["back\\slash", "b"]),
        ("float8", [1.5, None, 3, -1e300]),
    ],
)
def test_a_column_arrives_as_it_is(db: "psycopg.Connection[Any]", kind: str, values: list[Any]) -> None:
    db.execute(f"CREATE TEMP TABLE seen (value {kind}[], more bigint, named text)")
    insert = Statement(
        "insert",
        f"INSERT INTO seen VALUES ($1::{kind}[], $2, $3)",
        [array(values), number(-3), text("\u00e9")],
    )
    Together(db.pgconn).send([insert, insert])
    assert db.execute("SELECT value, more, named FROM seen").fetchall() == [(values, -3, "\u00e9")] * 2


@pytest.mark.parametrize("value", ["a\0b", "half \ud800"])
def test_what_the_server_cannot_have_is_refused(value: str) -> None:
    with pytest.raises(psycopg.DataError):
        array([value])


def test_after_a_failure_nothing_is_done_and_the_next_ones_are(db: "psycopg.Connection[Any]") -> None:
    db.execute("CREATE TEMP TABLE seen (value bigint)")
    together = Together(db.pgconn)
    insert = Statement("insert", "INSERT INTO seen VALUES ($1)", [number(1)])
    divide = Statement("divide", "SELECT 1 / $1::bigint", [number(0)])
    with pytest.raises(Failed) as failed:
        together.send([BEGIN, insert, divide, insert, COMMIT])
    assert failed.value.place == 2
    assert isinstance(failed.value.error, errors.DivisionByZero)
    db.pgconn.exec_(b"ROLLBACK")
    assert db.execute("SELECT count(*) FROM seen").fetchone() == (0,)
    together.send([BEGIN, insert, COMMIT])
    assert db.execute("SELECT count(*) FROM seen").fetchone() == (1,)


def test_one_that_cannot_be_prepared_may_be_sent_again(db: "psycopg.Connection[Any]") -> None:
    together = Together(db.pgconn)
    insert = Statement("insert", "INSERT INTO seen VALUES ($1)", [number(1)])
    with pytest.raises(Failed) as failed:
        together.send([insert])
    assert isinstance(failed.value.error, errors.UndefinedTable)
    db.execute("CREATE TEMP TABLE seen (value bigint)")
    together.send([insert])
    assert db.execute("SELECT count(*) FROM seen").fetchone() == (1,)


def test_a_connection_that_was_ended_says_why(server: PostgresServer, db: "psycopg.Connection[Any]") -> None:
    together = Together(db.pgconn)
    with psycopg.connect(server.url, autocommit=True) as beside:
        beside.execute("SELECT pg_terminate_backend(%s, 5000)", [db.info.backend_pid])
    with pytest.raises(Failed) as failed:
        together.send([BEGIN, COMMIT])
    assert failed.value.place is None
    assert isinstance(failed.value.error, psycopg.OperationalError)
    assert db.closed


def test_more_than_the_sockets_hold_goes_through(db: "psycopg.Connection[Any]") -> None:
    """Both sides would wait for each other for ever, if one only wrote."""
    echo = Statement("echo", "SELECT $1::bytea[]", [array([bytes(8_000_000)])])
    results = Together(db.pgconn).send([echo] * 4)
    assert [len(one.get_value(0, 0) or b"") > 8_000_000 for one in results] == [True] * 4


class Counted:
    """A backend whose round trips are counted."""

    def __init__(self, url: str, schema: str) -> None:
        self.backend = PostgresBackend(url, schema)
        self.backend.open()
        self.trips: list[str] = []
        db, together = self.backend._db, self.backend._together
        assert db is not None
        assert together is not None
        execute, send = db.execute, together.send

        def executed(words: Any, *values: Any) -> Any:
            self.trips.append(words)
            return execute(words, *values)

        def sent(statements: Any) -> Any:
            self.trips.append(" ".join(one.name for one in statements))
            return send(statements)

        db.execute = executed  # type: ignore[method-assign, assignment]
        together.send = sent  # type: ignore[method-assign]

    def group(self, jobs: int, *calls: tuple[Verb, list[Any]]) -> list[list[Any]]:
        self.trips.clear()
        self.backend.begin(jobs)
        answers = [self.backend.apply(*call) for call in calls]
        self.backend.commit()
        return answers


def job(number: int) -> NewJob:
    return NewJob(number.to_bytes(16), TASK, "default", b"{}", 1)


def test_a_group_of_adds_and_ends_takes_two(server: PostgresServer, schema: str) -> None:
    counted = Counted(server.url, schema)
    try:
        (enlisted,), *_ = counted.group(0, (Verb.ENLIST, [NewRunner("r", 60.0)]))
        ((((first,), *_),),) = (counted.group(1, (Verb.ADD, [([job(1)], enlisted.runner)])),)
        for seen in range(2, 6):
            end = Finish(first.seq, first.fence, TASK, 1, 2, SUCCEEDED)
            ends, ((first,), _) = counted.group(
                2,
                (Verb.FINISH, [[end]]),
                (Verb.ADD, [([job(2 * seen)], enlisted.runner), ([job(2 * seen + 1)], enlisted.runner)]),
            )
            assert ends == [[True]]
        assert counted.trips == [
            "begin turn at_turn may_be_born_claimed numbers",
            "finish_all_succeeded add_plain_jobs add_stats add_sums commit",
        ]
    finally:
        counted.backend.close()


def test_numbers_are_drawn_for_what_is_added_and_for_no_more(server: PostgresServer, schema: str) -> None:
    store = PostgresStore(server.url, schema=schema)
    store.open()
    try:
        added = [store.add([job(number)]).wait(PATIENCE)[0].seq for number in range(1, 4)]
        added += [one.seq for one in store.add([job(number) for number in range(4, 9)]).wait(PATIENCE)]
        assert added == list(range(added[0], added[0] + 8))
    finally:
        store.close()


def test_of_too_few_numbers_none_is_used(server: PostgresServer, schema: str) -> None:
    """What is added later in a group has a later place."""
    counted = Counted(server.url, schema)
    try:
        adds = [[([job(1), job(2)], None)], [([job(3)], None)]]
        answers = counted.group(1, *((Verb.ADD, calls) for calls in adds))
        seqs = [one.seq for ((*added,),) in answers for one in added]
        assert seqs == sorted(seqs)
        assert len(seqs) == 3
    finally:
        counted.backend.close()


def test_a_group_of_which_a_claim_is_lost_is_looked_at_one_by_one(
    server: PostgresServer, schema: str
) -> None:
    store = PostgresStore(server.url, schema=schema)
    store.open()
    try:
        runner = store.enlist(NewRunner("r", 60.0)).wait(PATIENCE).runner
        jobs = [store.add([job(number)], claim_for=runner).wait(PATIENCE)[0] for number in range(1, 4)]
        ends = [Finish(one.seq, one.fence, TASK, 1, 2, SUCCEEDED) for one in jobs]
        ends[1] = ends[1]._replace(fence=9)
        assert store.finish(ends).wait(PATIENCE) == [True, False, True]
        assert store.finish(ends).wait(PATIENCE) == [False, False, False]
        assert store.finish([ends[1]._replace(fence=1)]).wait(PATIENCE) == [True]
    finally:
        store.close()


def test_what_cannot_be_stored_is_refused_alone(server: PostgresServer, schema: str) -> None:
    store = PostgresStore(server.url, schema=schema)
    store.open()
    try:
        runner = store.enlist(NewRunner("r", 60.0)).wait(PATIENCE).runner
        store.add([job(1)], claim_for=runner).wait(PATIENCE)
        with pytest.raises(JobRefused, match="cannot store this"):
            store.add([job(1)], claim_for=runner).wait(PATIENCE)
        assert store.add([job(2)], claim_for=runner).wait(PATIENCE)[0].fence == 1
    finally:
        store.close()
