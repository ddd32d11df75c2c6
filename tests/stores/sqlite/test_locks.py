"""The lock between writers, and marks that outlive the process which made them."""

import errno
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from postlude.stores.sqlite.locks import WriterLock
from postlude.stores.sqlite.locks.marks import (
    LeftMarks,
    MarksFile,
    left_by,
    look_at,
    marks_of_the_living,
    marks_path,
)
from tests.stores.dying import dying


def left(path: Path) -> LeftMarks:
    with left_by(path) as marks:
        assert marks is not None, "it is taken for alive"
        return marks


def lives(path: Path) -> bool:
    return look_at(path)[0]


def take(lock: WriterLock, got_it: threading.Event) -> None:
    lock.acquire()
    got_it.set()


# -- the writers' lock ------------------------------------------------------------------------


@pytest.mark.process
def test_one_process_at_a_time_until_its_death(tmp_path: Path) -> None:
    got_it = threading.Event()
    with dying("lock", tmp_path / "writer") as (process, said):
        assert said == "locked"
        lock = WriterLock(tmp_path / "writer")
        waiting = threading.Thread(target=take, args=(lock, got_it))
        waiting.start()
        assert not got_it.wait(0.05)
        process.kill()
        assert got_it.wait(5)
    waiting.join(5)
    lock.release()
    lock.close()


def test_two_stores_of_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path / "writer"), WriterLock(tmp_path / "writer")
    got_it = threading.Event()
    first.acquire()
    waiting = threading.Thread(target=take, args=(second, got_it))
    waiting.start()
    assert not got_it.wait(0.05)
    first.release()
    assert got_it.wait(5)
    waiting.join(5)
    first.close()
    second.close()


def test_a_lock_is_not_followed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "writer").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError) as caught:
        WriterLock(tmp_path / "writer")
    assert caught.value.errno == errno.ELOOP
    assert not (tmp_path / "elsewhere").exists()


# -- marks ------------------------------------------------------------------------------------


@pytest.mark.process
def test_marks_survive_a_kill_and_are_read_only_then(tmp_path: Path) -> None:
    with dying("marks", tmp_path, 7, 2**40, -8, 9) as (process, token):
        assert lives(tmp_path / token)
        with left_by(tmp_path / token) as marks:
            assert marks is None
        process.kill()
        process.wait(5)
        assert not lives(tmp_path / token)
        found = left(tmp_path / token)
    assert found.started.keys() == {7, 2**40, 9}
    assert found.draining is False


@pytest.mark.process
def test_draining_survives_a_kill(tmp_path: Path) -> None:
    with dying("marks", tmp_path, 7, "draining") as (process, token):
        process.kill()
        process.wait(5)
        marks = left(tmp_path / token)
    assert marks.started.keys() == {7}
    assert marks.draining is True


