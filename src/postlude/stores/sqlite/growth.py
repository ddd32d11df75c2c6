"""A WAL that grows, because somebody who reads keeps it from being begun anew: who, and how much."""

from pathlib import Path
from typing import Final

from postlude.model.event.journal import WalFolded, WalGrew, WalReader
from postlude.stores.sqlite.guard import Guard
from postlude.stores.sqlite.wal_index import Index
from postlude.telemetry.events import Events

FIRST_TOLD: Final = 10_000
"""Frames of the WAL from which on it is said, and again each time that it has doubled: 40 MB."""

_FIRST_MARK: Final = 123
"""The byte of the -shm file that a reader locks who needs nothing of the WAL; the next are the marks'."""

_LOCKS: Final = Path("/proc/locks")


class Growth:
    """Says that the WAL grows, once for each doubling, and when that is over."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._told_at = FIRST_TOLD

    def note(self, frames: int, guard: Guard) -> None:
        """Look at a WAL that has just been folded as far as its readers allow.

        Args:
            frames: how many it has.
            guard: of the journal.
        """
        if frames < self._told_at:
            return
        self._told_at = 2 * frames
        index = guard.read_index()
        self._events.emit(WalGrew(Path(guard.path), index.wal_size, who_reads(guard, index)))

    def over(self, guard: Guard) -> None:
        """Note that the WAL is short."""
        if self._told_at != FIRST_TOLD:
            self._told_at = FIRST_TOLD
            self._events.emit(WalFolded(Path(guard.path)))


def who_reads(guard: Guard, index: Index, locks: Path = _LOCKS) -> list[WalReader]:
    """Return which processes need an older state of the journal, if the kernel tells.

    Args:
        guard: of the journal.
        index: what its -shm file says.
        locks: the kernel's table of locks; where there is none (macOS) nothing is known.
    """
    behind = {
        _FIRST_MARK + place
        for place, mark in enumerate(index.marks)
        if place == 0 or mark < index.frames
    }  # fmt: skip
    found = set[int]()
    for _, kind, _, how, pid, file, first, last, *_ in filter(_is_whole, _lines(locks)):
        if kind != "POSIX" or how != "READ" or guard.index is None or not last.isdigit():
            continue
        if file.rpartition(":")[2] == str(guard.index.inode) and behind & set(
            range(int(first), int(last) + 1)
        ):
            found.add(int(pid))
    return [WalReader(pid, _name(pid)) for pid in sorted(found)]


def _lines(locks: Path) -> list[list[str]]:
    try:
        return [line.split() for line in locks.read_text("ascii").splitlines()]
    except OSError:
        return []


def _is_whole(line: list[str]) -> bool:
    return len(line) >= 8 and line[1] != "->"


def _name(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return None
