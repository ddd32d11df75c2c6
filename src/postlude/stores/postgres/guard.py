"""Noticing that the server has ended the writer's connection, while there is nothing to write.

Its runners' locks are free then, and would be taken for their deaths: they are taken again at once.
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
        renew: renews a runner's lease, and so has the connection opened anew.
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
            if self._backend.is_lost():
                for runner in list(self._backend.runners.marks)[:1]:
                    self._renew(runner)
