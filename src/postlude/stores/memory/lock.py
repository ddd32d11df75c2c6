"""The lock of a memory store."""

import threading

from postlude.stores.memory.shelves import Shelves
from postlude.stores.signals import Listeners, Said


class TellingLock:
    """Lets one verb at a time at the jobs; as it is given back, what that has done is told.

    Args:
        shelves: where that is noted.
        listeners: who is told.
    """

    __slots__ = ("_listeners", "_lock", "_shelves")

    def __init__(self, shelves: Shelves, listeners: Listeners) -> None:
        self._lock = threading.Lock()
        self._shelves = shelves
        self._listeners = listeners

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *raised: object) -> None:
        said = self._shelves.said
        if said:
            self._shelves.said = Said()
            self._lock.release()
            self._listeners.tell(said)
        else:
            self._lock.release()
