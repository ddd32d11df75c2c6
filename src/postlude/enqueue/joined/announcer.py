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
        look: the call.

    Attributes:
        every: seconds after which it is made in any case, once something was expected; None: never.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._at: set[float] = set()
        self._changed = threading.Condition()
        self._runs = False
        self.every: float | None = None

    def expect(self, *seconds: float) -> None:
        """Look after so many seconds, each; by default, a few times."""
        now = monotonic()
        with self._changed:
            # On a grid, so that many jobs at once are one look.
            self._at |= {round(now + each, 2) for each in seconds or LOOKS}
            self._changed.notify()
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="postlude-announcer", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        with self._changed:
            self.every = None
            self._at.clear()
            self._changed.notify()

    def _run(self) -> None:
        last = monotonic()
        while True:
            with self._changed:
                now = monotonic()
                due = {at for at in self._at if at <= now}
                self._at -= due
                then = last + (IDLE if self.every is None else self.every)
                if not due and now < then:
                    self._changed.wait(min([then, *self._at]) - now)
                    continue
                if not due and self.every is None:
                    self._runs = False
                    return
                last = now
            self._look()
