"""Which store a text means."""

import os
from typing import Final

from postlude.clock import Clock
from postlude.errors import JournalRefused
from postlude.messages.quoting import quoted
from postlude.stores.location import DEFAULT_LOCATION, StoreKind, parse_location
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore

VARIABLE: Final = "POSTLUDE_STORE"
"""Overrides the text that the application gives."""


def choose_store(store: str | Store | None, clock: Clock, application: str = "") -> Store | None:
    """Return the store that is meant; None for `"off"`. Opens nothing.

    Args:
        store: a text, overridden by the variable `POSTLUDE_STORE`; or a store, used as it is.
        clock: the time, for the store.
        application: whose journal it is, for the store.

    Raises:
        JournalRefused: the text names no store; the message says what is allowed.
    """
    if isinstance(store, os.PathLike):
        raise JournalRefused(
            f"store={quoted(store)}: a path is written as a text, 'sqlite:///{os.fspath(store)}'"
        )
    if store is not None and not isinstance(store, str):
        return store
    chosen = os.environ.get(VARIABLE)
    try:
        location = parse_location(chosen or store or DEFAULT_LOCATION)
    except JournalRefused as error:
        raise JournalRefused(f"the variable {VARIABLE}: {error}" if chosen else str(error)) from None
    if location.kind is StoreKind.OFF:
        return None
    if location.path is None:
        return MemoryStore(clock)
    return SqliteStore(location.path, clock=clock, application=application)
