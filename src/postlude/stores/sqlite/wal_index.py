"""What the -shm file of a journal says: the index of its WAL, which all connections share."""

import os
import struct
from typing import Final, NamedTuple

WAL_HEADER: Final = 32
FRAME_HEADER: Final = 24
"""Bytes."""

_INDEX: Final = struct.Struct("=14xHII8x8s")
"""Of the -shm file: the size of a page, frames in the WAL, pages of the database, the WAL's salts."""
_FOLDED: Final = struct.Struct("=6I")
"""How many frames are in the database, and the readers' marks."""
_COUNT: Final = struct.Struct("=I")
_FOLDED_AT: Final = 96
_BEGUN_AT: Final = 128
"""Where it says how many frames are in the database, and how many are about to be."""
INDEX_SIZE: Final = 136
INDEX_HEAD: Final = 48
"""Bytes of it that tell of commits alone, and not of folding or of readers."""
_FOLDING: Final = (slice(32, 40), slice(96, 100), slice(128, 132))
"""What of it changes before the database is written: salts, frames that are in that, or about to be."""


class Index(NamedTuple):
    """What the -shm file says of the WAL and the database."""

    page: int
    frames: int
    pages: int
    salts: bytes
    folded: int
    marks: tuple[int, ...] = ()
    """Up to where in the WAL those read who hold the locks of these places."""

    @property
    def settled(self) -> bool:
        """Whether all that was committed is in the database."""
        return self.folded >= self.frames

    @property
    def wal_size(self) -> int:
        """How many bytes of the WAL are in use."""
        return WAL_HEADER + self.frames * (self.page + FRAME_HEADER) if self.frames else 0

    @classmethod
    def of(cls, fd: int) -> "Index":
        """Read what an open -shm file says."""
        raw = os.pread(fd, INDEX_SIZE, 0)
        if len(raw) < INDEX_SIZE:
            return cls(0, 0, 0, b"", 0)
        page, frames, pages, salts = _INDEX.unpack_from(raw)
        folded, *marks = _FOLDED.unpack_from(raw, _FOLDED_AT)
        return cls(page if page > 1 else 65_536, frames, pages, salts, folded, tuple(marks))


def is_folded(before: bytes, after: bytes) -> bool:
    """Say whether the WAL has been folded between two readings of its index, or somebody has begun to."""
    return _is_begun(before) or any(before[part] != after[part] for part in _FOLDING)


def _is_begun(index: bytes) -> bool:
    """Whether somebody was about to fold more of the WAL than is in the database: nobody knows how far."""
    (folded,) = _COUNT.unpack_from(index, _FOLDED_AT)
    (begun,) = _COUNT.unpack_from(index, _BEGUN_AT)
    return bool(begun > folded)
