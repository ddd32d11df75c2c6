"""Who is taken for dead on PostgreSQL, and who is not."""

import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Queue
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from postlude.errors import JournalUnavailable
from postlude.model.job import NewJob
from postlude.stores.grouped.backend import Conflict
from postlude.stores.postgres import PostgresStore
from postlude.stores.postgres.connection import connect, space_of
from postlude.stores.postgres.guard import Guard
from postlude.stores.postgres.marks import PostgresMarks
from postlude.stores.postgres.runners import Runners
from postlude.stores.protocol import NewRunner
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.process, pytest.mark.disk]

PATIENCE = 10.0
WRITERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE application_name LIKE 'postlude-writer%'"
)
"""Ends their sessions, and waits until they have ended: until then they hold their locks."""


@pytest.fixture
def two(server: PostgresServer, schema: str) -> Iterator[tuple[PostgresStore, PostgresStore]]:
    stores = PostgresStore(server.url, schema=schema), PostgresStore(server.url, schema=schema)
    for store in stores:
        store.open()
    yield stores
    for store in stores:
        store.close()


def test_whose_connection_was_ended_is_not_buried(
    two: tuple[PostgresStore, PostgresStore], server: PostgresServer
) -> None:
    idle, other = two
    runner = idle.enlist(NewRunner("r", 60)).wait(PATIENCE).runner
    with psycopg.connect(server.url, autocommit=True) as db:
        for _ in range(3):
            db.execute(WRITERS)
            until = time.monotonic() + 1.2  # more than twice the time for which a lock has to be free
            while time.monotonic() < until:
                with suppress(JournalUnavailable):  # its own connection was ended too
                    assert other.reap().wait(PATIENCE).runners == 0
                time.sleep(0.05)
    assert idle.renew(runner).wait(PATIENCE)


def test_a_session_that_was_ended_before_a_group_is_replaced_for_it(
    two: tuple[PostgresStore, PostgresStore], server: PostgresServer
) -> None:
    """Nothing had been asked of it: nobody need be told that the journal is not to be written."""
    store, _ = two
    with psycopg.connect(server.url, autocommit=True) as db:
        for number in range(5):
            db.execute(WRITERS)
            job = NewJob(number.to_bytes(16), "shop:send", "default", b"{}", 1)
            assert store.add([job]).wait(PATIENCE)


def test_starts_are_written_again_when_their_group_was_undone(
    two: tuple[PostgresStore, PostgresStore], server: PostgresServer, schema: str
) -> None:
    store, _ = two
    enlisted = store.enlist(NewRunner("r", 60)).wait(PATIENCE)
    job = NewJob(bytes(16), "shop:send", "default", b"{}", 1)
    (added,) = store.add([job], claim_for=enlisted.runner).wait(PATIENCE)
    backend: Any = store._writer._backend  # type: ignore[union-attr]
    begin, begun = backend.begin, list[int]()

    def begin_in_vain(jobs: int = 0) -> None:
        begin(jobs)
        begun.append(jobs)
        if len(begun) < 3:
            backend.rollback()
            raise Conflict("others were in the way")

    backend.begin = begin_in_vain
    enlisted.marks.started(added.seq, added.fence, 5)
    with psycopg.connect(server.url, autocommit=True) as db:
        until = time.monotonic() + PATIENCE
        while not (found := db.execute(f"SELECT seq, at FROM {schema}.start").fetchall()):
            assert time.monotonic() < until
            time.sleep(0.02)
    assert found == [(added.seq, 5)]
    assert len(begun) >= 3


def test_who_has_died_is_buried_long_before_its_lease_is_over(
    two: tuple[PostgresStore, PostgresStore],
) -> None:
    dies, other = two
    dies.enlist(NewRunner("r", 60)).wait(PATIENCE)
    dies.close()  # without retiring it, as a killed process does
    started = time.monotonic()
    while other.reap().wait(PATIENCE).runners == 0:
        assert time.monotonic() - started < 10
        time.sleep(0.05)
    assert time.monotonic() - started >= 0.4, "not at the first sight of a free lock"


def stuck(store: PostgresStore) -> None:
    """Take the turn of all groups in a store's session, as a process does that is stopped then."""
    backend: Any = store._writer._backend  # type: ignore[union-attr]
    backend.turns.take(backend._db, backend._together)


