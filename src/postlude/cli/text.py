"""Stored text on a terminal: it was written by others, so nothing of it may act there."""

import unicodedata
from datetime import datetime

_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder the line, or cannot be written at all."""


def escaped(text: str, *, keep: str = "") -> str:
    """Return the text with control, format and unassigned characters written out.

    Args:
        text: what was stored.
        keep: characters that stay as they are, such as a traceback's line ends.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in keep or _is_plain(one) else _written(one) for one in text)


def counted(count: int, one: str = "job", many: str = "jobs") -> str:
    """Write how many there are of something."""
    return f"{count:,} {one if count == 1 else many}"


def when(time: datetime | None) -> str:
    """Write a time for people, in UTC, to the second."""
    return "" if time is None else time.strftime("%Y-%m-%d %H:%M:%SZ")


def exactly(time: datetime) -> str:
    """Write a time for people, in UTC, to the millisecond: many jobs take no more."""
    return f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d}Z"


def _is_plain(character: str) -> bool:
    return unicodedata.category(character) not in _ACTING


def _written(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