def test_marks_of_the_living_can_be_read(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    marks.started(3, 1, 30)
    assert marks_of_the_living(marks.path).started == {3: 30}
    assert lives(marks.path), "reading has dropped its lock"
    marks.remove()


def test_only_the_owner_may_read_marks(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        marks = MarksFile(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(marks.path.stat().st_mode) == 0o600
    marks.remove()


def test_letting_go_looks_like_a_death(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    marks.started(3, 1, 30)
    marks.let_go()
    assert left(marks.path).started == {3: 30}


def test_a_file_that_is_gone_is_no_death_and_charges_nobody(tmp_path: Path) -> None:
    with left_by(tmp_path / "gone") as marks:
        assert marks is None
    assert not lives(tmp_path / "gone")
    gone = marks_of_the_living(tmp_path / "gone")
    assert (gone.started, gone.draining) == ({}, True)


def test_a_copy_of_marks_is_no_death(tmp_path: Path) -> None:
    """Nobody locks it, whether the runner lives or not."""
    marks = MarksFile(tmp_path)
    copy = shutil.copy(marks.path, tmp_path / "copy")
    marks.path.unlink()
    Path(copy).rename(marks.path)
    with left_by(marks.path) as found:
        assert found is None
    marks.remove()


@pytest.mark.parametrize("remove", ["file", "folder", "copied"])
def test_marks_that_were_removed_are_made_anew(tmp_path: Path, remove: str) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    marks = MarksFile(folder)
    assert not marks.ensure()
    marks.started(3, 1, 30)
    marks.started(4, 1, 40)
    marks.ended(3)
    if remove == "folder":
        shutil.rmtree(folder)
    elif remove == "file":
        marks.path.unlink()
    else:
        shutil.copy(marks.path, folder / "copy")
        (folder / "copy").replace(marks.path)
    assert marks.ensure()
    assert not marks.ensure()
    assert lives(marks.path)
    marks.ended(4)
    marks.started(5, 1, 50)
    found = marks_of_the_living(marks.path)
    assert (found.started, found.starts(-3), found.starts(-4)) == ({5: 50}, [30], [40])
    assert [path.name for path in folder.iterdir()] == [marks.token]
    assert stat.S_IMODE(marks.path.stat().st_mode) == 0o600
    marks.let_go()
    assert left(marks.path).started == {5: 50}


def test_what_is_noted_while_marks_are_made_anew_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = MarksFile(tmp_path)
    marks.started(3, 1, 30)
    marks.path.unlink()
    rename = Path.rename

    def renamed(path: Path, target: Path) -> Path:
        marks.ended(3)  # into the old file: another thread
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", renamed)
    marks.ensure()
    assert marks_of_the_living(marks.path).started == {}
    marks.remove()


def test_marks_that_were_given_up_are_not_made_anew(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    marks.remove()
    assert not marks.ensure()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_was_removed_is_taken_where_newcomers_take_it(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    first = WriterLock(folder / "writer")
    shutil.rmtree(folder)
    first._look_at = 0.0
    first.acquire()
    newcomer, got_it = WriterLock(folder / "writer"), threading.Event()
    waiting = threading.Thread(target=take, args=(newcomer, got_it), daemon=True)
    waiting.start()
    assert not got_it.wait(0.1)
    first.release()
    assert got_it.wait(5)
    waiting.join(5)
    for lock in (first, newcomer):
        lock.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"PLMARKS2", b"PLMARKS1".ljust(16_384, b"\1"), b"PLMARKS9".ljust(32_768, b"\1"), b"\1" * 32_768],
)
def test_a_file_that_is_none_of_ours_charges_nobody(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "marks"
    path.write_bytes(content)
    for marks in (left(path), marks_of_the_living(path)):
        assert (marks.started, marks.draining) == ({}, True)


def test_what_has_ended_can_be_read_for_a_while(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    for seq, at in ((3, 30), (4, 50), (3, 40)):
        marks.started(seq, 1, at)
        marks.ended(seq)
    marks.started(4, 2, 60)
    found = marks_of_the_living(marks.path)
    assert (sorted(map(str, found.starts(-3))), found.starts(-4)) == (["30", "40"], [50])
    assert (found.starts(3), found.starts(4), found.started) == ([], [60], {4: 60})
    for seq in range(5, 3000):
        marks.started(seq, 1, 70)
        marks.ended(seq)
    assert marks_of_the_living(marks.path).starts(-3) == []
    marks.remove()


def test_a_time_is_not_taken_for_a_mark(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    marks.started(3, 1, 40)
    found = marks_of_the_living(marks.path)
    assert (found.starts(40), found.starts(3 << 8), found.starts(40 >> 3)) == ([], [], [])
    marks.remove()


@pytest.mark.parametrize("at", [-1, 0, 2**62])
def test_a_time_that_is_none_is_unknown(tmp_path: Path, at: int) -> None:
    marks = MarksFile(tmp_path)
    marks.started(3, 1, at)
    marks.started(4, 1, at)
    marks.ended(4)
    found = marks_of_the_living(marks.path)
    assert (found.starts(3), found.starts(-4), found.started) == ([None], [None], {3: None})
    marks.remove()


def test_marks_are_only_read_from_files(tmp_path: Path) -> None:
    mine = MarksFile(tmp_path)
    mine.started(3, 1, 30)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(mine.path)
    for name in ("fifo", "link", "."):
        marks = marks_of_the_living(tmp_path / name)
        assert (marks.started, marks.draining) == ({}, True), name
    mine.remove()


@pytest.mark.parametrize(
    "token", ["", "writer", "/dev/zero", "../../journal.db", "0123456789ABCDEF", "0" * 17, None, 7]
)
def test_a_token_names_nothing_else(tmp_path: Path, token: Any) -> None:
    path = marks_path(tmp_path, token)
    assert path.parent == tmp_path
    assert not path.exists()


def test_a_token_names_its_file(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    assert marks_path(tmp_path, marks.token) == marks.path
    marks.remove()


def test_places_are_used_again(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    for seq in range(1, 5000):
        marks.started(seq, 1, 30)
        assert marks_of_the_living(marks.path).starts(seq) == [30] or seq % 100
        marks.ended(seq)
    assert marks_of_the_living(marks.path).started == {}
    marks.remove()


def test_a_job_that_starts_again_has_one_place(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    for fence in range(1, 5000):
        marks.started(3, fence, fence)
    found = marks_of_the_living(marks.path)
    assert (found.started, found.starts(3)) == ({3: 4999}, [4999])
    marks.ended(3)
    assert marks_of_the_living(marks.path).started == {}
    marks.remove()


def test_more_starts_than_places(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    for seq in range(1, 2100):
        marks.started(seq, 1, 30)
    noted = marks_of_the_living(marks.path).started.keys()
    assert 2000 < len(noted) < 2099
    assert set(noted) == set(range(1, len(noted) + 1)), "a place was given twice"
    assert marks_of_the_living(marks.path).draining is False, "a mark was written over the head"
    marks.ended(2099)  # one that has no place
    marks.ended(1)
    assert marks_of_the_living(marks.path).started.keys() == set(noted) - {1}
    marks.started(9999, 1, 30)
    assert marks_of_the_living(marks.path).starts(9999) == [30]
    assert marks_of_the_living(marks.path).starts(-1) == [], "that place is in use again"
    marks.remove()


def test_late_threads_may_still_mark_after_the_removal(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    marks.started(1, 1, 30)
    marks.remove()
    marks.ended(1)
    marks.started(2, 1, 30)
    assert list(tmp_path.iterdir()) == []


def test_marks_that_do_not_fit_on_the_disk_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: inner(fd, data[:100]))
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="space"):
        MarksFile(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/dev/fd")) == before


# -- forks ------------------------------------------------------------------------------------


@pytest.mark.process
def test_a_child_that_lives_on_keeps_no_lock(tmp_path: Path) -> None:
    with dying("lock", tmp_path / "writer", "forking") as (process, _):
        process.kill()
        process.wait(5)
        got_it = threading.Event()
        lock = WriterLock(tmp_path / "writer")
        waiting = threading.Thread(target=take, args=(lock, got_it), daemon=True)
        waiting.start()
        assert got_it.wait(5)
        lock.close()


@pytest.mark.process
def test_a_child_that_lives_on_does_not_hide_a_death(tmp_path: Path) -> None:
    with dying("marks", tmp_path, 7, "forking") as (process, token):
        process.kill()
        process.wait(5)
        assert left(tmp_path / token).started.keys() == {7}


@pytest.mark.process
def test_a_child_does_not_touch_its_parents_marks(tmp_path: Path) -> None:
    marks = MarksFile(tmp_path)
    marks.started(7, 1, 70)
    pid = os.fork()
    if pid == 0:
        try:
            marks.ended(7)
            marks.draining()
            marks.let_go()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert lives(marks.path)
    assert marks_of_the_living(marks.path).started.keys() == {7}
    assert marks_of_the_living(marks.path).draining is False
    marks.remove()
