"""A journal that is a copy, a backup, emptied, gone, or another application's is noticed."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from postlude.clock import Clock, ManualClock
from postlude.errors import JournalRefused
from postlude.model.ids import IdSource
from postlude.model.job import NewJob
from postlude.model.state import Reason, State
from postlude.model.terms import Terms
from postlude.stores.protocol import NewRunner, Reaped
from postlude.stores.sqlite import SqliteStore, runners

pytestmark = pytest.mark.disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path.resolve() / "place" / "journal.db"


def opened(path: Path, application: str = "", clock: Clock | None = None) -> SqliteStore:
    store = SqliteStore(path, application=application, clock=clock)
    store.open()
    return store


def used(path: Path, application: str = "") -> None:
    """Open a journal and close it in good order."""
    opened(path, application).close()


def add(store: SqliteStore, *, once: bool = False) -> bytes:
    job = NewJob(IdSource().new(1), "app:task", "default", b"{}", 1, Terms(once=once))
    store.add([job]).wait(5)
    return job.id


def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    yield from (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    caplog.clear()


def copied(path: Path, target: Path) -> None:
    """Copy what lies at a place, as somebody does who does not stop the application."""
    target.parent.mkdir(exist_ok=True)
    for end in ("", "-wal"):
        if path.with_name(path.name + end).exists():
            shutil.copy(path.with_name(path.name + end), target.with_name(target.name + end))


def test_a_journal_that_is_opened_again_is_the_same(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = opened(path)
    used(path)
    first.close()
    used(path)
    moved = path.parent.rename(path.parent.with_name("moved")) / path.name
    used(moved)
    assert list(warnings(caplog)) == []


def test_a_copy_of_a_live_journal_is_noticed_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    original, copy = opened(path), path.parent.with_name("copy") / "journal.db"
    add(original)
    copied(path, copy)
    used(copy)
    (said,) = warnings(caplog)
    assert said.startswith(f"the journal {copy} is a copy, or a backup that was put back (made on ")
    used(copy)
    assert list(warnings(caplog)) == []
    original.close()
    used(path)
    assert list(warnings(caplog)) == [], "the original is none"


@pytest.mark.parametrize("with_marks", [False, True])
def test_what_the_original_runs_is_left_to_its_lease_in_the_copy(path: Path, with_marks: bool) -> None:
    """And then nobody is charged with a death: only the original knows of one."""
    clock = ManualClock()
    original, place = opened(path, clock=clock), path.parent.with_name("copy") / "journal.db"
    once, job = add(original, once=True), add(original)
    runner, marks = original.enlist(NewRunner("r", 15.0)).wait(5)
    for claim in original.claim(runner, 10, suspect=False).wait(5).claims:
        marks.started(claim.seq, claim.fence, clock.now())
    copied(path, place)
    if with_marks:
        shutil.copytree(path.with_name("journal.db.runners"), place.with_name("journal.db.runners"))
    copy = opened(place, clock=clock)
    clock.advance(15.0)
    assert copy.reap().wait(5) == Reaped(0, 0, 0)
    assert original.renew(runner).wait(5)
    clock.advance(1.0)
    assert copy.reap().wait(5) == Reaped(1, 1, 1)
    found = {id: copy.get(id).wait(5) for id in (once, job)}
    assert [(record.state, record.reason, record.deaths) for record in found.values() if record] == [
        (State.FAILED, Reason.MAY_HAVE_RUN, 0), (State.QUEUED, None, 0),
    ]  # fmt: skip
    assert original.reap().wait(5) == Reaped(0, 0, 0)
    for store in (copy, original):
        store.close()


def test_a_backup_of_before_this_boot_waits_for_no_lease(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, backup = opened(path), path.parent.with_name("backup") / "journal.db"
    job = add(original)
    runner = original.enlist(NewRunner("r", 15.0)).wait(5).runner
    original.claim(runner, 10, suspect=False).wait(5)
    copied(path, backup)
    original.close()
    shutil.rmtree(path.with_name("journal.db.runners"))
    for end in ("", "-wal"):
        backup.with_name(backup.name + end).replace(path.with_name(path.name + end))
    monkeypatch.setattr(runners, "boot_id", lambda: "the next")
    store = opened(path)
    assert store.reap().wait(5) == Reaped(1, 1, 0)
    record = store.get(job).wait(5)
    assert record is not None
    assert (record.state, record.deaths) == (State.QUEUED, 0)
    store.close()


@pytest.mark.parametrize("how", ["in another file", "into the same file"])
def test_an_old_backup_that_was_put_back_is_noticed(
    path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    used(path)
    backup = path.with_name("backup.db")
    shutil.copy(path, backup)
    used(path)
    if how == "in another file":
        backup.replace(path)
    else:
        shutil.copyfile(backup, path)
    used(path)
    assert len(list(warnings(caplog))) == 1


def test_another_journal_that_was_moved_here_is_noticed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is the file that it was, and was opened more often."""
    used(path)
    for _ in range(3):
        used(path.with_name("other.db"))
    path.with_name("other.db").replace(path)
    used(path)
    assert len(list(warnings(caplog))) == 1


def test_a_journal_in_use_is_no_copy_whatever_its_number(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Some file systems number files anew."""
    used(path)
    copied(path, path.with_name("copy.db"))
    path.with_name("copy.db").replace(path)
    living = opened(path)
    list(warnings(caplog))
    living.enlist(NewRunner("r", 15.0)).wait(5)
    note = path.with_name("journal.db.runners") / "journal"
    note.write_text('["another", 99]')
    used(path)
    assert list(warnings(caplog)) == []
    living.close()


@pytest.mark.parametrize("note", ["", "nonsense", "[]", '["a", "b"]', "7", "\xff"])
def test_a_note_that_cannot_be_read_says_nothing(
    path: Path, caplog: pytest.LogCaptureFixture, note: str
) -> None:
    used(path)
    (path.with_name("journal.db.runners") / "journal").write_text(note, "latin-1")
    used(path)
    assert list(warnings(caplog)) == []


# -- emptied, and gone ------------------------------------------------------------------------


def test_an_emptied_journal_is_refused(path: Path) -> None:
    used(path)
    os.truncate(path, 0)
    with pytest.raises(JournalRefused, match=r"has been emptied: .*put a backup in its place; or, to start"):
        opened(path)
    shutil.rmtree(path.with_name("journal.db.runners"))
    used(path)


def test_an_empty_file_whose_wal_holds_something_is_refused_and_kept(path: Path) -> None:
    path.touch()
    wal = path.with_name("journal.db-wal")
    wal.write_bytes(b"what the last jobs stand in")
    with pytest.raises(JournalRefused, match="has been emptied"):
        opened(path)
    assert wal.read_bytes() == b"what the last jobs stand in"


def test_a_journal_that_is_gone_is_said_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    used(path)
    path.unlink()
    used(path)
    (said,) = warnings(caplog)
    assert said.startswith(f"there was a journal at {path}, and it is gone")
    used(path)
    assert list(warnings(caplog)) == []


# -- another application's --------------------------------------------------------------------


def test_another_application_is_said_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for application in ("shop", "shop", "", "blog", "blog", "shop"):
        used(path, application)
    (said,) = warnings(caplog)
    assert said.startswith(
        f"the journal {path} was used by another application (shop) so far, and is opened by blog"
    )


def test_damaged_names_of_applications_stop_nobody(path: Path) -> None:
    store = opened(path, "shop")
    store.close()
    for value in ("nonsense", 7, None, b"\xff", "{}"):
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE meta SET value = ? WHERE key IN ('applications', 'opened')", (value,))
        used(path, "shop")
