"""The clocks that everything else is given.

Wall time (microseconds, UTC) is for what people read and for due times. Leases use the boot
clock, which neither steps nor stops in suspend, together with the boot's identity: a lease of
another boot has expired.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

__all__ = ["LATEST", "SECOND", "Clock", "ManualClock", "SystemClock", "boot_id"]

SECOND: Final = 1_000_000
"""One second in the unit of every time that is stored: microseconds."""

LATEST: Final = 253_402_300_799_999_999
"""The last moment that a date can tell, at the end of the year 9999: later ones are as good as never."""

_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Where times come from. Both are integers in microseconds."""

    def now(self) -> int:
        """Wall time, UTC."""
        ...

    def boot(self) -> int:
        """Time since this machine's boot."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def boot(self) -> int:
        return time.clock_gettime_ns(_BOOT_CLOCK) // 1000


class JournalClock:
    """The time that a journal tells, which decides what is due, beside the boot clock of this machine.

    Args:
        now: the journal's time.
        clock: this machine's.
    """

    def __init__(self, now: Callable[[], int], clock: Clock) -> None:
        self.now = now
        self.boot = clock.boot


class ManualClock:
    """A clock that only moves when told to; wall and boot time move together, unless it is set."""

    def __init__(self, now: int = 1_767_225_600 * SECOND) -> None:
        self._now = now
        self._boot = 0

    def now(self) -> int:
        return self._now

    def boot(self) -> int:
        return self._boot

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now += round(seconds * SECOND)
        self._boot += round(seconds * SECOND)

    def set(self, seconds: float) -> None:
        """Set the wall clock forward, or back, as people and time servers do; no time passes."""
        self._now += round(seconds * SECOND)


def boot_id() -> str:
    """Name this boot of the machine; a process that cannot know it gets a name of its own."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        # Without /proc (macOS) the boot's wall time is its name, rounded against drift.
        booted = time.time_ns() - time.clock_gettime_ns(_BOOT_CLOCK)
        return f"boot-{round(booted / 60e9)}-{os.uname().nodename}"
