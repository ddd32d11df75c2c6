"""Which file systems a journal may be on."""

import os
import shutil
from pathlib import Path

import pytest

from postlude.errors import JournalRefused
from postlude.stores.sqlite import SqliteStore, mounts
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.mounts import (
    check_alone,
    check_file_system,
    doubtful_file_system,
    file_system_of,
)

pytestmark = pytest.mark.disk


def mounted(folder: Path, *lines: tuple[str, str]) -> Path:
    """Write a kernel's table of mounts: (place, file system), as the kernel escapes them."""
    table = folder / "mountinfo"
    table.write_bytes(
        b"".join(
            os.fsencode(f"36 35 98:0 / {place} rw,noatime master:1 - {kind} source rw\n")
            for place, kind in [("/", "ext4"), *lines]
        )
    )
    return table


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "9p", "cifs", "smb3", "fuse.sshfs", "ceph"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    table = mounted(tmp_path, (str(tmp_path), kind))
    with pytest.raises(JournalRefused, match=rf"network file system \({kind}\).*use a local disk"):
        check_file_system(tmp_path, table)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs"])
def test_a_local_file_system_is_fine(tmp_path: Path, kind: str) -> None:
    check_file_system(tmp_path, mounted(tmp_path, (str(tmp_path), kind)))


def test_preparing_looks_at_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "file_system_of", lambda folder, mounts: "nfs4")
    with pytest.raises(JournalRefused, match="nfs4"):
        JournalFiles(tmp_path / "journal.db").prepare()
    assert list(tmp_path.iterdir()) == []


def test_the_innermost_mount_counts(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for lines in ([(inner, "xfs"), (tmp_path, "nfs4")], [(tmp_path, "nfs4"), (inner, "xfs")]):
        table = mounted(tmp_path, *((str(place), kind) for place, kind in lines))
        assert file_system_of(inner, table) == "xfs"
        assert file_system_of(tmp_path, table) == "nfs4"


def test_the_last_mount_at_one_place_counts(tmp_path: Path) -> None:
    table = mounted(tmp_path, (str(tmp_path), "xfs"), (str(tmp_path), "nfs"))
    assert file_system_of(tmp_path, table) == "nfs"


def test_a_mount_beside_it_does_not_count(tmp_path: Path) -> None:
    beside = tmp_path / "data-of-others"
    (tmp_path / "data").mkdir()
    assert file_system_of(tmp_path / "data", mounted(tmp_path, (str(beside), "nfs"))) == "ext4"


@pytest.mark.parametrize(
    "name, escaped",
    [
        ("a b", r"a\040b"),
        ("tab\there", r"tab\011here"),
        (r"back\slash", r"back\134slash"),
        ("données", "données"),
    ],
)
def test_mounts_with_odd_names(tmp_path: Path, name: str, escaped: str) -> None:
    (tmp_path / name).mkdir()
    table = mounted(tmp_path, (f"{tmp_path}/{escaped}", "nfs4"))
    assert file_system_of(tmp_path / name, table) == "nfs4"


def test_a_mount_whose_name_is_no_text_stops_nobody(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, mounted(tmp_path, ("/mnt/\udcff", "nfs4"))) == "ext4"


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    check_file_system(tmp_path, tmp_path / "missing")
    assert file_system_of(tmp_path, tmp_path / "missing") is None


# -- those that are told of ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["virtiofs", "fakeowner", "fuse.grpcfuse", "fuse.shfs", "fuse", "vboxsf"])
def test_a_folder_of_the_host_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    monkeypatch.setattr(mounts, "file_system_of", lambda folder, mounts: kind)
    store = SqliteStore(tmp_path / "journal.db")
    store.open()
    store.close()
    assert f"is on a file system ({kind}) that has damaged databases; put it on a disk" in caplog.text


@pytest.mark.parametrize("kind", ["ext4", "fuseblk", "overlay", "nfs4"])
def test_others_are_not(tmp_path: Path, kind: str) -> None:
    assert doubtful_file_system(tmp_path, mounted(tmp_path, (str(tmp_path), kind))) is None


# -- a database of its own -------------------------------------------------------------------


def test_a_database_that_is_mounted_without_its_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    check_alone(path, mounted(tmp_path, (str(tmp_path), "ext4"), (f"{path}-wal", "ext4")))
    with pytest.raises(JournalRefused, match=r"is a mount of its own: .*mount the folder that it lies in"):
        check_alone(path, mounted(tmp_path, (str(path), "ext4")))


def test_a_database_with_another_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path.resolve() / "journal.db"
    for _ in range(2):
        store = SqliteStore(path)
        store.open()
        store.close()
    os.link(path, path.with_name("snapshot.db"))
    with pytest.raises(JournalRefused, match=r"has another name .*mv copy journal.db"):
        SqliteStore(path).open()
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").replace(path)
    store = SqliteStore(path)
    store.open()
    store.close()


def test_the_name_that_it_was_saved_under_is_none(tmp_path: Path) -> None:
    """Whoever put the saved journal back died before that name was removed."""
    path = tmp_path.resolve() / "journal.db"
    SqliteStore(path).open()
    saved, older = path.with_name("journal.db.saved-7"), path.with_name("journal.db.saved-5")
    os.link(path, saved)
    older.touch()
    store = SqliteStore(path)
    store.open()
    store.close()
    assert not saved.exists()
    assert older.exists()
