"""How a journal comes to its version, and when it is checked for damage."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.model.job import NewJob
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore, connection
from postlude.stores.sqlite.connection import VERSION, migrate, open_writer
from postlude.stores.sqlite.sql import MIGRATIONS

pytestmark = pytest.mark.disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def make(path: Path) -> None:
    """Make a journal and close it."""
    store = SqliteStore(path)
    store.open()
    store.close()


def meta(path: Path) -> dict[str, object]:
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT key, value FROM meta").fetchall())


def at_once(calls: list[Callable[[], object]]) -> list[BaseException]:
    """Make calls from as many threads at the same moment; return what they raised."""
    barrier, raised = threading.Barrier(len(calls)), list[BaseException]()

    def run(call: Callable[[], object]) -> None:
        barrier.wait(5)
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return raised


def test_two_connections_that_migrate_at_once(path: Path) -> None:
    path.touch()
    connections = [open_writer(path) for _ in range(2)]
    assert at_once([lambda db=db: migrate(db, path) for db in connections]) == []  # type: ignore[misc]
    assert [db.execute("SELECT value FROM meta WHERE key = 'version'").get for db in connections] == [
        VERSION
    ] * 2
    for db in connections:
        db.close()


@pytest.mark.process
def test_four_processes_that_make_the_journal_at_once(path: Path) -> None:
    code = (
        "import sys; from postlude.stores.sqlite import SqliteStore; store = SqliteStore(sys.argv[1]);"
        "print('here', flush=True); sys.stdin.readline(); store.open();"
        "print(store.cancel([]).wait(5)); store.close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=20)[0] for process in processes] == ["[]\n"] * 4
    assert meta(path)["version"] == VERSION


def test_a_migration_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (id); SELECT no_such"))
    with pytest.raises(JournalUnavailable):
        SqliteStore(path).open()
    monkeypatch.undo()
    tables = "SELECT count(*) FROM sqlite_master"
    db = open_writer(path)
    assert (db.execute(tables).get, db.execute("PRAGMA application_id").get) == (0, 0)
    db.close()
    make(path)


def test_a_later_step_is_taken_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(path)
    before = meta(path)
    monkeypatch.setattr(connection, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (id)"))
    monkeypatch.setattr(connection, "VERSION", VERSION + 1)
    make(path)
    make(path)
    assert meta(path) == {**before, "version": VERSION + 1, "opened": 3}


# -- damage -----------------------------------------------------------------------------------


def left_unclean(path: Path, *, runner: bool = True) -> None:
    """Make a journal with a thousand jobs as a process leaves it that does not retire its runner."""
    store = SqliteStore(path)
    store.open()
    if runner:
        store.enlist(NewRunner("r1", 15.0)).wait(5)
    ids = (number.to_bytes(16, "big") for number in range(1000))
    store.add([NewJob(id, "app:task", "default", b"{}", 0) for id in ids]).wait(5)
    store.close()


def damage(path: Path) -> None:
    """Overwrite a page of the index by id, in the middle of the file."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    size = db.execute("PRAGMA page_size").get
    page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_job_1'").get
    db.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xaa" * size)


def test_a_damaged_journal_is_refused_after_an_unclean_stop(path: Path) -> None:
    left_unclean(path)
    damage(path)
    with pytest.raises(JournalRefused, match="is damaged"):
        SqliteStore(path).open()


def test_a_whole_journal_opens_after_an_unclean_stop(path: Path) -> None:
    left_unclean(path)
    make(path)


def test_the_check_is_for_unclean_stops_and_small_journals(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_unclean(path, runner=False)
    damage(path)
    make(path)  # nobody was there to leave it half-written
    path.unlink()
    left_unclean(path)
    damage(path)
    monkeypatch.setattr(connection, "SMALL", 0)
    make(path)  # the start would take too long


@pytest.mark.parametrize("key", ["version", "min_reader", "min_writer"])
def test_a_journal_that_does_not_say_its_version_is_damaged(path: Path, key: str) -> None:
    make(path)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM meta WHERE key = ?", (key,))
    db.close()
    with pytest.raises(JournalRefused, match=f"is damaged .meta has no {key}"):
        make(path)
