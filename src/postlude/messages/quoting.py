"""What was given, repeated in a message: a megabyte of it must not fill logs and answers."""

import reprlib
from typing import Final

MOST: Final = 120
"""Characters of what is repeated."""


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
