"""What the processes of a worker tell each other: a few numbers in memory that they share."""

import mmap
import struct
from typing import Final

_NUMBER: Final = struct.Struct("=d")


class Board:
    """The numbers. Each is written by one process, and may be read by all.

    Attributes:
        parent: the number of the worker's row in the journal; 0: not known. By its keeper.
        heard: when a message last came, in seconds of the monotonic clock. By the worker.
        held: how many messages it has that are not done. By the worker.
        room: how many it does at once; 0: it does not take any so far. By the worker.
        deaf: since when it hears nothing, in seconds of the monotonic clock; 0: it hears. By the keeper.
        busy: how many jobs its processes run; -1: not known. By the keeper.
        told: 1: the worker has been told to end. By the worker.
        dismissed: 1: the keeper is to end. By the worker.
        ended: 1: the keeper has told the worker to end, because it is deaf.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.busy = -1

    def _get(self, place: int) -> float:
        found: float = _NUMBER.unpack_from(self._memory, place * _NUMBER.size)[0]
        return found

    def _put(self, place: int, value: float) -> None:
        _NUMBER.pack_into(self._memory, place * _NUMBER.size, value)

    @property
    def parent(self) -> int:
        return int(self._get(0))

    @parent.setter
    def parent(self, value: int) -> None:
        self._put(0, value)

    @property
    def heard(self) -> float:
        return self._get(1)

    @heard.setter
    def heard(self, value: float) -> None:
        self._put(1, value)

    @property
    def held(self) -> int:
        return int(self._get(2))

    @held.setter
    def held(self, value: int) -> None:
        self._put(2, value)

    @property
    def room(self) -> int:
        return int(self._get(3))

    @room.setter
    def room(self, value: int) -> None:
        self._put(3, value)

    @property
    def deaf(self) -> float:
        return self._get(4)

    @deaf.setter
    def deaf(self, value: float) -> None:
        self._put(4, value)

    @property
    def ended(self) -> bool:
        return self._get(5) == 1.0

    @ended.setter
    def ended(self, value: bool) -> None:
        self._put(5, float(value))

    @property
    def busy(self) -> int:
        return int(self._get(6))

    @busy.setter
    def busy(self, value: int) -> None:
        self._put(6, value)

    @property
    def told(self) -> bool:
        return self._get(7) == 1.0

    @told.setter
    def told(self, value: bool) -> None:
        self._put(7, float(value))

    @property
    def dismissed(self) -> bool:
        return self._get(8) == 1.0

    @dismissed.setter
    def dismissed(self, value: bool) -> None:
        self._put(8, float(value))
