"""Job ids: UUIDv7 (RFC 9562), 16 bytes inside, canonical text outside."""

import os
import random
import struct
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

_HALVES: Final = struct.Struct(">QQ")
_VARIANT: Final = 0b10 << 62
_TIMED: Final = 7
"""The version of those that carry their time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class IdSource:
    """Makes ids that grow within one process.

    The order of jobs is never read from them (two processes, or a stepped clock, would break
    it): it is ``seq``. Growing ids only keep the unique index cheap. An id is not a secret.
    """

    def __init__(self) -> None:
        # Not the module's generator: an application that calls random.seed() in each of its
        # processes would make equal ids.
        self._random = random.Random(os.urandom(32))
        self._first = 0

    def new(self, now: int) -> bytes:
        """Return a fresh id. From any thread: the noise alone keeps ids apart.

        Args:
            now: the time (microseconds, UTC), which it carries in milliseconds.
        """
        first = now // 1000 << 16 | 0x7000
        last = self._first
        if first <= last:
            # The low 12 bits count within a millisecond, and carry on into the next one if they must.
            first = last + 1 if last & 0xFFF != 0xFFF else last + 0xF001
        self._first = first
        return _HALVES.pack(first, self._random.getrandbits(62) | _VARIANT)


def id_text(raw: bytes) -> str:
    """Write a stored id as people see it."""
    return str(uuid.UUID(bytes=raw))


def id_bytes(text: str) -> bytes:
    """Read an id that a person or a URL gave.

    Raises:
        ValueError: the text is not a UUID.
    """
    return uuid.UUID(text).bytes


def made_at(raw: bytes) -> datetime:
    """Return when an id was made, to the millisecond (UTC); now, if it does not say so."""
    if raw[6] >> 4 != _TIMED:
        return datetime.now(UTC)
    return _EPOCH + timedelta(milliseconds=int.from_bytes(raw[:6]))
