"""A reader that stays lets the WAL grow: who it is, and how much, is said; and it shrinks afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from postlude.clock import ManualClock
from postlude.model.event.journal import WalReader
from postlude.model.job import NewJob
from postlude.stores.grouped.backend import Verb
from postlude.stores.sqlite import backend as backends
from postlude.stores.sqlite import connection, growth
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.growth import who_reads
from postlude.stores.sqlite.guard import Guard
from postlude.stores.sqlite.held import Identity
from postlude.stores.sqlite.wal_index import Index

pytestmark = pytest.mark.disk

LIMIT = 100_000


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteBackend]:
    monkeypatch.setattr(backends, "FOLD_FROM", 20)
    monkeypatch.setattr(growth, "FIRST_TOLD", 150)
    monkeypatch.setattr(connection, "WAL_LIMIT", LIMIT)
    backend = SqliteBackend(JournalFiles(tmp_path / "jobs.db"), ManualClock())
    backend.open()
    yield backend
    backend.close()


def write(backend: SqliteBackend, groups: int) -> None:
    for _ in range(groups):
        backend.acquire()
        backend.begin()
        backend.apply(Verb.ADD, [([NewJob(os.urandom(16), "app:f", "default", b"x" * 500, 1)], None)])
        backend.commit()
        backend.tidy()
        backend.release()


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """Have a process read in one transaction; gives its number."""
    code = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("BEGIN"); db.execute("SELECT count(*) FROM job").fetchone()
print("reads", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-I", "-c", code, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "reads\n"
    try:
        yield process.pid
    finally:
        process.communicate()


@pytest.mark.process
def test_who_lets_it_grow_is_said_once_a_step(
    backend: SqliteBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(backend, 5)
    with reading(tmp_path / "jobs.db") as pid:
        write(backend, 150)
        said = [record.getMessage() for record in caplog.records]
        assert f"because process {pid} (python" in said[0]
        assert said[0].startswith(
            f"the WAL of the journal {tmp_path.resolve() / 'jobs.db'} has grown to 0 MB"
        )
        frames = (tmp_path / "jobs.db-wal").stat().st_size // (4096 + 24)
        assert 2 <= len(said) <= frames.bit_length(), "once for each doubling"
    caplog.clear()
    write(backend, 10)
    (record,) = caplog.records
    assert "is folded again" in record.getMessage()
    assert (tmp_path / "jobs.db-wal").stat().st_size <= LIMIT + 20 * 4120


@pytest.mark.process
def test_a_reader_that_has_ended_is_not_mentioned(
    backend: SqliteBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with reading(tmp_path / "jobs.db"):
        write(backend, 2)
    write(backend, 200)
    assert caplog.records == []


def test_a_connection_of_the_process_itself_is_named(
    backend: SqliteBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(backend, 5)
    reader = apsw.Connection(str(tmp_path / "jobs.db"), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM job").fetchall()
    write(backend, 100)
    reader.close()
    assert "because this very process reads" in caplog.records[0].getMessage()


class Held:
    """A guard, as far as it is asked."""

    index = Identity(1, 77)


@pytest.mark.parametrize(
    "line, who",
    [
        ("1: POSIX  ADVISORY  READ 12345678 00:2f:77 124 124", [WalReader(12345678, None)]),
        ("1: POSIX  ADVISORY  READ 12345678 00:2f:77 123 123", [WalReader(12345678, None)]),
        ("1: POSIX  ADVISORY  READ 0 00:2f:77 124 124", [WalReader(0, None)]),
        ("1: POSIX  ADVISORY  READ 12345678 00:2f:77 125 125", []),
        ("1: POSIX  ADVISORY  READ 12345678 00:2f:77 128 128", []),
        ("1: POSIX  ADVISORY  READ 12345678 00:2f:78 124 124", []),
        ("1: POSIX  ADVISORY  WRITE 12345678 00:2f:77 124 124", []),
        ("1: OFDLCK ADVISORY  READ -1 00:2f:77 124 124", []),
        ("1: -> POSIX  ADVISORY  READ 12345678 00:2f:77 124 124", []),
        ("1: POSIX  ADVISORY  READ 12345678 00:2f:77 0 EOF", []),
        ("nonsense", []),
    ],
)
def test_what_the_kernels_table_tells(tmp_path: Path, line: str, who: list[WalReader]) -> None:
    table = tmp_path / "locks"
    table.write_text(f"{line}\n")
    index = Index(4096, 100, 10, b"", 50, (0, 50, 100, 0xFFFFFFFF, 0xFFFFFFFF))
    guard: Guard = Held()  # type: ignore[assignment]
    assert who_reads(guard, index, table) == who


def test_without_a_table_nobody_is_named(tmp_path: Path) -> None:
    guard: Guard = Held()  # type: ignore[assignment]
    assert who_reads(guard, Index(4096, 1, 1, b"", 0, (0, 0)), tmp_path / "missing") == []
