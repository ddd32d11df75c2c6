"""Lists of background tasks that grow while the response is sent, and while they run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTasks as StarletteTasks

from tests.request import calls
from tests.request.asgi import call
from tests.request.calls import note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import SCOPED, ran, simple

pytestmark = pytest.mark.anyio

LISTS: list[Callable[[], Any]] = [BackgroundTasks, StarletteTasks]


def adding(tasks: Any, log: list[str]) -> Callable[[], None]:
    """Return a function without a durable form that adds another, which adds a job."""

    def first() -> None:
        log.append("ran first")
        tasks.add_task(second)

    async def second() -> None:
        log.append("ran second")
        tasks.add_task(note, "third")

    return first


class Failed(Exception):
    """What the endpoint raises, and the application answers."""


@pytest.mark.parametrize("serving", [True, False])
@pytest.mark.parametrize("make", LISTS)
async def test_the_own_background_of_a_response_while_it_runs(
    make: Any, serving: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint() -> Any:
        own = make()
        own.add_task(adding(own, log))
        own.add_task(note, "a")
        return Response(background=own)

    async with port.running() if serving else nullcontext():
        await call(app, "/x", log=log)
    assert ran(log) == ["ran first", "ran a", "ran second", "ran third"]
    assert port.stored == ["a", "third"]


@pytest.mark.parametrize("serving", [True, False])
@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("make", LISTS)
async def test_the_own_background_of_a_response_while_it_streams(
    make: Any, empty: bool, serving: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint() -> Any:
        own = make()
        if not empty:
            own.add_task(note, "a")

        async def body() -> AsyncIterator[bytes]:
            yield b"1"
            own.add_task(note, "late")

        return StreamingResponse(body(), background=own)

    async with port.running() if serving else nullcontext():
        await call(app, "/x", log=log)
    assert ran(log) == (["ran late"] if empty else ["ran a", "ran late"])


def failing(app: FastAPI, background: Callable[[Request], Any], log: list[str]) -> None:
    """Add a route whose error is answered with a background."""

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks, request: Request) -> None:
        request.state.tasks = tasks
        tasks.add_task(adding(tasks, log))
        raise Failed

    @app.exception_handler(Failed)
    async def answer(request: Request, error: Failed) -> Response:
        return Response(background=background(request))


@pytest.mark.parametrize("serving", [True, False])
async def test_tasks_of_a_failed_request_that_an_exception_handler_hands_on(
    serving: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    failing(app, lambda request: request.state.tasks, log)
    async with port.running() if serving else nullcontext():
        await call(app, "/x", log=log)
    assert ran(log) == ["ran first", "ran second", "ran third"]
    assert port.stored == ["third"]


@pytest.mark.parametrize("make", LISTS)
async def test_the_background_of_an_exception_handlers_answer(
    make: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    def background(request: Request) -> Any:
        own = make()
        own.add_task(adding(own, log))
        return own

    failing(app, background, log)
    await call(app, "/x", log=log)
    assert ran(log) == ["ran first", "ran second", "ran third"]


@pytest.mark.parametrize("serving", [True, False])
async def test_what_comes_late_runs_when_what_came_before_has_ended(
    serving: bool, install: Install, port: Recorder, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(text: str) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        log.append(f"ran {text}")

    slow.__module__, slow.__qualname__ = calls.__name__, "slow"
    monkeypatch.setattr(calls, "slow", slow, raising=False)
    app = simple(install)

    async def dependency(tasks: BackgroundTasks) -> AsyncIterator[None]:
        yield
        if SCOPED:
            tasks.add_task(note, "last")

    @app.get("/x", dependencies=[Depends(dependency)])
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(slow, "a")
        tasks.add_task(slow, "b")

        async def body() -> AsyncIterator[bytes]:
            yield b"1"
            tasks.add_task(note, "late")
            tasks.add_task(slow, "later")

        return StreamingResponse(body())

    async with port.running() if serving else nullcontext():
        await call(app, "/x", log=log)
    assert ran(log) == ["ran a", "ran b", "ran late", "ran later", "ran last"][: 5 if SCOPED else 4]


@pytest.mark.parametrize("serving", [True, False])
async def test_cancelled_before_a_task_in_memory_the_jobs_after_it_run(
    serving: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    reached = asyncio.Event()

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "a")
        tasks.add_task(note_object, object())
        tasks.add_task(note, "b")

        async def body() -> AsyncIterator[bytes]:
            yield b"1"
            reached.set()
            await asyncio.Event().wait()

        return StreamingResponse(body())

    async with port.running() if serving else nullcontext():
        request = asyncio.create_task(call(app, "/x", log=log))
        await reached.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    assert ran(log) == ["ran a", "ran b"]