def test_who_is_stopped_in_its_turn_holds_up_others_for_a_while_only(
    two: tuple[PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, other = two
    runner = other.enlist(NewRunner("r", 60)).wait(PATIENCE).runner
    stuck(stopped)
    started = time.monotonic()
    assert other.renew(runner).wait(PATIENCE)
    assert 0.5 < time.monotonic() - started < 8
    with suppress(JournalUnavailable):
        stopped.reap().wait(PATIENCE)  # finds that its session was ended
    assert stopped.reap().wait(PATIENCE).runners == 0


def test_who_could_not_renew_for_others_is_not_buried(
    two: tuple[PostgresStore, PostgresStore], server: PostgresServer
) -> None:
    """The first look after all were held up buries nobody."""
    held_up, other = two
    with psycopg.connect(server.url, autocommit=True) as db:
        runner = held_up.enlist(NewRunner("r", 1.0)).wait(PATIENCE).runner
        space = space_of(other._schema)
        db.execute("SELECT pg_advisory_lock(%s, -1)", (space,))  # as a slow disk would hold up all
        look = other.reap()
        time.sleep(2.5)
        db.execute("SELECT pg_advisory_unlock(%s, -1)", (space,))
        assert look.wait(PATIENCE).runners == 0
        assert other.reap().wait(PATIENCE).runners == 0
        assert held_up.renew(runner).wait(PATIENCE)
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            assert other.reap().wait(PATIENCE).runners == 0
            held_up.renew(runner).wait(PATIENCE)
            time.sleep(0.05)
        started = time.monotonic()
        while other.reap().wait(PATIENCE).runners == 0:  # now it had its time
            assert time.monotonic() - started < 10
            time.sleep(0.05)
    assert not held_up.renew(runner).wait(PATIENCE)


def test_each_runner_has_a_lock_also_on_a_new_session(
    two: tuple[PostgresStore, PostgresStore], server: PostgresServer, schema: str
) -> None:
    """Who may not see others' sessions (another role) knows the living by it alone."""
    idle, _ = two
    runner = idle.enlist(NewRunner("r", 60)).wait(PATIENCE).runner
    space = space_of(schema)
    held = "SELECT NOT pg_try_advisory_xact_lock(%s, %s)"
    with psycopg.connect(server.url, autocommit=True) as db:
        assert db.execute(held, (space, runner)).fetchone() == (True,)
        db.execute(WRITERS)
        started = time.monotonic()
        while db.execute(held, (space, runner)).fetchone() == (False,):
            assert time.monotonic() - started < PATIENCE
            time.sleep(0.01)
        assert idle.retire(runner, draining=False).wait(PATIENCE) == 0
        while db.execute(held, (space, runner)).fetchone() == (True,):
            assert time.monotonic() - started < PATIENCE
            time.sleep(0.01)


def test_a_lock_that_was_looked_at_when_it_was_to_be_taken_again_is_taken_later(
    server: PostgresServer,
) -> None:
    """Who looks for the dead tries their locks, and has each for a moment."""
    space, runner = 7, 4242
    runners = Runners(space, held=None)  # type: ignore[arg-type]
    runners.marks[runner] = PostgresMarks(runner)
    with connect(server.url, "one") as anew, connect(server.url, "another") as other:
        other.execute("SELECT pg_advisory_lock($1, $2)", [space, runner])
        runners.hold(anew)
        assert not runners.is_locked
        other.execute("SELECT pg_advisory_unlock($1, $2)", [space, runner])
        runners.write_starts(SimpleNamespace(pg=anew))  # type: ignore[arg-type]  # as each group does
        assert runners.is_locked
        tried = other.execute("SELECT pg_try_advisory_lock($1, $2)", [space, runner])
        assert tried.fetchone() == (False,)


class Waiting:
    """Stands for a backend whose runners have no locks yet."""

    def __init__(self) -> None:
        self.runners = Runners(7, held=None)  # type: ignore[arg-type]
        self.runners.marks[4242] = PostgresMarks(4242)
        self.runners._unlocked.add(4242)

    def is_lost(self) -> bool:
        return False


def test_the_guard_has_missing_locks_taken() -> None:
    renewed = Queue[int]()
    guard = Guard(Waiting(), renewed.put)  # type: ignore[arg-type]
    assert renewed.get(timeout=PATIENCE) == 4242
    guard.stop()
