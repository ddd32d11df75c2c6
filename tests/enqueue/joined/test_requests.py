"""Path operations whose jobs join the transaction of their data."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from postlude import Postlude, PostludeError
from postlude.fastapi import Accepted
from postlude.fastapi import BackgroundTasks as RequestTasks

pytestmark = pytest.mark.process

RAN: list[int] = []
ENGINES: list[AsyncEngine] = []
"""That of the test that runs."""


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(ENGINES[0]) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def remember(n: int) -> None:
    RAN.append(n)


@pytest.fixture
def app(database: str, postlude: Postlude) -> FastAPI:
    """An application with a journal in its own database."""
    RAN.clear()
    ENGINES[:] = [create_async_engine(database.replace("://", "+asyncpg://"), poolclass=NullPool)]
    return FastAPI()


@pytest.fixture
def own(app: FastAPI, database: str) -> Postlude:
    return Postlude(app, store=database, packages=["tests"])


async def ran(*wanted: int) -> bool:
    """Say whether these have run within a moment."""
    for _ in range(1000):
        if sorted(RAN) == sorted(wanted):
            return True
        await asyncio.sleep(0.01)
    return False


@contextmanager
def served(app: FastAPI) -> Any:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def wait() -> Callable[..., bool]:
    return lambda *wanted: asyncio.run(ran(*wanted))


def test_a_job_follows_the_transaction_and_not_the_response(
    app: FastAPI, own: Postlude, wait: Callable[..., bool]
) -> None:
    @app.post("/orders/{n}")
    async def order(n: int, tasks: RequestTasks, session: SessionDep, fail: str = "") -> Accepted[None]:
        async with session.begin():
            await session.execute(text(f"INSERT INTO orders VALUES ({n})"))
            job = tasks.within(session).add_task(remember, n)
            if fail == "before":
                raise HTTPException(418)
        if fail == "after":
            raise HTTPException(418)
        return tasks.accepted(job)

    app.include_router(own.router(prefix="/jobs"))
    with served(app) as client:
        assert client.post("/orders/1?fail=before").status_code == 418
        assert client.post("/orders/2?fail=after").status_code == 418
        answer = client.post("/orders/3")
        assert answer.status_code == 200
        told = client.get(answer.headers["location"])
        assert told.status_code == 200, "a job can be asked after as soon as it is committed"
        assert wait(2, 3)


def test_nothing_is_passed_at_all(app: FastAPI, own: Postlude, wait: Callable[..., bool]) -> None:

    @app.post("/orders/{n}")
    async def order(
        n: int,
        tasks: Annotated[BackgroundTasks, own.within(SessionDep)],
        session: SessionDep,
        keep: bool = True,
    ) -> None:
        await session.execute(text(f"INSERT INTO orders VALUES ({n})"))
        tasks.add_task(remember, n)
        await (session.commit() if keep else session.rollback())

    with served(app) as client:
        assert client.post("/orders/1?keep=false").status_code == 200
        assert client.post("/orders/2").status_code == 200
        assert wait(2)


@pytest.mark.parametrize("how", [{"scope": "function"}, {"use_cache": False}])
def test_another_session_is_refused_at_start(app: FastAPI, own: Postlude, how: dict[str, Any]) -> None:

    @app.post("/elsewhere")
    async def order(
        tasks: Annotated[BackgroundTasks, own.within(SessionDep)],
        session: Annotated[AsyncSession, Depends(get_session, **how)],
    ) -> None: ...

    with pytest.raises(PostludeError, match="'/elsewhere' has background tasks"), served(app):
        pass


def test_plain_functions_of_one_transaction_run_in_order(
    app: FastAPI, own: Postlude, wait: Callable[..., bool]
) -> None:
    @app.post("/orders")
    async def order(tasks: BackgroundTasks, session: SessionDep) -> None:
        async with session.begin():
            for n in range(20):
                tasks.within(session).add_task(remember, n)  # type: ignore[attr-defined]

    with served(app) as client:
        assert client.post("/orders").status_code == 200
        assert wait(*range(20))
    assert list(range(20)) == RAN


def test_whose_a_joined_job_is(app: FastAPI, database: str) -> None:
    own = Postlude(app, store=database, packages=["tests"], owner=lambda request: request.headers["user"])

    @app.post("/orders")
    async def order(tasks: RequestTasks, session: SessionDep) -> str:
        async with session.begin():
            return tasks.within(session).add_task(remember, 1).id

    with served(app) as client:
        id = client.post("/orders", headers={"user": "ada"}).json()
        found = own.components.store.get(bytes.fromhex(id.replace("-", "")))
        record = found.wait(10)
        assert record is not None
        assert record.owner == "ada"
