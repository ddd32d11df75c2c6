"""Jobs in transactions of an application whose journal is in memory, as in its tests: added by the commit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from postlude import CannotJoin, Postlude
from postlude.model.event.jobs import JobsAdded
from tests.enqueue.joined.kinds import SQLITE, TABLE, Begin, Kind, called, note, undone

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite-session", "sqlite-async-session"])
async def kind(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Kind, Begin]]:
    kind = Kind(Postlude(store="memory", packages=["tests"]), f"sqlite:///{tmp_path}/shop.db")
    engine = create_engine(kind.url)
    with engine.begin() as db:
        db.execute(text(TABLE))
    engine.dispose()
    yield kind, SQLITE[request.param](kind)
    await kind.end()


async def test_they_are_there_with_the_commit(kind: tuple[Kind, Begin]) -> None:
    (own, begin) = kind
    async with begin() as tx:
        await tx.order(1)
        assert await called(own.postlude) == []
    assert await called(own.postlude) == [1]
    async with undone(begin()) as tx:
        await tx.order(2)
    assert await called(own.postlude) == [1]


async def test_it_is_told_which_were_added(kind: tuple[Kind, Begin]) -> None:
    (own, begin) = kind
    told: list[JobsAdded] = []
    own.postlude.components.store.events.listen(told.append, JobsAdded)
    async with begin() as tx:
        await tx.add(note, 1)
        assert told == []
    ((job,), (added,)) = (told[0].jobs, told[0].added)
    assert len(told) == 1
    assert (job.task.rpartition(":")[2], added.joined) == ("note", False)


async def test_savepoints(kind: tuple[Kind, Begin]) -> None:
    (own, begin) = kind
    async with begin() as tx:
        await tx.add(note, 1)
        async with undone(tx.savepoint()):
            await tx.add(note, 2)
            async with tx.savepoint():
                await tx.add(note, 3)
        async with tx.savepoint():
            await tx.add(note, 4)
            async with undone(tx.savepoint()):
                await tx.add(note, 5)
        assert await called(own.postlude) == []
    assert await called(own.postlude) == [1, 4]


async def test_a_session_that_is_closed_without_a_commit() -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        postlude.within(session).add_task(note, 1)
    with Session(engine) as session:
        postlude.within(session).add_task(note, 2)
        session.close()
        postlude.within(session).add_task(note, 3)
        session.commit()
    assert await called(postlude) == [3]
    with engine.connect() as connection, pytest.raises(CannotJoin, match="give the session"):
        postlude.within(connection)
    engine.dispose()
