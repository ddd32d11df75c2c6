"""Jobs in transactions of a database that has the journal too: there exactly when the data are."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from postlude import CannotJoin, Postlude
from postlude.model.job import JobFilter
from tests.enqueue.joined.kinds import POSTGRES, Begin, Kind, Undone, note, undone

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:.*session.exec:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:transaction already deassociated"),
]


@pytest.fixture(params=list(POSTGRES))
async def begin(request: pytest.FixtureRequest, postlude: Postlude, database: str) -> AsyncIterator[Begin]:
    kind = Kind(postlude, database)
    yield POSTGRES[request.param](kind)
    await kind.end()


async def found(postlude: Postlude, database: str) -> tuple[list[int], list[int]]:
    """Return what is there: data, and jobs."""
    await postlude.components.store.promote()
    with psycopg.connect(database) as db:
        data = [n for (n,) in db.execute("SELECT n FROM orders ORDER BY n")]
        each = "SELECT n FROM postlude.stat UNION ALL SELECT n FROM postlude.tally"
        (counted,) = db.execute(f"SELECT coalesce(sum(n), 0) FROM ({each}) AS each").fetchone() or (None,)
    page = await postlude.components.store.page(JobFilter(limit=1000))
    assert counted == len(page)
    called = (json.loads(job.payload) for job in page)
    return data, sorted(int(*said["a"], *said["k"].values()) for said in called)


async def test_a_commit_stores_both(begin: Begin, postlude: Postlude, database: str) -> None:
    async with begin() as tx:
        await tx.order(1)
        await tx.order(2)
    assert await found(postlude, database) == ([1, 2], [1, 2])


async def test_a_rollback_stores_neither(begin: Begin, postlude: Postlude, database: str) -> None:
    async with undone(begin()) as tx:
        await tx.order(1)
    assert await found(postlude, database) == ([], [])
    async with begin() as tx:
        await tx.order(2)
    assert await found(postlude, database) == ([2], [2])


async def test_what_the_database_refuses_stores_neither(
    begin: Begin, postlude: Postlude, database: str
) -> None:
    async with begin() as tx:
        await tx.order(1)

    async def refused() -> None:
        async with begin() as tx:
            await tx.add(note, 2)
            await tx.order(1)

    with pytest.raises(Exception, match="duplicate"):
        await refused()
    assert await found(postlude, database) == ([1], [1])


async def test_a_savepoint_takes_its_jobs_with_it(begin: Begin, postlude: Postlude, database: str) -> None:
    async with begin() as tx:
        await tx.order(1)
        async with undone(tx.savepoint()):
            await tx.order(2)
        async with tx.savepoint():
            await tx.order(3)
        await tx.order(4)
    assert await found(postlude, database) == ([1, 3, 4], [1, 3, 4])


async def test_a_savepoint_in_which_nothing_else_is_done(
    begin: Begin, postlude: Postlude, database: str
) -> None:
    async with begin() as tx:
        await tx.add(note, 1)
        async with undone(tx.savepoint()):
            await tx.add(note, 2)
            async with undone(tx.savepoint()):
                await tx.add(note, 3)
            async with tx.savepoint():
                await tx.add(note, 4)
        async with tx.savepoint():
            await tx.add(note, 5)
    assert (await found(postlude, database))[1] == [1, 5]


async def test_a_savepoint_in_raw_sql(begin: Begin, postlude: Postlude, database: str) -> None:
    async with begin() as tx:
        await tx.add(note, 1)
        await tx.run("SAVEPOINT mine")
        await tx.add(note, 2)
        await tx.run("ROLLBACK TO SAVEPOINT mine")
        await tx.add(note, 3)
        await tx.run("SAVEPOINT other")
        await tx.add(note, 4)
        await tx.run("RELEASE SAVEPOINT other")
    assert (await found(postlude, database))[1] == [1, 3, 4]


async def test_nothing_but_jobs(begin: Begin, postlude: Postlude, database: str) -> None:
    async with begin() as tx:
        await tx.add(note, 1)
    async with undone(begin()) as tx:
        await tx.add(note, 2)
    assert (await found(postlude, database))[1] == [1]


async def test_a_commit_below_the_session(begin: Begin, postlude: Postlude, database: str) -> None:
    with suppress(InvalidRequestError):  # the session notices when it commits
        async with begin() as tx:
            if tx.commit_below is None:
                pytest.skip("no session")
            await tx.order(1)
            await tx.commit_below()
    data, jobs = await found(postlude, database)
    assert data == jobs == [1]


async def test_a_commit_in_raw_sql(begin: Begin, postlude: Postlude, database: str) -> None:
    with suppress(Undone, asyncpg.InterfaceError, psycopg.Error, DBAPIError):  # drivers notice, or do not
        async with begin() as tx:
            await tx.order(1)
            await tx.run("COMMIT")
            raise Undone
    data, jobs = await found(postlude, database)
    assert data == jobs


async def test_a_key_that_is_there(begin: Begin, postlude: Postlude, database: str) -> None:
    task = postlude.task(name="keyed")(note)
    async with begin() as tx:
        await tx.add(task.using(key="k"), 1)
        await tx.add(task.using(key="k"), 2)
    async with begin() as tx:
        await tx.add(task.using(key="k", on_conflict="replace"), 3)
    assert (await found(postlude, database))[1] == [3]
    async with begin() as tx:
        with pytest.raises(CannotJoin, match="on_conflict"):
            await tx.add(task.using(key="k", on_conflict="raise"), 4)
