"""Opening a journal that exists, to look at it or to act on it. It is never made, never migrated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postlude.stores.location import StoreKind, StoreLocation, parse_location
from postlude.stores.open import open_acting, open_reading
from postlude.stores.protocol import ReadOnly, Store

_WORDS = frozenset(StoreKind)


@contextmanager
def reading(text: str) -> Iterator[ReadOnly]:
    """Open the journal at a location, and close it in the end.

    Args:
        text: a store's location, or the plain path of a SQLite journal.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: no journal is there, or it cannot be opened.
    """
    journal = open_reading(locate(text))
    try:
        yield journal
    finally:
        journal.close()


@contextmanager
def acting(text: str) -> Iterator[Store]:
    """Open the journal at a location to act on its jobs, and close it in the end.

    Args:
        text: as for `reading`.

    Raises:
        JournalRefused: it is not a journal, or one that another release has made: opened by this one,
            it would be migrated under the application's feet.
        JournalUnavailable: no journal is there, or it cannot be opened.
    """
    store = open_acting(locate(text))
    try:
        yield store
    finally:
        store.close()


def locate(text: str) -> StoreLocation:
    """Return where a journal is.

    Args:
        text: a store's location, or the plain path of a SQLite journal.

    Raises:
        JournalRefused: it is neither.
    """
    stripped = text.strip()
    if "://" in stripped or not stripped or stripped.lower() in _WORDS:
        return parse_location(stripped)
    return StoreLocation.of_path(Path(stripped).absolute())
