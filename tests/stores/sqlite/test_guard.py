"""A journal's files are moved, replaced or removed while it is open: who was answered has a job."""

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude.errors import JournalUnavailable
from postlude.model.event.journal import JournalFailed
from postlude.model.job import NewJob
from postlude.stores.grouped.backend import Broken, Busy
from postlude.stores.sqlite import SqliteStore, backend, held, mending, rescue
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.guard import Found, Guard
from postlude.stores.sqlite.premises import Premises
from postlude.stores.sqlite.wal_index import INDEX_SIZE, is_folded

pytestmark = pytest.mark.disk

Harm = Callable[[Path], None]

_numbers = count(1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "journal.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.open()
    yield store
    store.close()


def beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def add(store: SqliteStore, jobs: int = 1) -> None:
    """Add jobs, each in a group of its own, and have the answers."""
    for _ in range(jobs):
        number = next(_numbers)
        store.add([NewJob(number.to_bytes(16), "app:f", "default", b"x" * 500, number)]).wait(10)


def on_the_disk(path: Path) -> int:
    """Return how many jobs the files at the paths hold, as if all who have them open were killed."""
    copy = path.with_name("looked-at")
    copy.mkdir()
    code = """
import shutil, sqlite3, sys
path, copy = sys.argv[1:]
for end in ("", "-wal"):
    shutil.copy(path + end, copy + "/journal.db" + end)
print(sqlite3.connect(copy + "/journal.db").execute("SELECT count(*) FROM job").fetchone()[0])
"""
    command = [sys.executable, "-I", "-c", code, str(path), str(copy)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    shutil.rmtree(copy)
    return int(found.stdout)


def remove(*ends: str) -> Harm:
    def harm(path: Path) -> None:
        for end in ends:
            beside(path, end).unlink()

    harm.__name__ = "remove " + (" ".join(end or "db" for end in ends))
    return harm


def move(*ends: str) -> Harm:
    def harm(path: Path) -> None:
        for end in ends:
            beside(path, end).rename(beside(path, end + ".moved"))

    harm.__name__ = "move " + (" ".join(end or "db" for end in ends))
    return harm


def cut(end: str, size: int = 0) -> Harm:
    def harm(path: Path) -> None:
        os.truncate(beside(path, end), size)

    harm.__name__ = f"cut {end or 'db'} to {size}"
    return harm


def overwrite(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(b"\xaa" * 8192)


def overwrite_wal(path: Path) -> None:
    with open(beside(path, "-wal"), "r+b") as file:
        file.write(b"\xaa" * 4096)


def empty_wal_of_another(path: Path) -> None:
    beside(path, "-wal").unlink()
    beside(path, "-wal").touch()


REMOVED = [
    remove(""), remove("-wal"), remove("-shm"), remove("-wal", "-shm"), remove("", "-wal"),
    remove("", "-shm"), remove("", "-wal", "-shm"), move(""), move("-wal"), move("-shm"),
    move("", "-wal", "-shm"),
    empty_wal_of_another,
]  # fmt: skip

DAMAGED = [cut(""), cut("", 100), cut("-wal"), cut("-wal", 8192), overwrite, overwrite_wal]


@pytest.mark.process
@pytest.mark.parametrize("harm", REMOVED + DAMAGED, ids=lambda harm: harm.__name__)
def test_what_is_answered_is_in_the_files_at_the_paths(
    store: SqliteStore, path: Path, harm: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, 20)
    harm(path)
    add(store, 5)
    assert on_the_disk(path) == 25
    assert sum(counts.jobs for counts in store.counts().wait(5)) == 25
    said = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert re.search("nothing was lost; stop the application before", said[0].getMessage())


@pytest.mark.parametrize(
    "harm", [remove(""), remove("", "-wal", "-shm"), remove("-wal")], ids=lambda h: h.__name__
)
def test_what_was_answered_before_is_saved_at_the_end(store: SqliteStore, path: Path, harm: Harm) -> None:
    add(store, 20)
    harm(path)
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM job").fetchone() == (20,)


@pytest.mark.process
@pytest.mark.parametrize("harm", [remove(""), remove("-wal"), cut("-wal")], ids=lambda h: h.__name__)
def test_nor_is_anybody_answered_who_was_written_to_lost_files(
    store: SqliteStore, path: Path, harm: Harm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens when the group has been committed, and before its answer."""
    add(store, 20)
    kept = Guard.kept

    def harmed(guard: Guard) -> bool:
        monkeypatch.setattr(Guard, "kept", kept)
        harm(path)
        return guard.kept()

    monkeypatch.setattr(Guard, "kept", harmed)
    add(store)
    assert on_the_disk(path) == 21


@pytest.mark.process
@pytest.mark.parametrize("harm", [cut("", 4096), overwrite], ids=lambda harm: harm.__name__)
def test_it_is_noticed_where_the_time_of_the_last_write_says_nothing(
    store: SqliteStore,
    path: Path,
    harm: Harm,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is as coarse as the kernel's ticks, and can be set."""
    monkeypatch.setattr(backend, "FOLD_FROM", 50)
    add(store, 60)
    before = path.stat().st_mtime_ns
    harm(path)
    os.utime(path, ns=(before, before))
    with suppress(JournalUnavailable):
        add(store)
        assert on_the_disk(path) == 61
    assert "were cut short or overwritten in use" in caplog.text


# -- the process's own looks ----------------------------------------------------------------


def look_by_sqlite3(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("SELECT count(*) FROM job").fetchone()
    db.close()


def read_while_another_looks(path: Path) -> None:
    path.read_bytes()
    code = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT * FROM job'); db.close()"
    )
    subprocess.run([sys.executable, "-I", "-c", code, str(path)], check=True)


@pytest.mark.process
@pytest.mark.parametrize("look", [look_by_sqlite3, read_while_another_looks])
def test_its_own_process_may_look_at_it(
    store: SqliteStore, path: Path, look: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    """Both drop the locks that SQLite holds for this process."""
    add(store, 20)
    before = {end: beside(path, end).stat().st_ino for end in ("", "-wal", "-shm")}
    look(path)
    assert {end: beside(path, end).stat().st_ino for end in before} == before
    add(store, 5)
    assert on_the_disk(path) == 25
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def open_files(path: Path) -> list[str]:
    """Return which of a journal's files this process has open."""
    links = [os.readlink(link.path) for link in os.scandir("/proc/self/fd") if os.path.islink(link.path)]
    return [link for link in links if link.startswith(str(path))]


def test_nothing_is_left_open_and_the_last_one_tidies_up(path: Path) -> None:
    first, second = SqliteStore(path), SqliteStore(path)
    for store in (first, second):
        store.open()
        add(store)
    first.close()
    assert beside(path, "-wal").exists()
    add(second)
    second.close()
    assert open_files(path) == []
    assert not beside(path, "-wal").exists()
    assert not beside(path, "-shm").exists()


@pytest.mark.process
def test_a_fork_holds_nothing(store: SqliteStore, path: Path) -> None:
    held = len(open_files(path))
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(len(open_files(path))).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    guards = 2
    assert int(os.read(reading, 10)) <= held - guards
    os.close(reading)
    os.close(writing)


# -- several processes ----------------------------------------------------------------------


class Neighbour:
    """Another process that has the journal open."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "tests.stores.neighbour", str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._hear() == "open"

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def add(self) -> str:
        """Have it add a job; returns how many it sees then."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._hear()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def neighbour(store: SqliteStore, path: Path) -> Iterator[Neighbour]:
    neighbour = Neighbour(path)
    yield neighbour
    neighbour.kill()


@pytest.mark.process
@pytest.mark.parametrize("harm", REMOVED, ids=lambda harm: harm.__name__)
def test_another_process_goes_on_with_the_same_files(
    store: SqliteStore, path: Path, neighbour: Neighbour, harm: Harm
) -> None:
    add(store, 10)
    neighbour.add()
    harm(path)
    add(store)
    assert neighbour.add() == "13"
    add(store)
    assert neighbour.add() == "15"
    assert sum(counts.jobs for counts in store.counts().wait(5)) == 15
    neighbour.kill()
    assert on_the_disk(path) == 15


@pytest.mark.process
def test_two_in_one_process_take_no_index_that_others_have_not(
    store: SqliteStore, path: Path, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one for the whole process: while either has the old one open, a new one has, too."""
    with closing(SqliteStore(path)) as second:
        second.open()
        add(second)
        remove("-shm")(path)
        assert neighbour.add() == "2"
        later = count(int(time.monotonic()), 60)
        monkeypatch.setattr("postlude.stores.sqlite.premises.time.monotonic", lambda: float(next(later)))
        answered = 2
        for one in (store, second, store, second):
            with suppress(JournalUnavailable):
                add(one)
                answered += 1
        assert neighbour.add() == str(answered + 1)
        assert answered >= 4
        assert on_the_disk(path) == answered + 1


@pytest.mark.process
def test_a_header_that_only_the_wal_has_is_not_missed(
    store: SqliteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a power loss can leave it, before the WAL was folded for the first time."""
    add(store, 3)
    left = path.parent / "left" / path.name
    left.parent.mkdir()
    code = "import shutil, sys; [shutil.copy(sys.argv[1] + end, sys.argv[2] + end) for end in ('', '-wal')]"
    subprocess.run([sys.executable, "-I", "-c", code, str(path), str(left)], check=True)
    with open(left, "r+b") as file:
        file.write(bytes(4096))
    with closing(SqliteStore(left)) as after:
        after.open()
        add(after, 2)
        assert on_the_disk(left) == 5
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.process
def test_nobody_is_answered_where_it_cannot_be_saved(
    store: SqliteStore, path: Path, neighbour: Neighbour, caplog: pytest.LogCaptureFixture
) -> None:
    """What the other process wrote is in no memory of this one."""
    add(store, 10)
    for _ in range(10):
        neighbour.add()
    cut("-wal")(path)
    with pytest.raises(JournalUnavailable, match="cut short or overwritten"):
        add(store)
    assert "no job is accepted; what they held could not be saved" in caplog.text


@pytest.mark.process
def test_a_wal_that_cannot_be_folded_now_is_kept_and_folded_later(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full, and the open connection alone has what was accepted last."""

    def fold(db: apsw.Connection) -> None:
        raise apsw.FullError("database or disk is full")

    add(store, 20)
    monkeypatch.setattr(mending, "TRY_EVERY", 0.0)
    with monkeypatch.context() as full:
        full.setattr(rescue, "fold", fold)
        remove("-wal")(path)
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="no job is accepted"):
                add(store)
    said = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert len(said) == 1
    assert "it cannot be folded (FullError: database or disk is full); do not stop the application" in said[0]
    add(store)
    assert on_the_disk(path) == 21


@pytest.mark.process
@pytest.mark.parametrize(
    "harm", [remove(""), remove("-wal"), remove("-shm"), cut("")], ids=lambda h: h.__name__
)
def test_what_was_mended_is_opened_also_if_that_failed_at_first(
    store: SqliteStore, path: Path, harm: Harm, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, 20)
    harm(path)
    settle = Guard.settle

    def full(guard: Guard) -> None:
        monkeypatch.setattr(Guard, "settle", settle)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Guard, "settle", full)
    with pytest.raises(JournalUnavailable, match="No space left"):
        add(store)
    later = time.monotonic() + 60
    monkeypatch.setattr("postlude.stores.sqlite.premises.time.monotonic", lambda: later)
    add(store)
    assert on_the_disk(path) == 21


def resting(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what is set while the writer does nothing."""
    backend: Any = store._writer._backend  # type: ignore[union-attr]
    rests = threading.Event()
    acquire, release = backend.acquire, backend.release

    def begins() -> None:
        rests.clear()
        acquire()

    def has_ended() -> None:
        release()
        rests.set()

    monkeypatch.setattr(backend, "acquire", begins)
    monkeypatch.setattr(backend, "release", has_ended)
    return rests


@pytest.mark.process
def test_where_files_have_no_locks_looking_still_helps(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on kernels that do not know them: what is asked for here is known to none."""
    monkeypatch.setattr(held, "_SET_LOCK", 9_999)
    with closing(SqliteStore(path)) as store:
        store.open()
        rests = resting(store, monkeypatch)
        add(store, 20)
        assert rests.wait(
            10
        )  # it looks at the index after its answer too; cut short meanwhile, that is a SIGBUS
        look_by_sqlite3(path)
        add(store, 5)
        assert on_the_disk(path) == 25


def copy_over(path: Path) -> None:
    """Have another journal's bytes in the file, as `cp` does: no smaller, and with a header of its own."""
    other = path.with_name("other.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(other)) as copy:
        source.backup(copy)
        copy.execute("CREATE TABLE filler AS SELECT randomblob(2000000)")
        copy.commit()
    path.write_bytes(other.read_bytes())


@pytest.mark.process
def test_a_database_that_is_copied_over_the_open_one_is_noticed(
    store: SqliteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, 50)
    code = f"import sys; from {__name__} import copy_over, Path; copy_over(Path(sys.argv[1]))"
    before = path.stat().st_mtime_ns
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.stat().st_mtime_ns != before
    try:
        add(store)
    except JournalUnavailable:
        assert "no job is accepted" in caplog.text
    else:
        assert on_the_disk(path) == 51
    assert "cut short or overwritten in use" in caplog.text


@pytest.mark.process
@pytest.mark.parametrize("more", range(60, 72, 3))
def test_an_older_state_over_the_open_one_wherever_its_wal_is(
    store: SqliteStore,
    path: Path,
    more: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(backend, "FOLD_FROM", 30)
    add(store, 60)
    older = path.with_name("older.db")
    copy = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
    subprocess.run([sys.executable, "-I", "-c", copy, str(path), str(older)], check=True)
    add(store, more)
    over = "import sys; f = open(sys.argv[2], 'r+b'); f.write(open(sys.argv[1], 'rb').read()); f.close()"
    subprocess.run([sys.executable, "-I", "-c", over, str(older), str(path)], check=True)
    try:
        add(store)
    except JournalUnavailable:
        assert "no job is accepted" in caplog.text
    else:
        assert on_the_disk(path) == 61 + more
    assert "cut short or overwritten in use" in caplog.text


@pytest.mark.process
def test_who_folds_the_wal_or_touches_the_files_is_no_harm(
    store: SqliteStore, path: Path, neighbour: Neighbour, caplog: pytest.LogCaptureFixture
) -> None:
    fold = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for mode in ("PASSIVE", "RESTART", "TRUNCATE"):
    db.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
db.execute("VACUUM")
"""
    for number in range(1, 5):
        add(store, 20)
        neighbour.add()
        subprocess.run([sys.executable, "-I", "-c", fold, str(path)], check=True)
        neighbour.add()
        os.utime(path)
        add(store)
        assert on_the_disk(path) == 23 * number
    assert caplog.text == ""


def fold_elsewhere(path: Path) -> None:
    """Have another process fold the WAL, and empty it."""
    code = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS filler (content)")
db.execute("INSERT INTO filler VALUES (randomblob(20000))")
print(*db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
"""
    command = [sys.executable, "-I", "-c", code, str(path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "0 0 0\n"


def meanwhile(function: Callable[..., Any], which: Callable[..., bool], do: Callable[[], None]) -> Any:
    """Return a function that does something else, once, right after the call that is meant."""
    done = list[int]()

    def called(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if not done and which(*args):
            done.append(1)
            do()
        return result

    return called


@pytest.mark.process
@pytest.mark.parametrize("moment", ["kept", "look", "described"])
def test_who_folds_the_wal_between_two_looks_is_no_harm(
    store: SqliteStore,
    path: Path,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As those do who copy the WAL elsewhere, and fold it themselves."""
    add(store, 30)
    fold = partial(fold_elsewhere, path)
    if moment == "kept":
        stat = meanwhile(os.stat, lambda at, **_: str(at) == str(path), fold)
        kept = Guard.kept

        def looks(guard: Guard) -> bool:
            monkeypatch.setattr(os, "stat", stat)
            return kept(guard)

        monkeypatch.setattr(Guard, "kept", looks)
    elif moment == "look":
        monkeypatch.setattr(os, "pread", meanwhile(os.pread, lambda fd, size, at: size == 100, fold))
    else:
        monkeypatch.setattr(Guard, "read_index", meanwhile(Guard.read_index, lambda guard: True, fold))
    os.utime(path)
    found, look = set[Found](), Guard.look

    def noted(guard: Guard) -> Found:
        found.add(seen := look(guard))
        return seen

    monkeypatch.setattr(Guard, "look", noted)
    for _ in range(3):
        add(store, 10)
        os.utime(path)
    assert on_the_disk(path) == 60
    assert caplog.text == ""
    assert found == {Found.IN_PLACE}


# -- what is refused ------------------------------------------------------------------------


def another_journal(path: Path) -> None:
    """Put another journal at the path, as a deployment that restores "its" journal does."""
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    store = SqliteStore(elsewhere / "journal.db")
    store.open()
    add(store, 3)
    store.close()
    (elsewhere / "journal.db").replace(path)


def test_another_file_in_its_place_is_not_written_to(
    store: SqliteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, 20)
    another_journal(path)
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="another file was put in the place of the journal"):
            add(store)
    said = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert len(said) == 1
    (saved,) = path.parent.glob("journal.db.saved-*")
    assert f"what it held was saved to {saved}; put its files back; or stop every process" in said[0]
    store.close()
    for place, jobs in ((saved, 20), (path, 3)):
        with sqlite3.connect(place) as db:
            assert db.execute("SELECT count(*) FROM job").fetchone() == (jobs,), place


@pytest.mark.parametrize("closed", ["after an error of the disk", "and not opened when mended"])
def test_nor_is_it_opened_where_the_connection_was_closed_before(
    path: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    premises = Premises(JournalFiles(path))
    premises.open()
    if closed == "after an error of the disk":
        premises.throw_away(apsw.IOError("disk I/O error"))
    else:
        remove("-shm")(path)
        with monkeypatch.context() as full:
            full.setattr(Guard, "settle", lambda guard: os.stat("/nowhere"))
            with pytest.raises(Broken):
                premises.ready()
    another_journal(path)
    premises.retry_at = 0.0
    with pytest.raises(Broken, match="another file was put in the place of the journal"):
        premises.ready()
    premises.close()


def test_it_goes_on_when_its_files_are_back(
    store: SqliteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, 20)
    beside(path, "").rename(path.with_name("kept"))
    path.write_text("something else")
    with pytest.raises(JournalUnavailable):
        add(store)
    path.with_name("kept").replace(path)
    add(store)
    assert "is in its place again" in caplog.text


def test_a_fold_that_has_begun_explains_what_is_written_until_it_is_noted(
    store: SqliteStore, path: Path
) -> None:
    """The pages are written first: for as long as the disk takes, the index says nothing new."""
    add(store, 30)
    before = beside(path, "-shm").read_bytes()[:INDEX_SIZE]
    assert not is_folded(before, before)
    begun = before[:128] + (7).to_bytes(4, sys.byteorder) + before[132:]
    assert is_folded(begun, begun)
    noted = begun[:96] + (7).to_bytes(4, sys.byteorder) + begun[100:]
    assert not is_folded(noted, noted)


def test_while_another_holds_the_lock_an_open_again_is_tried_at_once_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> apsw.Connection:
        raise apsw.BusyError("database is locked")

    failed: list[object] = []
    files = JournalFiles(tmp_path / "postlude.db")
    files.events.listen(failed.append, JournalFailed)
    premises = Premises(files)
    premises.open()
    premises.throw_away(apsw.IOError("disk I/O error"))
    premises.retry_at = 0.0
    with monkeypatch.context() as patched:
        patched.setattr(premises, "_open_writer", locked)
        with pytest.raises(Busy):
            premises.ready()
    assert len(failed) == 1
    premises.ready()
    premises.close()
