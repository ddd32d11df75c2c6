"""Where the journals of applications under test are: each of the kinds that a service may have."""

from collections.abc import Sequence
from functools import partial

import pytest

from postlude.stores.protocol import Store

ON_A_SERVER = [pytest.mark.slow, pytest.mark.process, pytest.mark.disk]
SERVER = "a server"
LOCATIONS = [
    "memory",
    pytest.param("sqlite:///jobs.db", id="sqlite", marks=pytest.mark.disk),
    pytest.param(SERVER, id="postgres", marks=ON_A_SERVER),
]
"""For a fixture's `params`."""


def located(request: pytest.FixtureRequest) -> str:
    """Return where the journal of a test is, whose fixture has these params.

    An application without a lifespan has its journal open until its process ends. One on the server is closed
    with its test: there it would go on in the next test's.
    """
    if request.param != SERVER:
        return str(request.param)
    from postlude.stores.postgres import PostgresStore

    url = request.getfixturevalue("ready_database")
    opened: list[PostgresStore] = []
    open_one = PostgresStore.open

    def noted(store: PostgresStore) -> None:
        opened.append(store)
        open_one(store)

    request.getfixturevalue("monkeypatch").setattr(PostgresStore, "open", noted)
    request.addfinalizer(partial(closing, opened))
    return str(url)


def skip_where_leases_run_by_a_clock_that_jumps(location: str) -> None:
    """Skip a test that turns its clock by more than a lease at once: on a server that is a death."""
    if location.startswith("postgresql://"):
        pytest.skip("a server's leases run by the clock that this test turns by more than one at once")


def closing(stores: Sequence[Store]) -> None:
    """Close them all."""
    for store in stores:
        store.close()


def on_server(url: str, schema: str) -> Store:
    """Return a store in a schema of its own."""
    from postlude.stores.postgres import PostgresStore  # the driver is not everywhere

    return PostgresStore(url, schema=schema)


def drop(url: str, schema: str) -> None:
    """Remove such a journal."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
