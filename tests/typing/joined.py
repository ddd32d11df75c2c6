"""What type checkers see of jobs that join a transaction; see `added.py`, of whose kind it is."""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from collections.abc import AsyncIterator
from typing import Annotated, Any, assert_type

import psycopg
from fastapi import Depends
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session
from sqlmodel import Session as SQLModelSession
from sqlmodel.ext.asyncio.session import AsyncSession as AsyncSQLModelSession

from postlude import Job, Postlude
from postlude.fastapi import BackgroundTasks


async def send(order: int, to: str) -> str:
    return to


def in_a_request(
    tasks: BackgroundTasks,
    session: Session,
    later: AsyncSession,
    connection: Connection,
    model: SQLModelSession,
    later_model: AsyncSQLModelSession,
    driver: psycopg.Connection[Any],
) -> None:
    assert_type(tasks.within(session).add_task(send, 7, to="ada"), Job[str])
    assert_type(tasks.within(later).add_task(send, 7, to="ada"), Job[str])
    assert_type(tasks.within(connection).add_task(send, 7, to="ada"), Job[str])
    assert_type(tasks.within(model).add_task(send, 7, to="ada"), Job[str])
    assert_type(tasks.within(later_model).add_task(send, 7, to="ada"), Job[str])
    assert_type(tasks.within(driver).add_task(send, 7, to="ada"), Job[str])
    assert_type(tasks.within(session).accepted(tasks.within(session).add_task(send, 7, "ada")).id, str)
    tasks.within(session).add_task(send, "7", to="ada")  # type: ignore[arg-type]
    tasks.within(7)  # type: ignore[call-overload]


async def outside(
    postlude: Postlude,
    engine: Engine,
    session: Session,
    later: AsyncSession,
    connection: AsyncConnection,
    driver: psycopg.AsyncConnection[tuple[int]],
    tasks: BackgroundTasks,
) -> None:
    postlude.outbox(engine)
    assert_type(postlude.within(session).add_task(send, 7, to="ada"), Job[str])
    assert_type(postlude.within(later).add_task(send, 7, to="ada"), Job[str])
    assert_type(await postlude.within(connection).add_task(send, 7, to="ada"), Job[str])
    assert_type(await postlude.within(driver).add_task(send, 7, to="ada"), Job[str])
    assert_type(await tasks.within(connection).add_task(send, 7, to="ada"), Job[str])
    postlude.within(session).add_task(send, 7)  # type: ignore[call-overload]
    postlude.outbox()  # type: ignore[call-arg]
    await postlude.within(connection).add_task(send, 7)  # type: ignore[call-overload]
    await tasks.within(driver).add_task(send, "7", to="ada")  # type: ignore[arg-type]


async def get_session() -> AsyncIterator[AsyncSession]:
    yield AsyncSession()


postlude = Postlude()
SessionDep = Annotated[AsyncSession, Depends(get_session)]
OrderTasks = Annotated[BackgroundTasks, postlude.within(SessionDep)]


async def nothing_passed(tasks: OrderTasks, session: SessionDep) -> None:
    assert_type(tasks.add_task(send, 7, to="ada"), Job[str])
    tasks.add_task(send, 7, to=3)  # type: ignore[arg-type]
    tasks.add_task(send)  # type: ignore[call-overload]
    assert_type(tasks.within(session).add_task(send, 7, to="ada"), Job[str])
    tasks.within(get_session)  # type: ignore[call-overload]
    tasks.within("session")  # type: ignore[call-overload]
