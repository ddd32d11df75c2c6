"""The WAL is folded into the database once it has grown, when those who asked have been answered."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude.clock import ManualClock
from postlude.model.job import NewJob
from postlude.stores.grouped.backend import Verb
from postlude.stores.sqlite import backend as backends
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.files import JournalFiles

pytestmark = pytest.mark.disk

FEW = 60
"""Pages from which on it is folded here."""

FRAME = 4096 + 24


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteBackend]:
    monkeypatch.setattr(backends, "FOLD_FROM", FEW)
    backend = opened(tmp_path)
    yield backend
    backend.close()


def opened(tmp_path: Path) -> SqliteBackend:
    backend = SqliteBackend(JournalFiles(tmp_path / "jobs.db"), ManualClock())
    backend.open()
    return backend


def write(backend: SqliteBackend, groups: int) -> None:
    """Do what the writer does with this many groups."""
    for _ in range(groups):
        job = NewJob(os.urandom(16), "app:f", "default", b"x" * 500, 1)
        backend.acquire()
        backend.begin()
        backend.apply(Verb.ADD, [([job], None)])
        backend.commit()
        backend.tidy()
        backend.release()


def frames(tmp_path: Path) -> float:
    """Return the size of the WAL's file: the most that it has held."""
    return (tmp_path / "jobs.db-wal").stat().st_size / FRAME


def test_it_stays_small(backend: SqliteBackend, tmp_path: Path) -> None:
    db = backend.premises.db
    assert db is not None
    assert db.pragma("wal_autocheckpoint") == 0, "those who wait for a commit do not wait for it"
    write(backend, 200)
    assert FEW - 1 < frames(tmp_path) < 2 * FEW
    database = tmp_path / "jobs.db"
    assert database.stat().st_size > 100_000, "what was written is there"


def test_what_others_have_left_is_folded_too(backend: SqliteBackend, tmp_path: Path) -> None:
    """None of them writes much; one keeps the file open, so that closing it folds nothing."""
    for _ in range(20):
        another = opened(tmp_path)
        write(another, 5)
        another.close()
    assert frames(tmp_path) < 2 * FEW
    write(backend, 1)


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
    assert frames(tmp_path) < grown + FEW // 2, "it was used from its beginning again"


class Faulty:
    """A connection that fails to fold."""

    def __init__(self, db: Any, fold: Callable[[], Any]) -> None:
        self._db = db
        self._fold = fold

    def wal_checkpoint(self, name: str, mode: int = apsw.SQLITE_CHECKPOINT_PASSIVE) -> Any:
        return self._db.wal_checkpoint(name, mode) if mode == apsw.SQLITE_CHECKPOINT_NOOP else self._fold()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


@pytest.mark.parametrize(
    ("kind", "told_from", "told"),
    [
        (apsw.FullError, 10_000, 2),
        (apsw.IOError, 10_000, 2),
        (apsw.BusyError, 10, 2),
        (apsw.BusyError, 10_000, 0),
    ],
)
def test_what_cannot_be_folded_now_is_tried_again_soon(
    backend: SqliteBackend,
    tmp_path: Path,
    kind: type[apsw.Error],
    told_from: int,
    told: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody is refused for it: what was committed is safe in the WAL. Where it is busy, others fold it."""
    monkeypatch.setattr("postlude.stores.sqlite.backend.FIRST_TOLD", told_from)
    tried: list[float] = []
    real: Any = backend.premises.db

    def fold() -> None:
        tried.append(frames(tmp_path))
        raise kind("not now")

    for _ in range(2):
        backend.premises.db = Faulty(real, fold)  # type: ignore[assignment]
        tried.clear()
        write(backend, 30)
        assert len(tried) > 3
        assert tried[0] >= FEW
        backend.premises.db = real
        write(backend, 10)
        grown = frames(tmp_path)
        write(backend, 30)
        assert frames(tmp_path) == grown, "it was used from its beginning again"
        write(backend, 50)
    said = caplog.text.count("could not be folded, and grows: not now")
    assert said == told, "one line each time that it begins"


def test_a_connection_that_was_thrown_away_has_nothing_to_fold(backend: SqliteBackend) -> None:
    write(backend, 1)
    backend._throw_away(apsw.IOError("the disk"))
    backend.tidy()
    backend.premises.retry_at = 0.0
    write(backend, 1)
