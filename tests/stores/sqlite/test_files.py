"""Where a journal may be, and who may read its files."""

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.stores.sqlite import SqliteStore, files
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.owners import check_owner

NOBODY = 65534
STRANGER = 1_234_567


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.disk
@pytest.mark.usefixtures("umask")
def test_nobody_else_may_read_anything(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.db")
    store.open()
    store.cancel([]).wait(5)
    modes = {path.name: mode(path) for path in tmp_path.rglob("*")}
    store.close()
    assert modes == {
        "journal.db": 0o600,
        "journal.db-wal": 0o600,
        "journal.db-shm": 0o600,
        "journal.db.runners": 0o700,
        "writer": 0o600,
        "journal": 0o600,
    }


@pytest.mark.disk
def test_a_journal_that_others_could_read_is_shut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path.resolve() / "journal.db"
    for _ in range(2):
        store = SqliteStore(path)
        store.open()
        modes = {mode(file) for file in tmp_path.glob("journal.db*") if file.is_file()}
        store.close()
        assert modes == {0o600}
        path.chmod(0o644)
    assert f"the journal {path} was readable by others" in caplog.text


@pytest.mark.disk
def test_a_file_that_is_no_journal_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a journal\n" * 100, "utf-8")
    path.chmod(0o644)
    with pytest.raises(JournalRefused, match="nor any database"):
        SqliteStore(path).open()
    assert mode(path) == 0o644


def test_a_folder_of_marks_that_others_could_write_is_shut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = JournalFiles(tmp_path / "journal.db")
    place.runners.mkdir()
    place.runners.chmod(0o777)
    place.prepare()
    assert mode(place.runners) == 0o700
    assert f"the folder {place.runners} was open to others" in caplog.text


def test_nothing_is_said_about_files_that_are_as_they_should_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = JournalFiles(tmp_path / "journal.db")
    place.prepare()
    place.prepare()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.touch()
    path.symlink_to(target)


@pytest.mark.parametrize("plant", [link, Path.mkdir, os.mkfifo])
def test_only_a_plain_file_can_be_a_journal(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    path = tmp_path / "journal.db"
    plant(path)
    with pytest.raises(JournalRefused, match="not a plain file"):
        SqliteStore(path).open()
    assert not JournalFiles(path).runners.exists()


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    path, target = tmp_path / "journal.db", tmp_path / "elsewhere"
    path.symlink_to(target)
    with pytest.raises(JournalRefused):
        SqliteStore(path).open()
    assert not target.exists()


def test_the_marks_are_not_kept_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "journal.db.runners").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalRefused, match="is a link"):
        SqliteStore(tmp_path / "journal.db").open()


def test_a_file_where_the_marks_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.db.runners").touch()
    with pytest.raises(JournalRefused, match=r"journal\.db\.runners is in the journal's way"):
        SqliteStore(tmp_path / "journal.db").open()


@pytest.mark.disk
def test_a_folder_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = SqliteStore(tmp_path / "link" / "journal.db")
    store.open()
    store.close()
    assert store.location == str(tmp_path / "real" / "journal.db")


def test_a_process_that_made_it_at_the_same_time_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = JournalFiles(tmp_path / "journal.db")

    def not_yet(path: Path) -> None:
        path.touch(0o600)  # the other one makes it right after our look

    monkeypatch.setattr(files, "_lstat", not_yet)
    place.prepare()
    assert mode(place.database) == 0o600


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(JournalRefused, match=r"does not exist; create it, or change store="):
        SqliteStore(tmp_path / "missing" / "journal.db").open()
    assert not (tmp_path / "missing").exists()


def test_a_folder_in_which_anybody_may_replace_files_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(JournalRefused, match="anybody may replace files"):
        JournalFiles(tmp_path / "journal.db").prepare()
    tmp_path.chmod(0o1777)
    JournalFiles(tmp_path / "journal.db").prepare()


# -- another user ---------------------------------------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


