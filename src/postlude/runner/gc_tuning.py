"""Settings of the interpreter that are others while a runner of this process runs."""

import gc
import sys
from threading import Lock
from typing import Final, Protocol

YOUNG: Final = 10_000
"""Objects made, beyond those that died, between two looks at the youngest generation."""

SWITCH_EVERY: Final = 0.001
"""Seconds that a thread may keep the interpreter while others wait for it."""


class Setting(Protocol):
    """One setting of the interpreter."""

    def change(self) -> None:
        """Set it for jobs."""
        ...

    def put_back(self) -> None:
        """Set it as it was."""
        ...


class Collector:
    """Fewer collections of garbage, and none of what the application made at its start.

    Requests that wait for the same commit are alive together, with everything they made. With
    Python's default (700 objects) that triggers a collection every ten requests, which finds
    nothing, since all of it dies with the requests: measured, 20 to 45 µs a request, a third of
    what FastAPI itself takes. A threshold that the application has raised itself is kept, and what it
    has frozen, as servers do before they fork, stays frozen.
    """

    def __init__(self) -> None:
        self._before: tuple[int, int, int] = (0, 0, 0)
        self._froze = False

    def change(self) -> None:
        first, second, third = self._before = gc.get_threshold()
        if first:  # 0: the application has switched collection off
            self._froze = not gc.get_freeze_count()
            if self._froze:
                gc.freeze()
            gc.set_threshold(max(first, YOUNG), second, third)

    def put_back(self) -> None:
        if self._before[0]:
            gc.set_threshold(*self._before)
            if self._froze:
                gc.unfreeze()


class Switching:
    """Threads change places more often: every millisecond instead of every five.

    An event loop gives the interpreter away with each look at its sockets. Beside a sync job that
    computes, it waits a whole interval until it has it again: with Python's default an answer takes
    6.2 ms (median; 15 at the 99th percentile), with this one 1.4 (6.5); `make bench BENCH=beside`. And
    the journal's writer, which fights for it several times a commit, does more commits. A shorter one
    that the application has set is kept.
    """

    def __init__(self) -> None:
        self._before = 0.0

    def change(self) -> None:
        self._before = sys.getswitchinterval()
        if self._before > SWITCH_EVERY:
            sys.setswitchinterval(SWITCH_EVERY)

    def put_back(self) -> None:
        if self._before > SWITCH_EVERY:
            sys.setswitchinterval(self._before)


class Shared:
    """A setting that several runners of one process want changed: the last that stops puts it back.

    Args:
        setting: what is set.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._lock = Lock()
        self._wanted = 0

    def start(self) -> None:
        """A runner starts."""
        with self._lock:
            self._wanted += 1
            if self._wanted == 1:
                self._setting.change()

    def stop(self) -> None:
        """It stops. Call it once for each start."""
        with self._lock:
            self._wanted -= 1
            if self._wanted == 0:
                self._setting.put_back()


COLLECTOR: Final = Shared(Collector())
SWITCHING: Final = Shared(Switching())
