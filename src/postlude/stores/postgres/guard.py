"""What the writer would not notice while there is nothing to write.

That the server has ended its connection: its runners' locks are free then, and would be taken for their
deaths. That another process looked at one of them when it was to be taken again. And that jobs have run for
long enough for their starts to be written.
"""

import threading
from collections.abc import Callable
from typing import Final

from postlude.stores.postgres.backend import PostgresBackend

LOOK_EVERY: Final = 0.1
"""Seconds between looks: several within the time for which a lock has to be free."""


class Guard:
    """A thread that looks.

    Args:
        backend: whose connection it is.
        renew: renews a runner's lease, and so has the connection opened anew, and starts written.
    """

    def __init__(self, backend: PostgresBackend, renew: Callable[[int], object]) -> None:
        self._backend = backend
        self._renew = renew
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postlude-guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            runners = self._backend.runners
            marks = list(runners.marks.values())
            needs_a_group = self._backend.is_lost() or not runners.is_locked
            if marks and (needs_a_group or any(one.is_due() for one in marks)):
                self._renew(marks[0].runner)
