"""Tasks that run in memory hold their place among the jobs of their request."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Response
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.background import BackgroundTasks as StarletteTasks

from postlude import Config, Local, Postlude
from postlude.model.limits import Limit
from tests.app.serving import EVERY_STORE, serving
from tests.app.work import say
from tests.request.asgi import call, status
from tests.request.routes import SCOPED

pytestmark = pytest.mark.anyio

EVENTS: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def events() -> dict[str, Any]:
    EVENTS.clear()
    EVENTS.update(
        open=asyncio.Event(), running=asyncio.Event(), gate=threading.Event(), told=threading.Event()
    )
    return EVENTS


async def job(text: str) -> None:
    await asyncio.sleep(0)
    say(text)


def job_sync(text: str) -> None:
    say(text)


async def fails(text: str) -> None:
    await asyncio.sleep(0.01)
    say(text)
    raise ValueError(text)


async def slow(text: str) -> None:
    EVENTS["running"].set()
    await EVENTS["open"].wait()
    say(text)


def slow_sync(text: str) -> None:
    assert EVENTS["gate"].wait(10)
    say(text)


def memory(text: str) -> Callable[[], None]:
    return lambda: say(text)


def in_memory_async(text: str) -> Any:
    async def task() -> None:
        await asyncio.sleep(0)
        say(text)

    return task


def application(location: str, add: Callable[[Any], None], **options: Any) -> tuple[FastAPI, Postlude]:
    app = FastAPI()
    postlude = Postlude(app, store=location, **options)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> int:
        add(tasks)
        return 1

    return app, postlude


def mixed(tasks: Any) -> None:
    tasks.add_task(job, "1")
    tasks.add_task(memory("2"))
    tasks.add_task(job_sync, "3")
    tasks.add_task(job, "4")
    tasks.add_task(in_memory_async("5"))
    tasks.add_task(memory("6"))
    tasks.add_task(fails, "7")
    tasks.add_task(memory("8"))
    tasks.add_task(job, "9")


ALL = list("123456789")

OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "at most once": {"delivery": "at_most_once"},
    "a queue with a limit": {"queues": {"default": Local(limit=Limit(1))}},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@EVERY_STORE
async def test_with_a_lifespan(location: str, options: dict[str, Any], log: list[str]) -> None:
    app, postlude = application(location, mixed, **options)
    async with serving(postlude):
        assert status(await call(app, "/x", log=[])) == 200
        async with asyncio.timeout(10):
            while len(log) < len(ALL):
                await asyncio.sleep(0.005)
    assert log == ALL


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("lifespan", [True, False])
@EVERY_STORE
def test_with_a_test_client(location: str, lifespan: bool, options: dict[str, Any], log: list[str]) -> None:
    app, _ = application(location, mixed, **options)
    client = TestClient(app)
    with client if lifespan else nullcontext():
        client.get("/x")
        assert log == ALL


@EVERY_STORE
async def test_behind_jobs_that_wait_in_the_queue(location: str, log: list[str]) -> None:
    """Then they are not born claimed: the journal holds what comes after a task in memory."""
    app, postlude = application(location, mixed, config=Config(order_wait=60))
    await postlude.open()
    await postlude.start()
    await postlude.pause(queue="default")
    await postlude.add_task(job, "waits")
    request = asyncio.create_task(call(app, "/x", log=[]))
    await asyncio.sleep(0.05)
    assert log == []
    await postlude.resume(queue="default")
    async with asyncio.timeout(10):
        await request
        while len(log) < 1 + len(ALL):
            await asyncio.sleep(0.005)
    await postlude.drain()
    await postlude.close()
    assert [line for line in log if line != "waits"] == ALL


@EVERY_STORE
async def test_a_long_one_delays_only_what_follows_it(location: str, log: list[str]) -> None:
    def add(tasks: Any) -> None:
        tasks.add_task(declared, "declared 1")
        tasks.add_task(job, "1")
        tasks.add_task(slow_in_memory)
        tasks.add_task(job, "3")
        tasks.add_task(declared, "declared 2")

    async def slow_in_memory() -> None:
        await slow("2")

    app, postlude = application(location, add)

    @postlude.task
    async def declared(text: str) -> None:
        say(text)

    @app.get("/other")
    async def other(tasks: BackgroundTasks) -> None:
        tasks.add_task(job, "another's")

    async with serving(postlude):
        request = asyncio.create_task(call(app, "/x", log=[]))
        async with asyncio.timeout(10):
            await EVENTS["running"].wait()
            await call(app, "/other", log=[])
            while len(log) < 4:
                await asyncio.sleep(0.005)
        assert sorted(log) == ["1", "another's", "declared 1", "declared 2"]
        EVENTS["open"].set()
        await request
    assert log[-2:] == ["2", "3"]


@EVERY_STORE
async def test_what_follows_a_hanging_one_waits_no_longer_than_it_must(location: str, log: list[str]) -> None:
    async def hangs() -> None:
        await slow("1")

    def add(tasks: Any) -> None:
        tasks.add_task(hangs)
        tasks.add_task(job, "2")

    app, postlude = application(location, add, config=Config(order_wait=0.05))
    async with serving(postlude):
        request = asyncio.create_task(call(app, "/x", log=[]))
        async with asyncio.timeout(10):
            while not log:
                await asyncio.sleep(0.005)
        EVENTS["open"].set()
        await request
    assert log == ["2", "1"]


@EVERY_STORE
async def test_nor_does_one_behind_a_hanging_job(location: str, log: list[str]) -> None:
    def add(tasks: Any) -> None:
        tasks.add_task(slow, "1")
        tasks.add_task(memory("2"))

    app, postlude = application(location, add, config=Config(order_wait=0.05))
    async with serving(postlude):
        await call(app, "/x", log=[])
        assert log == ["2"]
        EVENTS["open"].set()
    assert log == ["2", "1"]


@EVERY_STORE
async def test_one_behind_a_job_that_waits_for_a_thread_waits_too(location: str, log: list[str]) -> None:
    def add(tasks: Any) -> None:
        tasks.add_task(job_sync, "1")
        tasks.add_task(memory("2"))

    app, postlude = application(location, add, config=Config(order_wait=0.05, threads=1))

    @app.get("/fill")
    async def fill(tasks: BackgroundTasks) -> None:
        tasks.add_task(slow_sync, "0")

    async with serving(postlude):
        await call(app, "/fill", log=[])
        request = asyncio.create_task(call(app, "/x", log=[]))
        done, _ = await asyncio.wait([request], timeout=0.15)
        assert (done, log) == (set(), [])
        EVENTS["gate"].set()
        await request
        assert log == ["0", "1", "2"]


@pytest.mark.parametrize("serves", [True, False])
@EVERY_STORE
async def test_a_cancelled_request(location: str, serves: bool, log: list[str]) -> None:
    """Its tasks in memory are dropped, as the framework's are; its jobs run, in order."""

    def add(tasks: Any) -> None:
        tasks.add_task(slow, "1")
        tasks.add_task(memory("2"))
        tasks.add_task(job, "3")

    app, postlude = application(location, add)
    async with serving(postlude) if serves else nullcontext():
        request = asyncio.create_task(call(app, "/x", log=[]))
        await EVENTS["running"].wait()
        request.cancel()
        await asyncio.sleep(0.03)
        assert log == []
        EVENTS["open"].set()
        with pytest.raises(asyncio.CancelledError):
            await request
    if not serves:
        await postlude.close()
    assert log == ["1", "3"]


