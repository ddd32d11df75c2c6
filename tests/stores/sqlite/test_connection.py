"""Opening a journal: what it is set to, what is refused, and how it comes to its version."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.model.job import NewJob
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore, connection
from postlude.stores.sqlite.connection import APPLICATION_ID, VERSION, check_library, migrate, open_writer
from postlude.stores.sqlite.reader import JournalReader


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def make(path: Path) -> None:
    """Make a journal and close it."""
    store = SqliteStore(path)
    store.open()
    store.close()


def change(path: Path, statement: str) -> None:
    """Change a database that nobody has open, by a program of its own."""
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.close()"
    subprocess.run([sys.executable, "-I", "-c", code, str(path), statement], check=True)


def refused(path: Path, because: str) -> None:
    """It is refused, for this reason, and untouched."""
    before = path.read_bytes()
    with pytest.raises(JournalRefused, match=because) as caught:
        SqliteStore(path).open()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.disk
def test_every_commit_is_durable(path: Path) -> None:
    path.touch()
    db = open_writer(path)
    migrate(db, path)
    pragmas = {
        name: db.execute(f"PRAGMA {name}").get
        for name in ("journal_mode", "synchronous", "fullfsync", "mmap_size", "application_id")
    }
    db.close()
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "fullfsync": 1,
        "mmap_size": 0,
        "application_id": APPLICATION_ID,
    }


@pytest.mark.disk
def test_a_reader_cannot_write(path: Path) -> None:
    make(path)
    db = connection.open_reader(path)
    with pytest.raises(apsw.ReadOnlyError):
        db.execute("DELETE FROM job")
    db.close()


@pytest.mark.disk
def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch()
    make(path)
    reader = JournalReader(path)
    assert reader.counts() == []
    reader.close()


@pytest.mark.disk
def test_an_empty_file_is_no_journal_to_a_reader(path: Path) -> None:
    path.touch()
    with pytest.raises(JournalRefused, match="holds no journal yet"):
        JournalReader(path)


def test_no_file_is_made_by_a_reader(path: Path) -> None:
    with pytest.raises(JournalUnavailable):
        JournalReader(path)
    assert not path.exists()


@pytest.mark.disk
def test_a_journal_that_was_written_anew_from_its_dump_is_one(path: Path) -> None:
    """A dump has no mark. `.recover`, which is for damaged ones, makes the like."""
    with closing(SqliteStore(path)) as store:
        store.open()
        store.add([NewJob(bytes(16), "app:f", "default", b"{}", 1)]).wait(5)
    with closing(sqlite3.connect(path)) as before, closing(sqlite3.connect(path.with_name("new"))) as after:
        after.executescript("".join(before.iterdump()))
    path.with_name("new").replace(path)
    with closing(JournalReader(path)) as reader:
        assert [count.jobs for count in reader.counts()] == [1]
    with closing(SqliteStore(path)) as store:
        store.open()
        runner = store.enlist(NewRunner("r", 15.0)).wait(5).runner
        assert len(store.claim(runner, 10, suspect=False).wait(5).claims) == 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


@pytest.mark.process
@pytest.mark.disk
@pytest.mark.parametrize(
    "foreign",
    ["CREATE TABLE customer (id)", "PRAGMA application_id = 77", "CREATE TABLE meta (key, value)"],
    ids=["tables", "mark", "a table of the same name"],
)
def test_another_programs_database_is_refused(path: Path, foreign: str) -> None:
    path.touch(0o600)
    change(path, foreign)
    refused(path, r"another program's database; name another place for the journal \(store=, or --store\)")
    with pytest.raises(JournalRefused, match="another program's"):
        JournalReader(path)


@pytest.mark.disk
def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_text("Dear diary,\n" * 200)
    path.chmod(0o600)
    refused(path, "is no journal, nor any database; name another place")


@pytest.mark.disk
def test_a_refused_journal_can_be_opened_once_it_is_gone(path: Path) -> None:
    path.write_text("Dear diary,\n" * 200)
    store = SqliteStore(path)
    with pytest.raises(JournalRefused):
        store.open()
    path.unlink()
    store.open()
    assert store.cancel([]).wait(5) == []
    store.close()


@pytest.mark.process
@pytest.mark.disk
def test_a_journal_that_only_newer_programs_may_write(path: Path) -> None:
    make(path)
    change(path, f"UPDATE meta SET value = {VERSION + 1} WHERE key IN ('version', 'min_writer')")
    words = f"newer Postlude .*needs version {VERSION + 1} .* knows {VERSION}.*upgrade Postlude"
    with pytest.raises(JournalRefused, match=words):
        SqliteStore(path).open()
    reader = JournalReader(path)  # it may still be read
    assert reader.counts() == []
    reader.close()


@pytest.mark.process
@pytest.mark.disk
def test_a_journal_that_only_newer_programs_may_read(path: Path) -> None:
    make(path)
    change(path, f"UPDATE meta SET value = {VERSION + 1} WHERE key = 'min_reader'")
    with pytest.raises(JournalRefused, match=f"needs version {VERSION + 1} .* knows {VERSION}"):
        JournalReader(path)


@pytest.mark.process
@pytest.mark.disk
def test_a_newer_journal_that_this_program_may_write_keeps_its_version(path: Path) -> None:
    make(path)
    change(path, f"UPDATE meta SET value = {VERSION + 1} WHERE key = 'version'")
    make(path)
    assert meta(path)["version"] == VERSION + 1


def meta(path: Path) -> dict[str, object]:
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT key, value FROM meta").fetchall())


@pytest.mark.parametrize(
    "version", ["3.51.3", "3.51.10", "3.52.0", "3.54.1", "4.0.0", "3.50.7", "3.50.8", "3.44.6"]
)
def test_libraries_that_keep_a_journal_whole(version: str) -> None:
    check_library(version)


@pytest.mark.parametrize(
    "version", ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.46.1", "3.49.9", "3.50.6", "3.51.0", "3.51.2"]
)
def test_libraries_that_can_corrupt_a_journal(version: str) -> None:
    with pytest.raises(JournalRefused, match=rf"SQLite {version} .*install the package apsw"):
        check_library(version)


def test_opening_looks_at_the_library(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    with pytest.raises(JournalRefused, match=r"3\.40\.1"):
        SqliteStore(path).open()
    assert not path.exists()
