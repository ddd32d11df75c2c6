"""The page on transactions: its code runs, as it stands there, on a database of SQLite with an outbox."""

import re
import sys
import types
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import pytest
from fastapi import BackgroundTasks as Native
from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from postlude import Postlude
from postlude.fastapi import BackgroundTasks
from tests.app.serving import eventually, serving
from tests.tour.around import Base, NewOrder, Order

pytestmark = [pytest.mark.anyio, pytest.mark.disk]

DOCS: Final = Path(__file__).parents[3] / "docs"
SENT: Final[list[tuple[int, str, str]]] = []
BODY: Final = {"email": "ada@example.org", "tenant": "acme"}


async def send_receipt(order: int, *, to: str, tenant: str) -> None:
    SENT.append((order, to, tenant))


def pieces(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text("utf-8"), re.DOTALL)


def module_of(code: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("page_of_docs")
    monkeypatch.setitem(sys.modules, "page_of_docs", module)
    module.__dict__.update(given)
    exec(compile(code, "page_of_docs.py", "exec"), module.__dict__)
    return module


@asynccontextmanager
async def shop(
    monkeypatch: pytest.MonkeyPatch, folder: Path, write: Callable[[dict[str, Any]], str]
) -> AsyncIterator[tuple[AsyncClient, Any]]:
    """Serve an application with a database of its own; `write` says which code of the page is its module."""
    monkeypatch.chdir(folder)
    SENT.clear()
    app = FastAPI()
    postlude = Postlude(app, store="sqlite:///jobs.db", packages=["tests", "page_of_docs"])
    outbox, *_ = [piece for piece in pieces("transactions") if "outbox" in piece]
    given: dict[str, Any] = {"postlude": postlude, "create_async_engine": create_async_engine}
    engine = module_of(outbox, given, monkeypatch).engine

    async def session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as one:
            yield one

    given = {"app": app, "postlude": postlude, "Order": Order, "NewOrder": NewOrder, "Annotated": Annotated}
    given |= {"send_receipt": send_receipt, "BackgroundTasks": BackgroundTasks}
    given |= {"SessionDep": Annotated[AsyncSession, Depends(session)]}
    module_of(write(given), given, monkeypatch)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    transport = ASGITransport(app)
    async with (
        serving(postlude),
        AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        yield client, engine
    await engine.dispose()


async def sent() -> bool | None:
    return bool(SENT) or None


@pytest.mark.parametrize("tasks", [BackgroundTasks, Native])
async def test_an_order_and_its_receipt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tasks: type[Native]
) -> None:
    def write(given: dict[str, Any]) -> str:
        given["BackgroundTasks"] = tasks
        return pieces("transactions")[0]

    async with shop(monkeypatch, tmp_path, write) as (client, engine):
        assert (await client.post("/orders", json=BODY)).json() == {"id": 1}
        await eventually(sent)
        assert SENT == [(1, "ada@example.org", "acme")]
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM orders"))).scalar() == 1
            assert (await connection.execute(text("SELECT count(*) FROM postlude_outbox"))).scalar() == 0


async def test_neither_is_there_if_the_commit_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def write(given: dict[str, Any]) -> str:
        return pieces("transactions")[0].replace("return {", "    raise ValueError(order)\n    return {", 1)

    async with shop(monkeypatch, tmp_path, write) as (client, engine):
        with pytest.raises(ValueError):
            await client.post("/orders", json=BODY)
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM orders"))).scalar() == 0
            assert (await connection.execute(text("SELECT count(*) FROM postlude_outbox"))).scalar() == 0
    assert SENT == []


async def test_tasks_that_ask_for_the_session_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def write(given: dict[str, Any]) -> str:
        body = """
    async with session.begin():
        row = Order(**body.model_dump())
        session.add(row)
        await session.flush()
        tasks.add_task(send_receipt, row.id, to=body.email, tenant=body.tenant)
    return {"id": row.id}
"""
        return pieces("transactions")[1].replace(" ...\n", body)

    async with shop(monkeypatch, tmp_path, write) as (client, _):
        assert (await client.post("/orders", json=BODY)).json() == {"id": 1}
        await eventually(sent)
    assert SENT == [(1, "ada@example.org", "acme")]
