"""What was given, repeated in a message: a megabyte of it must not fill logs and answers."""

import reprlib
from collections.abc import Sequence
from typing import Final

MOST: Final = 120
"""Characters of what is repeated."""

_LISTED: Final = 10
"""Names that are listed at most."""


def _maker() -> reprlib.Repr:
    maker = reprlib.Repr()
    maker.maxstring = maker.maxother = maker.maxlong = MOST
    return maker


_MAKER: Final = _maker()


def quoted(given: object) -> str:
    """Return how a value is written in Python, cut in the middle if that is long."""
    try:
        text = _MAKER.repr(given)
    except Exception:  # a whole number of more than 4,300 digits, say
        text = f"<{type(given).__name__}>"
    return text if len(text) <= 2 * MOST else f"{text[:MOST]}...{text[-MOST:]}"


def cut(text: str, most: int = MOST) -> str:
    """Return a text, cut if it is longer than so many characters."""
    return text if len(text) <= most else f"{text[:most]}..."


def listed(names: Sequence[str]) -> str:
    """Write names side by side; not all, if they are very many."""
    more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(cut, names[:_LISTED])) + more
