"""What the measured jobs leave behind: a line a start and a line an end, in a file that all append to.

A line is written by one call, so a process that is killed leaves whole lines, and the ones that it has
written stay. Nothing but Python itself is needed: each peer's own environment imports this.
"""

import asyncio
import os
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_LINE: Final = struct.Struct("<cxxxiqdd")
_files: dict[str, int] = {}


def _write(kind: bytes, number: int, added: float) -> None:
    path = os.environ["PEERS_RECORD"]
    file = _files.get(path)
    if file is None:
        file = _files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, _LINE.pack(kind, os.getpid(), number, added, time.monotonic()))


def work() -> float:
    """Return how many seconds a job takes."""
    return float(os.environ.get("PEERS_WORK", "0"))


def job(number: int, added: float) -> None:
    """Be the measured job, as a plain function."""
    _write(b"s", number, added)
    if seconds := work():
        time.sleep(seconds)
    _write(b"e", number, added)


async def async_job(number: int, added: float) -> None:
    """Be the measured job, as an async function."""
    _write(b"s", number, added)
    if seconds := work():
        await asyncio.sleep(seconds)
    _write(b"e", number, added)


@dataclass(slots=True)
class Seen:
    """What a file tells."""

    starts: "Counter[int]" = field(default_factory=Counter)
    ends: "Counter[int]" = field(default_factory=Counter)
    ended: list[float] = field(default_factory=list)
    """When each end was, by the clock that all processes of a machine share."""
    waits: list[tuple[int, float]] = field(default_factory=list)
    """For each start, whose it was, and seconds from adding to it."""

    @property
    def busy(self) -> bool:
        """Whether some job has been begun and has not ended."""
        return sum(self.starts.values()) > sum(self.ends.values())


def read(path: Path) -> Seen:
    """Return what a file tells."""
    seen = Seen()
    data = path.read_bytes() if path.exists() else b""
    for kind, _pid, number, added, at in _LINE.iter_unpack(data[: len(data) // _LINE.size * _LINE.size]):
        if kind == b"s":
            seen.starts[number] += 1
            seen.waits.append((number, at - added))
        else:
            seen.ends[number] += 1
            seen.ended.append(at)
    return seen


def ends(path: Path) -> int:
    """Return how many ends there are."""
    return sum(read(path).ends.values())
