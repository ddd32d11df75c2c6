"""Which store a text means."""

import os
from pathlib import Path
from typing import Final

from postlude.clock import Clock
from postlude.errors import JournalRefused
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore

DEFAULT: Final = "sqlite:///postlude.db"
VARIABLE: Final = "POSTLUDE_STORE"


def choose_store(store: str | Store | None, clock: Clock) -> Store | None:
    """Return the store that is meant; None for `"off"`. Opens nothing.

    Args:
        store: a text, overridden by the variable `POSTLUDE_STORE`; or a store, used as it is.
        clock: the time, for the store.
    """
    if store is not None and not isinstance(store, str):
        return store
    text = os.environ.get(VARIABLE) or store or DEFAULT
    if text == "off":
        return None
    if text == "memory":
        return MemoryStore(clock)
    if text.startswith("sqlite:///"):
        return SqliteStore(Path(text.removeprefix("sqlite:///")), clock=clock)
    raise JournalRefused(text)
