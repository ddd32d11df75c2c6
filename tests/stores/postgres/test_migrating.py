"""How a journal in PostgreSQL comes to its version, who may use which, and who may make it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.model.job import NewJob
from postlude.stores.postgres import PostgresReading, PostgresStore, connection
from postlude.stores.postgres.connection import VERSION, connect, migrate
from postlude.stores.postgres.sql import MIGRATIONS
from postlude.stores.protocol import NewRunner
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.process, pytest.mark.disk]
PATIENCE = 20.0
ROOT = Path(__file__).parents[3]


@pytest.fixture
def db(server: PostgresServer) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(server.url, autocommit=True) as db:
        yield db


def make(server: PostgresServer, schema: str) -> None:
    """Open a journal, use it, and close it."""
    store = PostgresStore(server.url, schema=schema)
    store.open()
    store.add([NewJob(os.urandom(16), "app:task", "default", b"{}", 0)]).wait(PATIENCE)
    store.close()


def meta(db: Any, schema: str) -> dict[str, str]:
    return dict(db.execute(f"SELECT key, value FROM {schema}.meta").fetchall())


def set_meta(db: Any, schema: str, key: str, value: object) -> None:
    db.execute(f"UPDATE {schema}.meta SET value = %s WHERE key = %s", (str(value), key))


def test_four_that_make_it_at_once(server: PostgresServer, schema: str, db: Any) -> None:
    barrier, raised = threading.Barrier(4), list[BaseException]()

    def run() -> None:
        with connect(server.url, "test") as own:
            barrier.wait(PATIENCE)
            try:
                migrate(own, schema)
            except BaseException as error:
                raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert raised == []
    assert meta(db, schema)["version"] == str(VERSION)


def test_a_step_that_fails_leaves_nothing(
    server: PostgresServer, schema: str, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "CREATE TABLE $schema.more (id integer); SELECT pg_terminate_backend(pg_backend_pid())"
    monkeypatch.setattr(connection, "MIGRATIONS", (*MIGRATIONS, more))
    with pytest.raises(JournalUnavailable):
        PostgresStore(server.url, schema=schema).open()
    assert db.execute("SELECT to_regnamespace(%s)", (schema,)).fetchone() == (None,)
    monkeypatch.undo()
    make(server, schema)


@pytest.mark.parametrize("first", [True, False])
def test_killed_in_the_middle_another_one_does_it(
    server: PostgresServer, schema: str, db: Any, first: bool
) -> None:
    if not first:
        make(server, schema)
    code = (
        "import sys; from postlude.stores.postgres import connection as c;"
        "c.MIGRATIONS += ('CREATE TABLE $schema.more (id integer); SELECT pg_sleep(1)',);"
        "c.VERSION += 1; c.migrate(c.connect(sys.argv[1], 'killed'), sys.argv[2])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, server.url, schema], cwd=ROOT)
    until = time.monotonic() + PATIENCE
    sleeps = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'killed' AND query LIKE '%pg_sleep%'"
    while db.execute(sleeps).fetchone() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    make(server, schema)  # when the server has noticed
    assert meta(db, schema)["version"] == str(VERSION)
    assert db.execute("SELECT to_regclass(%s)", (f"{schema}.more",)).fetchone() == (None,)


def test_a_later_step_is_taken_once_and_the_older_release_goes_on(
    server: PostgresServer, schema: str, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = PostgresStore(server.url, schema=schema)
    old.open()
    runner = old.enlist(NewRunner("old", 15.0)).wait(PATIENCE).runner
    more = "ALTER TABLE $schema.job ADD COLUMN more integer; CREATE TABLE $schema.more (id integer)"
    monkeypatch.setattr(connection, "MIGRATIONS", (*MIGRATIONS, more))
    monkeypatch.setattr(connection, "VERSION", VERSION + 1)
    make(server, schema)
    make(server, schema)
    assert meta(db, schema)["version"] == str(VERSION + 1)
    monkeypatch.undo()
    old.add([NewJob(os.urandom(16), "app:task", "default", b"{}", 0)]).wait(PATIENCE)
    assert len(old.claim(runner, 10, suspect=False).wait(PATIENCE).claims) == 3
    old.close()
    make(server, schema)  # one that is rolled back, too
    journal = PostgresReading(server.url, schema)
    assert sum(one.jobs for one in journal.counts().wait()) == 4
    journal.close()


@pytest.mark.parametrize("key", ["min_writer", "min_reader"])
def test_what_an_older_release_must_not_do_it_refuses(
    key: str, server: PostgresServer, schema: str, db: Any
) -> None:
    make(server, schema)
    set_meta(db, schema, "version", VERSION + 2)
    set_meta(db, schema, key, VERSION + 1)
    newer = rf"made by a newer Postlude \(it needs version {VERSION + 1} .* knows {VERSION}\); upgrade"
    if key == "min_reader":
        with pytest.raises(JournalRefused, match=newer):
            PostgresReading(server.url, schema)
    else:
        PostgresReading(server.url, schema).close()
        with pytest.raises(JournalRefused, match=newer):
            PostgresStore(server.url, schema=schema).open()


def test_nobody_looks_at_the_form_of_an_older_release(
    server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(server, schema)
    monkeypatch.setattr(connection, "VERSION", VERSION + 1)
    with pytest.raises(JournalRefused, match=r"older release .* `postlude migrate`"):
        PostgresReading(server.url, schema)


@pytest.mark.parametrize("key", ["version", "min_reader", "min_writer"])
def test_a_journal_that_does_not_say_its_version_is_damaged(
    key: str, server: PostgresServer, schema: str, db: Any
) -> None:
    make(server, schema)
    db.execute(f"DELETE FROM {schema}.meta WHERE key = %s", (key,))
    with pytest.raises(JournalRefused, match=f"is damaged: its meta has no {key}"):
        PostgresReading(server.url, schema) if key == "min_reader" else make(server, schema)


@pytest.fixture
def role(db: Any, server: PostgresServer) -> Iterator[str]:
    """The URL of a user who may do nothing."""
    db.execute("DROP ROLE IF EXISTS weak")
    db.execute("CREATE ROLE weak LOGIN")
    yield server.url.replace("postgres@", "weak@")
    db.execute("DROP OWNED BY weak CASCADE")
    db.execute("DROP ROLE weak")


def test_who_may_not_make_it_is_told_what_to_grant(role: str, schema: str, db: Any) -> None:
    remedy = rf"GRANT CREATE ON DATABASE postgres TO weak, .*CREATE SCHEMA {schema} AUTHORIZATION weak"
    with pytest.raises(JournalRefused, match=remedy):
        PostgresStore(role, schema=schema).open()
    db.execute(f"CREATE SCHEMA {schema} AUTHORIZATION weak")  # as it says
    store = PostgresStore(role, schema=schema)
    store.open()
    store.close()


def test_who_may_not_use_anothers_is_told_whose_it_is(
    role: str, server: PostgresServer, schema: str, db: Any
) -> None:
    make(server, schema)
    for look in (lambda: PostgresStore(role, schema=schema).open(), lambda: PostgresReading(role, schema)):
        with pytest.raises(JournalRefused, match=r"the user weak may not .* it belongs to postgres"):
            look()
    db.execute(f"GRANT USAGE ON SCHEMA {schema} TO weak")  # as docs/postgres.md has it
    db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO weak")
    db.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO weak")
    store = PostgresStore(role, schema=schema)
    store.open()
    store.add([NewJob(os.urandom(16), "app:task", "default", b"{}", 0)]).wait(PATIENCE)
    runner = store.enlist(NewRunner("r", 15.0)).wait(PATIENCE).runner
    assert len(store.claim(runner, 10, suspect=False).wait(PATIENCE).claims) == 2
    store.close()
