"""The WAL is folded into the database once it has grown, when those who asked have been answered."""

import fcntl
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude.clock import ManualClock
from postlude.model.job import NewJob
from postlude.stores.backend import Broken, Verb
from postlude.stores.sqlite import backend as backends
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.files import JournalFiles

pytestmark = pytest.mark.disk

FEW = 60
"""Pages after which it is folded here."""

FRAME = 4096 + 24


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteBackend]:
    monkeypatch.setattr(backends, "FOLD_AFTER", FEW)
    backend = SqliteBackend(JournalFiles(tmp_path / "jobs.db"), ManualClock())
    backend.open()
    yield backend
    backend.close()


def write(backend: SqliteBackend, groups: int) -> None:
    """Do what the writer does with this many groups."""
    for _ in range(groups):
        job = NewJob(os.urandom(16), "app:f", "default", b"x" * 500, 1)
        backend.acquire()
        backend.begin()
        backend.apply(Verb.ADD, [([job], None)])
        backend.commit()
        backend.release()
        backend.tidy()


def frames(tmp_path: Path) -> float:
    return (tmp_path / "jobs.db-wal").stat().st_size / FRAME


def test_it_stays_small(backend: SqliteBackend, tmp_path: Path) -> None:
    assert backend._db is not None
    assert backend._db.pragma("wal_autocheckpoint") == 0, "those who wait for a commit do not wait for it"
    write(backend, 200)
    assert FEW - 1 < frames(tmp_path) < 2 * FEW
    database = tmp_path / "jobs.db"
    assert database.stat().st_size > 100_000, "what was written is there"


def test_what_a_reader_needs_stays_and_is_folded_soon_after(backend: SqliteBackend, tmp_path: Path) -> None:
    write(backend, 20)
    reader = apsw.Connection(str(tmp_path / "jobs.db"), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM job").get == 20
    write(backend, 100)
    grown = frames(tmp_path)
    assert grown > 4 * FEW
    assert reader.execute("SELECT count(*) FROM job").get == 20
    reader.close()
    write(backend, 100)
    assert frames(tmp_path) < grown + FEW, "it was used from its beginning again"


class Faulty:
    """A connection that fails to fold, and notes what is asked of it."""

    def __init__(self, db: Any, fold: Callable[[], Any]) -> None:
        self._db = db
        self._fold = fold

    def wal_checkpoint(self, name: str) -> Any:
        return self._fold()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


@pytest.mark.parametrize("kind", [apsw.FullError, apsw.BusyError])
def test_what_cannot_be_folded_now_is_tried_again_soon(
    backend: SqliteBackend, tmp_path: Path, kind: type[apsw.Error]
) -> None:
    tried: list[int] = []

    def fold() -> None:
        tried.append(round(frames(tmp_path)))
        raise kind("not now")

    real: Any = backend._db
    backend._db = Faulty(real, fold)  # type: ignore[assignment]
    write(backend, 30)
    assert len(tried) > 3
    assert all(later - earlier < FEW for earlier, later in pairwise(tried))
    backend._db = real
    before = frames(tmp_path)
    write(backend, 50)
    assert frames(tmp_path) < before + FEW // 2


def test_a_disk_that_fails_is_not_trusted_any_more(backend: SqliteBackend, tmp_path: Path) -> None:
    def fold() -> None:
        raise apsw.IOError("the disk")

    write(backend, 200)
    backend._db = Faulty(backend._db, fold)  # type: ignore[assignment]
    with pytest.raises(Broken, match="a moment ago"):
        write(backend, 60)
    assert backend._db is None
    backend._retry_at = 0.0
    write(backend, 150)
    assert frames(tmp_path) < 2 * FEW, "the new connection counts from its own beginning"


def test_others_do_not_write_meanwhile(backend: SqliteBackend, tmp_path: Path) -> None:
    """A WAL to whose end others go on to write is never used from its beginning again."""
    held: list[bool] = []
    fd = os.open(tmp_path / "jobs.db.runners" / "writer", os.O_RDWR)

    def fold() -> tuple[int, int]:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(True)
        else:
            held.append(False)
            fcntl.flock(fd, fcntl.LOCK_UN)
        return 1, 1

    real: Any = backend._db
    backend._db = Faulty(real, fold)  # type: ignore[assignment]
    while not held:
        write(backend, 1)
    backend._db = real
    assert held
    assert all(held)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
