"""A cap on memory as a container has one: the kernel kills a process that needs more."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

MIB: Final = 1024 * 1024


class Cap(NamedTuple):
    """A control group, of the first or the second version."""

    folder: Path
    limit: str
    """The file that has the cap."""
    killed_in: str
    """The file that counts the processes that the kernel has killed."""

    @property
    def processes(self) -> Path:
        """Where a process writes its number to be in it."""
        return self.folder / "cgroup.procs"

    def killed(self) -> int:
        """Return how many processes the kernel has killed for want of memory."""
        lines = (self.folder / self.killed_in).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def capped(bytes: int) -> Iterator[Cap]:
    """Make a control group with so much memory; skips the test where none can be made."""
    name = f"postlude-tests-{os.getpid()}"
    older, newer = Path("/sys/fs/cgroup/memory") / name, Path("/sys/fs/cgroup") / name
    if (older.parent / "memory.limit_in_bytes").exists():
        cap = Cap(older, "memory.limit_in_bytes", "memory.oom_control")
    else:
        cap = Cap(newer, "memory.max", "memory.events")
    try:
        cap.folder.mkdir()
        (cap.folder / cap.limit).write_text(str(bytes))
    except OSError as error:
        with suppress(OSError):
            cap.folder.rmdir()
        pytest.skip(f"no process can be given a cap on its memory here: {error}")
    try:
        yield cap
    finally:
        until = time.monotonic() + 10
        while cap.folder.exists() and time.monotonic() < until:
            with suppress(OSError):  # one of it is on its way out
                cap.folder.rmdir()
                break
            time.sleep(0.02)


def join_and_starve(processes: str) -> None:
    """Enter a control group, and ask for memory until the kernel ends this process."""
    Path(processes).write_text(str(os.getpid()))
    taken = []
    while True:
        taken.append(b"\1" * (4 * MIB))
