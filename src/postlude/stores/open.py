"""Which store a text means: each kind of journal stands here once."""

import os
import time
from collections.abc import Callable
from typing import Any, Final

from postlude.clock import Clock, SystemClock
from postlude.errors import JournalRefused, JournalUnavailable
from postlude.messages.quoting import quoted
from postlude.stores.location import DEFAULT_LOCATION, StoreKind, StoreLocation, parse_location
from postlude.stores.memory import MemoryStore
from postlude.stores.moving import Whole
from postlude.stores.protocol import LivingRunner, ReadOnly, Store
from postlude.stores.sqlite import SqliteReading, SqliteStore, WholeSqlite

VARIABLE: Final = "POSTLUDE_STORE"
"""Overrides the text that the application gives."""

_STORES: Final[dict[StoreKind, Callable[[StoreLocation, Clock, str], Store]]] = {
    StoreKind.MEMORY: lambda _, clock, __: MemoryStore(clock),
    StoreKind.SQLITE: lambda location, clock, application: SqliteStore(
        location.path, clock=clock, application=application
    ),
    StoreKind.POSTGRES: lambda location, clock, _: _postgres().PostgresStore(
        location.url, clock=None if isinstance(clock, SystemClock) else clock
    ),
}

_READINGS: Final[dict[StoreKind, Callable[[StoreLocation], ReadOnly]]] = {
    StoreKind.SQLITE: lambda location: SqliteReading(location.path),
    StoreKind.POSTGRES: lambda location: _postgres().PostgresReading(location.url),
}
"""Those that outlive their process, so that another one can look at them."""

_WHOLES: Final[dict[StoreKind, Callable[[StoreLocation, bool], Whole]]] = {
    StoreKind.SQLITE: lambda location, make: WholeSqlite(location.path, make=make),
    StoreKind.POSTGRES: lambda location, make: _postgres().WholePostgres(location.url, make=make),
}

BURIED_WITHIN: Final = 3.0
"""Seconds for which the dead are looked for: longer than it takes to be sure of one."""


def _postgres() -> Any:
    """Return the room of the PostgreSQL store, which needs an extra.

    Raises:
        JournalRefused: the extra is not installed.
    """
    try:
        from postlude.stores import postgres
    except ImportError as error:
        raise JournalRefused(
            f"a journal in PostgreSQL needs an extra: pip install 'postlude[postgres]' ({error})"
        ) from None
    return postgres


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
    return _STORES[location.kind](location, clock, application)


def open_reading(location: StoreLocation) -> ReadOnly:
    """Open a journal that exists to look at it: never made, never migrated, never written.

    Raises:
        JournalRefused: it is not a journal that this release can read, or none that others can look at.
        JournalUnavailable: no journal is there, or it cannot be opened.
    """
    opening = _READINGS.get(location.kind)
    if opening is None:
        raise JournalRefused(f"a store that is `{location}` keeps no journal to look at; give --store a path")
    return opening(location)


def open_acting(location: StoreLocation) -> Store:
    """Open a journal that exists to act on it, as a program of its own: never made, never migrated.

    Raises:
        JournalRefused: it is not a journal that this release writes as it is, or none that others can act on.
        JournalUnavailable: no journal is there, or it cannot be opened.
    """
    looking = open_reading(location)
    try:
        if not looking.current:
            raise JournalRefused(
                f"the journal {looking.location} was made by an older release, and this one would change its "
                f"form: start the application with this release first, or act with the one that it runs"
            )
    finally:
        looking.close()
    store = _STORES[location.kind](location, SystemClock(), "")
    store.open()
    return store


def make_current(location: StoreLocation) -> str:
    """Make a journal, or bring it to this release's form; returns where it is, for people.

    Raises:
        JournalRefused: it must not be used, this user may not, or the store keeps none.
        JournalUnavailable: it cannot be opened now.
    """
    if location.kind not in _READINGS:
        raise JournalRefused(f"a store that is `{location}` keeps no journal; give --store a path or a URL")
    store = _STORES[location.kind](location, SystemClock(), "")
    store.open()
    store.close()
    return store.location


def open_source(location: StoreLocation) -> Whole:
    """Open a journal that exists to move it elsewhere. What ran in processes that have died waits again then.

    Raises:
        JournalRefused: it is not a journal that this release writes as it is, or none that can be moved.
        JournalUnavailable: no journal is there, it cannot be opened, or a process uses it, which is named.
    """
    looking = open_reading(location)
    try:
        found = looking.living().wait()
    finally:
        looking.close()
    try:
        whole = _open_whole(location, make=False)
        if not whole.unsettled():
            return whole
        whole.close()
        found = _settle(location)
        whole = _open_whole(location, make=False)
    except JournalUnavailable as error:
        if not found:
            raise
        raise JournalUnavailable(f"{error}: {_named(found)}") from None
    if jobs := whole.unsettled():
        whole.close()
        raise JournalUnavailable(
            f"{jobs} jobs of {whole.place} run in a process that lives, or whose lease is not over: "
            f"{_named(found) or 'it is not known which'}"
        )
    return whole


def open_target(location: StoreLocation) -> Whole:
    """Open a journal, made if it is missing, to move another one to it.

    Raises:
        JournalRefused: it must not be used, or journals of its kind cannot be moved to.
        JournalUnavailable: it cannot be opened, or a process uses it.
    """
    return _open_whole(location, make=True)


def _open_whole(location: StoreLocation, *, make: bool) -> Whole:
    opening = _WHOLES.get(location.kind)
    if opening is None:
        raise JournalRefused(f"a store that is `{location}` keeps no journal that could be moved")
    return opening(location, make)


def _settle(location: StoreLocation) -> list[LivingRunner]:
    """Have what ran in dead processes wait again, and what has joined be known; returns who lives."""
    store = open_acting(location)
    try:
        until = time.monotonic() + BURIED_WITHIN
        while True:
            store.promote().wait()
            store.reap().wait()
            living = store.living().wait()
            if not living or time.monotonic() > until:
                return living
            time.sleep(0.1)
    finally:
        store.close()


def _named(living: list[LivingRunner]) -> str:
    return ", ".join(f"{one.kind} on {one.host}, pid {one.pid}" for one in living)
