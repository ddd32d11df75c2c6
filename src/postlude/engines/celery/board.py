"""What the processes of a worker tell each other: a few numbers in memory that they share."""

import mmap
import struct
from collections.abc import Callable
from typing import Final, Generic, TypeVar

_NUMBER: Final = struct.Struct("=d")

T = TypeVar("T", bound=float)


class Cell(Generic[T]):
    """The place of one number, as an attribute of the board.

    Args:
        place: which it is.
        kind: what it is read as.
    """

    def __init__(self, place: int, kind: Callable[[float], T]) -> None:
        self._at = place * _NUMBER.size
        self._kind = kind

    def __get__(self, board: "Board", owner: type) -> T:
        number: float = _NUMBER.unpack_from(board.memory, self._at)[0]
        return self._kind(number)

    def __set__(self, board: "Board", value: T) -> None:
        _NUMBER.pack_into(board.memory, self._at, value)


class Board:
    """The numbers. Each is written by one process, and may be read by all."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.busy = -1

    parent = Cell(0, int)
    """The number of the worker's row in the journal; 0: not known. By its keeper."""
    heard = Cell(1, float)
    """When a message last came, in seconds of the monotonic clock. By the worker."""
    held = Cell(2, int)
    """How many messages it has that are not done. By the worker."""
    room = Cell(3, int)
    """How many it does at once; 0: it does not take any so far. By the worker."""
    deaf = Cell(4, float)
    """Since when it hears nothing, in seconds of the monotonic clock; 0: it hears. By the keeper."""
    ended = Cell(5, bool)
    """Whether the keeper has told the worker to end, because it is deaf."""
    busy = Cell(6, int)
    """How many jobs its processes run; -1: not known. By the keeper."""
    told = Cell(7, bool)
    """Whether the worker has been told to end. By the worker."""
    dismissed = Cell(8, bool)
    """Whether the keeper is to end. By the worker."""
    cold = Cell(9, bool)
    """Whether the worker ends without waiting for what runs, as it was told after all. By the worker."""
    beaten = Cell(10, float)
    """When its loop last told these, in seconds of the monotonic clock; infinite: its jobs run in that loop.
    By the worker."""