def prepared_by_nobody(path: Path) -> str:
    """Prepare as a user without special rights; return the error's name and words."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            JournalFiles(path).prepare()
            said = "nothing"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


@pytest.mark.process
@pytest.mark.disk
def test_a_folder_that_may_not_be_written(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    path = open_folder / "journal.db"
    said = prepared_by_nobody(path)
    assert said.startswith(f"{JournalUnavailable.__name__}: cannot write the journal at {path}: ")
    assert said.endswith("; let the user of this process write there, or change store=")


@pytest.mark.process
@pytest.mark.disk
def test_a_journal_that_may_not_be_written(open_folder: Path) -> None:
    path = open_folder / "journal.db"
    path.touch()
    path.chmod(0o444)
    said = prepared_by_nobody(path)
    assert said.startswith(
        f"{JournalUnavailable.__name__}: the journal {path} is not writable by this user; "
    )


@pytest.fixture
def sticky(tmp_path: Path) -> Path:
    """A folder in which anybody may make files, as in /tmp."""
    tmp_path.chmod(0o1777)
    return tmp_path.resolve()


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make files another user's, as far as this process sees: only root can do it really."""
    given = set[Path]()
    lstat = Path.lstat

    def seen(path: Path) -> os.stat_result:
        found = lstat(path)
        return os.stat_result((*found[:4], STRANGER, *found[5:])) if path in given else found

    monkeypatch.setattr(Path, "lstat", seen)
    return given.add


@pytest.mark.parametrize("end", ["", "-wal", "-shm", ".runners"])
def test_what_another_user_has_made_is_refused(
    sticky: Path, give_away: Callable[[Path], None], end: str
) -> None:
    path = sticky / "journal.db"
    JournalFiles(path).prepare()
    planted = sticky / f"journal.db{end}"
    if not planted.exists():
        planted.touch()
    give_away(planted)
    words = rf"journal\.db{end} belongs to user {STRANGER}, .*; remove it, or make it .*\(chown\), or put"
    with pytest.raises(JournalRefused, match=words):
        JournalFiles(path).prepare()


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_what_sqlite_would_follow_is_refused(tmp_path: Path, end: str) -> None:
    JournalFiles(tmp_path / "journal.db").prepare()
    link(tmp_path / f"journal.db{end}")
    with pytest.raises(JournalRefused, match=rf"journal\.db{end} is not a plain file; move it away"):
        JournalFiles(tmp_path / "journal.db").prepare()


def test_whose_files_are_trusted(tmp_path: Path) -> None:
    def state(user: int) -> os.stat_result:
        return os.stat_result((0, 0, 0, 0, user, 0, 0, 0, 0, 0))

    me, other = os.geteuid(), STRANGER + 1
    for owner, folders in ((me, other), (0, other), (STRANGER, STRANGER)):
        check_owner(tmp_path, state(owner), state(folders))
    with pytest.raises(JournalRefused):
        check_owner(tmp_path, state(STRANGER), state(other))


@pytest.mark.parametrize("plant", ["link", "folder", "link behind a link"])
def test_no_way_leads_through_what_another_user_has_made(
    sticky: Path, give_away: Callable[[Path], None], plant: str
) -> None:
    elsewhere = sticky / "elsewhere"
    elsewhere.mkdir()
    way = planted = sticky / "app"
    if plant == "link":
        way.symlink_to("elsewhere")
    elif plant == "folder":
        way.mkdir()
    else:
        planted = sticky / "planted"
        planted.symlink_to(elsewhere)
        (elsewhere / "inner").symlink_to(planted)
        way = elsewhere / "inner"
    give_away(planted)
    with pytest.raises(JournalRefused, match=f"{planted.name} belongs to user {STRANGER}"):
        JournalFiles(way / "journal.db").prepare()
    assert list(elsewhere.glob("journal*")) == []


def test_a_folder_that_only_its_owner_could_make_may_be_another_users(
    sticky: Path, give_away: Callable[[Path], None]
) -> None:
    """As /home/ada is for root: nobody else could have put it there."""
    home = sticky / "home"
    (home / "ada").mkdir(parents=True)
    give_away(home / "ada")
    JournalFiles(home / "ada" / "journal.db").prepare()


def test_links_that_this_user_has_made_are_followed(sticky: Path) -> None:
    (sticky / "real").mkdir()
    (sticky / "one").symlink_to("../" + sticky.name + "/real")
    (sticky / "two").symlink_to(sticky / "one")
    JournalFiles(sticky / "two" / "journal.db").prepare()
    assert (sticky / "real" / "journal.db").exists()
