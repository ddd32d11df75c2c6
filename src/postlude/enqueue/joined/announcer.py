"""Looking, from a thread of its own, for jobs whose transaction may have been committed by now."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

LOOKS: Final = (0.01, 0.05, 0.25, 1.0, 3.0)
"""Seconds after a job was written at which it is looked for, where nobody says when it is committed."""

IDLE: Final = 10.0
"""Seconds without anything to look for after which the thread ends."""


class Announcer:
    """Makes a call a few times after each job that was written.

    Args:
        look: the call, which must be quick.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._at: set[float] = set()
        self._changed = threading.Condition()
        self._runs = False

    def expect(self) -> None:
        """Look a few times from now on."""
        now = monotonic()
        with self._changed:
            # On a grid, so that many jobs at once are one look.
            self._at |= {round(now + seconds, 2) for seconds in LOOKS}
            self._changed.notify()
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="postlude-announcer", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        with self._changed:
            self._at.clear()
            self._changed.notify()

    def _run(self) -> None:
        idle = monotonic() + IDLE
        while True:
            with self._changed:
                now = monotonic()
                due = {at for at in self._at if at <= now}
                self._at -= due
                if not due:
                    if not self._at and now >= idle:
                        self._runs = False
                        return
                    self._changed.wait(min(self._at, default=idle) - now)
                    continue
                idle = now + IDLE
            self._look()
