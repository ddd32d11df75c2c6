"""The order of a request's jobs, and what their arguments are."""

import asyncio
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI

from postlude import Config, Postlude
from tests.app.serving import EVERY_STORE, serving
from tests.app.work import note, note_all, note_sync, say, until
from tests.request.asgi import call, status

pytestmark = pytest.mark.anyio

REQUESTS = 1000


@EVERY_STORE
async def test_plain_functions_run_in_order(location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)

    @app.get("/{number}")
    async def endpoint(number: int, tasks: BackgroundTasks) -> None:
        tasks.add_task(note_sync, f"{number}.1")
        tasks.add_task(note, f"{number}.2")
        tasks.add_task(note_sync, f"{number}.3")

    async def client(numbers: range) -> None:
        for number in numbers:
            assert status(await call(app, f"/{number}", log=[])) == 200

    async with serving(postlude):
        await asyncio.gather(*(client(range(first, REQUESTS, 16)) for first in range(16)))
        await asyncio.to_thread(until, 3 * REQUESTS, 4.0)
    assert len(log) == 3 * REQUESTS
    seen: dict[str, list[str]] = {}
    for line in log:
        number, _, place = line.partition(".")
        seen.setdefault(number, []).append(place)
    assert [number for number, places in seen.items() if places != ["1", "2", "3"]] == []


def two(app: FastAPI, first: Any, second: Any) -> None:
    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(first)
        tasks.add_task(second)


GATES: dict[str, asyncio.Event] = {}


async def waits_at_the_gate() -> None:
    say("first starts")
    GATES["running"].set()
    await GATES["open"].wait()
    say("first ends")


async def second() -> None:
    say("second")
    GATES["second"].set()


@pytest.fixture
def batchings() -> dict[str, asyncio.Event]:
    GATES.update(running=asyncio.Event(), open=asyncio.Event(), second=asyncio.Event())
    return GATES


async def test_a_plain_function_waits_for_the_one_before(
    batchings: dict[str, asyncio.Event], location: str, log: list[str]
) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)
    two(app, waits_at_the_gate, second)
    async with serving(postlude):
        await call(app, "/x", log=[])
        await batchings["running"].wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert log == ["first starts"]
        batchings["open"].set()
    assert log == ["first starts", "first ends", "second"]


async def test_but_not_for_ever(batchings: dict[str, asyncio.Event], location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location, config=Config(order_wait=0.05))
    two(app, waits_at_the_gate, second)
    async with serving(postlude):
        await call(app, "/x", log=[])
        async with asyncio.timeout(10):
            await batchings["second"].wait()
        batchings["open"].set()
    assert log == ["first starts", "second", "first ends"]


async def test_declared_tasks_run_beside_each_other(location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)
    meeting = asyncio.Barrier(2)

    @postlude.task(name="one")
    async def one() -> None:
        await meeting.wait()

    @postlude.task(name="other")
    async def other() -> None:
        await meeting.wait()
        say("met")

    two(app, one, other)
    async with serving(postlude):
        await call(app, "/x", log=[])
        async with asyncio.timeout(10):
            while not log:
                await asyncio.sleep(0.005)


async def test_arguments_are_what_they_were_when_the_task_was_added(location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        texts = ["a"]
        tasks.add_task(note_all, texts)
        texts.append("later")

    async with serving(postlude):
        await call(app, "/x", log=[])
        given = ["b"]
        await postlude.add_task(note_all, given)
        given.append("later")
    assert log == ["a", "b"]
