"""The lifespan of an application, without a server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Postlude
from postlude.app.without_server import LifespanFailed, running

pytestmark = pytest.mark.anyio


def application(log: list[str], broken: str = "") -> Postlude:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        log.append("start")
        if broken == "start":
            raise RuntimeError("no pool")
        if broken == "never":
            await asyncio.Event().wait()
        yield
        log.append("end")
        if broken == "end":
            raise RuntimeError("no end")

    return Postlude(FastAPI(lifespan=lifespan), store="memory")


async def test_jobs_run_between_its_start_and_its_end() -> None:
    log: list[str] = []
    postlude = application(log)
    async with running(postlude):
        assert log == ["start"]
        assert len(postlude.components.producer.runners) == 1
    assert log == ["start", "end"]
    assert not postlude.components.producer.runners


async def test_one_without_an_application() -> None:
    postlude = Postlude(store="memory")
    async with running(postlude):
        assert len(postlude.components.producer.runners) == 1
    assert not postlude.components.producer.runners


async def test_a_start_that_fails() -> None:
    with pytest.raises(LifespanFailed, match="RuntimeError: no pool"):
        async with running(application([], "start")):
            raise AssertionError


async def test_an_end_that_fails() -> None:
    log: list[str] = []
    with pytest.raises(LifespanFailed, match="RuntimeError: no end"):
        async with running(application(log, "end")):
            pass
    assert log == ["start", "end"]


async def test_a_start_that_is_given_up_is_cancelled() -> None:
    log: list[str] = []
    postlude = application(log, "never")

    async def live() -> None:
        async with running(postlude):
            raise AssertionError

    task = asyncio.create_task(live())
    while not log:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not postlude.components.producer.runners


async def test_an_application_that_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    postlude = application([])

    async def silent(self: Any, scope: Any, receive: Any, send: Any) -> None: ...

    monkeypatch.setattr(FastAPI, "__call__", silent)
    with pytest.raises(LifespanFailed, match="the application ended in its startup"):
        async with running(postlude):
            raise AssertionError
