"""What holds of jobs in transactions of any database: they are there exactly when the data are."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from postlude import CannotJoin, Postlude
from postlude.model.job import JobFilter
from postlude.model.state import Stored
from tests.enqueue.joined.kinds import Begin, Undone, note, undone

Found = Callable[[], Awaitable[tuple[list[int], list[int]]]]
"""Returns what is there: data, and jobs."""


class JoinedCases:
    async def test_a_commit_stores_both(self, begin: Begin, found: Found) -> None:
        async with begin() as tx:
            await tx.order(1)
            await tx.order(2)
        assert await found() == ([1, 2], [1, 2])

    async def test_a_rollback_stores_neither(self, begin: Begin, found: Found) -> None:
        async with undone(begin()) as tx:
            await tx.order(1)
        assert await found() == ([], [])
        async with begin() as tx:
            await tx.order(2)
        assert await found() == ([2], [2])

    async def test_what_the_database_refuses_stores_neither(self, begin: Begin, found: Found) -> None:
        async with begin() as tx:
            await tx.order(1)

        async def refused() -> None:
            async with begin() as tx:
                await tx.add(note, 2)
                await tx.order(1)

        with pytest.raises(Exception, match=r"(?i)duplicate|unique"):
            await refused()
        assert await found() == ([1], [1])

    async def test_a_savepoint_takes_its_jobs_with_it(self, begin: Begin, found: Found) -> None:
        async with begin() as tx:
            await tx.order(1)
            async with undone(tx.savepoint()):
                await tx.order(2)
            async with tx.savepoint():
                await tx.order(3)
            await tx.order(4)
        assert await found() == ([1, 3, 4], [1, 3, 4])

    async def test_a_savepoint_in_which_nothing_else_is_done(self, begin: Begin, found: Found) -> None:
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
        assert (await found())[1] == [1, 5]

    async def test_a_savepoint_in_raw_sql(self, begin: Begin, found: Found) -> None:
        async with begin() as tx:
            await tx.add(note, 1)
            await tx.run("SAVEPOINT mine")
            await tx.add(note, 2)
            await tx.run("ROLLBACK TO SAVEPOINT mine")
            await tx.add(note, 3)
            await tx.run("SAVEPOINT other")
            await tx.add(note, 4)
            await tx.run("RELEASE SAVEPOINT other")
        assert (await found())[1] == [1, 3, 4]

    async def test_a_statement_that_has_failed_in_a_savepoint(self, begin: Begin, found: Found) -> None:
        async with begin() as tx:
            await tx.order(1)
            with suppress(Exception):
                async with tx.savepoint():
                    await tx.add(note, 2)
                    with suppress(Exception):
                        await tx.run("INSERT INTO orders VALUES (1)")
                    await tx.add(note, 3)
                    raise Undone
            await tx.order(4)
        assert await found() == ([1, 4], [1, 4])

    async def test_a_job_for_later(self, begin: Begin, found: Found, postlude: Postlude) -> None:
        later = postlude.task(name="later")(note)
        async with undone(begin()) as tx:
            await tx.add(later.using(delay=60), 1)
        async with begin() as tx:
            await tx.add(later.using(delay=60), 2)
        assert (await found())[1] == [2]
        (job,) = await postlude.components.store.page(JobFilter())
        assert job.stored is Stored.SCHEDULED
        assert job.due is not None
        assert job.due > job.created

    async def test_nothing_but_jobs(self, begin: Begin, found: Found) -> None:
        async with begin() as tx:
            await tx.add(note, 1)
        async with undone(begin()) as tx:
            await tx.add(note, 2)
        assert (await found())[1] == [1]

    async def test_a_commit_below_the_session(self, begin: Begin, found: Found) -> None:
        with suppress(InvalidRequestError):  # the session notices when it commits
            async with begin() as tx:
                if tx.commit_below is None:
                    pytest.skip("no session")
                await tx.order(1)
                await tx.commit_below()
        data, jobs = await found()
        assert data == jobs == [1]

    async def test_a_commit_in_raw_sql(self, begin: Begin, found: Found) -> None:
        with suppress(Undone, asyncpg.InterfaceError, psycopg.Error, DBAPIError):  # drivers notice, or do not
            async with begin() as tx:
                await tx.order(1)
                await tx.run("COMMIT")
                raise Undone
        data, jobs = await found()
        assert data == jobs

    async def test_a_key_that_is_there(self, begin: Begin, found: Found, postlude: Postlude) -> None:
        task = postlude.task(name="keyed")(note)
        async with begin() as tx:
            await tx.add(task.using(key="k"), 1)
            await tx.add(task.using(key="k"), 2)
        async with begin() as tx:
            await tx.add(task.using(key="k", on_conflict="replace"), 3)
        assert (await found())[1] == [3]
        async with begin() as tx:
            with pytest.raises(CannotJoin, match="on_conflict"):
                await tx.add(task.using(key="k", on_conflict="raise"), 4)
