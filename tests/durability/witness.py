"""What was seen to happen, kept outside the journal: one file per process, one write per line."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

Kind = Literal["intent", "acked", "refused", "start", "end", "kill"]

_KINDS: Final[dict[str, Kind]] = {kind: kind for kind in get_args(Kind)}


class Event(NamedTuple):
    """Something that happened to a job, or (`kill`) to a process."""

    kind: Kind
    token: str
    pid: int
    at: int
    """Wall time in nanoseconds."""


class Witness:
    """Writes this process's file. What `write` has taken outlives a SIGKILL.

    Args:
        folder: where all witnesses of a run write.
        name: of the file; the process's own by default.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        path = folder / f"{name or os.getpid()}.witness"
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, kind: Kind, token: str, pid: int | None = None) -> None:
        """Write one line."""
        line = f"{kind} {token} {pid or os.getpid()} {time.time_ns()}\n"
        os.write(self._fd, line.encode())


def seen(folder: Path) -> list[Event]:
    """Return everything that was noted, in order of time."""
    return sorted(_lines(folder), key=lambda event: event.at)


def _lines(folder: Path) -> Iterator[Event]:
    for path in folder.glob("*.witness"):
        for line in path.read_text("ascii").splitlines():
            kind, token, pid, at = line.split(" ")
            yield Event(_KINDS[kind], token, int(pid), int(at))
