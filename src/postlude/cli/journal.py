"""Opening a journal to look at it: read-only, never made, never migrated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.stores.location import StoreKind, StoreLocation, parse_location
from postlude.stores.sqlite.reader import JournalReader

_WORDS = frozenset(StoreKind)


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
    if location.path.is_dir():
        raise JournalUnavailable(f"{location.path} is a directory; give the path of the journal in it")
    if not location.path.is_file():
        raise JournalUnavailable(
            f"no journal at {location.path}; give its path with --store or in POSTLUDE_STORE"
        )
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