async def test_a_client_that_has_gone(location: str, log: list[str]) -> None:
    app, postlude = application(location, mixed)

    def on_send(message: Any) -> None:
        raise OSError("gone")

    async with serving(postlude):
        with pytest.raises(OSError, match="gone"):
            await call(app, "/x", log=[], on_send=on_send)
    assert log == ALL


async def test_the_background_of_a_response(location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)

    @app.get("/x")
    def endpoint(tasks: BackgroundTasks) -> Response:
        tasks.add_task(job_sync, "0")
        background = StarletteTasks()
        mixed(background)
        return Response(background=background)

    async with serving(postlude):
        await call(app, "/x", log=[])
    assert log == ["0", *ALL]


@pytest.mark.parametrize("lifespan", [True, False])
async def test_what_comes_late_comes_last(location: str, lifespan: bool, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(fails, "1")

        async def body() -> AsyncIterator[bytes]:
            tasks.add_task(memory("2"))
            tasks.add_task(fails, "3")
            yield b"x"

        return StreamingResponse(body())

    async def dependency(tasks: BackgroundTasks) -> AsyncIterator[None]:
        tasks.add_task(fails, "1")
        yield
        tasks.add_task(fails, "2")

    @app.get("/y", dependencies=[Depends(dependency)])
    async def other() -> None: ...

    async with serving(postlude) if lifespan else nullcontext():
        await call(app, "/x", log=[])
        async with asyncio.timeout(10):
            while len(log) < 3:
                await asyncio.sleep(0.005)
        await call(app, "/y", log=[])
        async with asyncio.timeout(10):
            while len(log) < 5:
                await asyncio.sleep(0.005)
    if not lifespan:
        await postlude.close()
    assert log == ["1", "2", "3", "1", "2"]


@asynccontextmanager
async def of_a_session() -> AsyncIterator[None]:
    try:
        yield
    finally:
        say("left")


@pytest.mark.skipif(not SCOPED, reason="before FastAPI 0.121 dependencies leave before the response")
async def test_they_run_while_the_requests_dependencies_are_open(location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)

    async def session() -> AsyncIterator[None]:
        async with of_a_session():
            yield

    @app.get("/x", dependencies=[Depends(session)])
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(job, "1")
        tasks.add_task(memory("2"))

    async with serving(postlude):
        await call(app, "/x", log=[])
    assert log == ["1", "2", "left"]


async def test_many_waiting_ones_keep_nobody_elses_jobs_from_running(location: str, log: list[str]) -> None:
    async def hangs() -> None:
        await EVENTS["open"].wait()

    def add(tasks: Any) -> None:
        tasks.add_task(hangs)
        tasks.add_task(job, "behind")

    app, postlude = application(location, add, config=Config(ahead=4))

    @app.get("/other")
    async def other(tasks: BackgroundTasks) -> None:
        tasks.add_task(job, "other")

    async with serving(postlude):
        requests = [asyncio.create_task(call(app, "/x", log=[])) for _ in range(30)]
        await asyncio.sleep(0.05)
        await call(app, "/other", log=[])
        async with asyncio.timeout(10):
            while not log:
                await asyncio.sleep(0.005)
        assert log == ["other"]
        EVENTS["open"].set()
        await asyncio.gather(*requests)
        async with asyncio.timeout(10):
            while len(log) < 31:
                await asyncio.sleep(0.005)
