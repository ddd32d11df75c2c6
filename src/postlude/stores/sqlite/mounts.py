"""Mounts: which file systems a journal may be on, as far as the kernel tells."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from postlude.errors import JournalRefused

_MOUNTS: Final = Path("/proc/self/mountinfo")

_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
"""How the kernel writes blanks and backslashes in paths; all other bytes stand as they are."""

_NETWORK: Final = frozenset(
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "coda", "9p", "afs", "ceph", "davfs", "glusterfs"),
        *("lustre", "orangefs", "beegfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse"),
        *("fuse.juicefs", "fuse.mfs", "fuse.seaweedfs", "fuse.rclone", "fuse.s3fs", "fuse.goofys"),
        *("fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2", "fuse.mountpoint-s3", "fuse.curlftpfs"),
        *("fuse.davfs",),
    ]
)
"""File systems on which SQLite's locks, or its shared memory, cannot be relied on."""

_DOUBTFUL: Final = frozenset(
    ["virtiofs", "fakeowner", "vboxsf", "prl_fs", "vmhgfs", "drvfs", "fuse", "gpfs", "gfs2", "ocfs2"]
)
"""Those on which journals have come to harm: folders of the machine that a virtual one runs on, and
whatever a program provides (`fuse.…`), of which nothing is known."""


def check_file_system(folder: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a network file system.

    Args:
        folder: where the journal is to be.
        mounts: the kernel's table of mounts; where there is none (macOS) nothing is checked.
    """
    kind = file_system_of(folder, mounts)
    if kind in _NETWORK:
        raise JournalRefused(
            f"{folder} is on a network file system ({kind}), where commits can be lost without an error; "
            "use a local disk, or a database server"
        )


def doubtful_file_system(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of a folder's file system, if a journal may come to harm on it."""
    kind = file_system_of(folder, mounts)
    return kind if kind is not None and (kind in _DOUBTFUL or kind.startswith("fuse.")) else None


def check_alone(database: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a database with a second name, or a mount of its own: each name would have a WAL of its own.

    Raises:
        JournalRefused: it has.
    """
    if any(place == database for place, _ in _read(mounts)):
        raise JournalRefused(
            f"the file {database} is a mount of its own: its -wal, with the jobs that were accepted last, "
            "would be left behind; mount the folder that it lies in"
        )
    found = database.stat()
    if found.st_nlink > 1:
        _tidy(database, found)
    if database.stat().st_nlink > 1:
        raise JournalRefused(
            f"the journal {database} has another name (a hard link): who opens it there has another WAL, and "
            f"jobs are lost; give it a file of its own (cp -p {database.name} copy; mv copy {database.name})"
        )


def _tidy(database: Path, found: os.stat_result) -> None:
    """Remove the name that a journal was saved under, if whoever gave it its own one died just then."""
    for saved in database.parent.glob(f"{database.name}.saved-*"):
        if os.path.samestat(saved.lstat(), found):
            saved.unlink()


def file_system_of(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the file system that holds a folder, if the kernel tells."""
    place = folder.resolve()
    best: tuple[int, str] | None = None
    for mount, kind in _read(mounts):
        if place.is_relative_to(mount) and (best is None or len(mount.parts) >= best[0]):
            best = (len(mount.parts), kind)
    return None if best is None else best[1]


def _read(mounts: Path) -> Iterator[tuple[Path, str]]:
    """Return where something is mounted, and of which type."""
    try:
        lines = mounts.read_bytes().split(b"\n")
    except OSError:
        return
    for line in filter(None, lines):
        left, _, right = line.partition(b" - ")
        place = os.fsdecode(_ESCAPED.sub(_unescape, left.split(b" ")[4]))
        yield Path(place), os.fsdecode(right.split(b" ")[0])


def _unescape(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)])
