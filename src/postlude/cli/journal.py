"""Opening a journal to look at it: read-only, never made, never migrated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.messages.quoting import cut
from postlude.stores.location import StoreKind, StoreLocation, parse_location
from postlude.stores.sqlite.reader import JournalReader

_WORDS = frozenset(StoreKind)

_LONGEST_PATH: Final = 1000
"""Characters of a path that are repeated."""


def find(text: str) -> Path:
    """Return the path of a journal that exists.

    Args:
        text: a store's location, or the plain path of a SQLite journal.

    Raises:
        JournalRefused: it is not a place that a journal can be read from.
        JournalUnavailable: no journal is there.
    """
    location = _read(text)
    if location.path is None:
        raise JournalRefused(f"a store that is `{location}` keeps no journal to look at; give --store a path")
    shown = cut(str(location.path), _LONGEST_PATH)
    try:
        if location.path.is_dir():
            raise JournalUnavailable(f"{shown} is a directory; give the path of the journal in it")
        if not location.path.is_file():
            raise JournalUnavailable(
                f"no journal at {shown}; give its path with --store or in POSTLUDE_STORE"
            )
    except OSError as error:
        raise JournalUnavailable(f"cannot look at {shown}: {error.strerror}") from error
    return location.path


@contextmanager
def reading(text: str) -> Iterator[JournalReader]:
    """Open the journal at a location, and close it in the end.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: it cannot be opened.
    """
    reader = JournalReader(find(text))
    try:
        yield reader
    finally:
        reader.close()


def _read(text: str) -> StoreLocation:
    stripped = text.strip()
    if "://" in stripped or not stripped or stripped.lower() in _WORDS:
        return parse_location(stripped)
    return StoreLocation(StoreKind.SQLITE, Path(stripped).absolute())
