"""Pauses, and what a process holds: when `pause` has returned, nothing of it starts any more."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI

from postlude import Config, Postlude
from postlude.model.state import State
from postlude.runner import surplus
from tests.app.serving import becomes, eventually, serving
from tests.app.work import LOG, note, say
from tests.request.asgi import call

pytestmark = pytest.mark.anyio

ONE = Config(loop_slots=1, threads=1, poll_every=0.02, tune_gc=False)

OPEN = threading.Event()


@pytest.fixture(autouse=True)
def batching(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(surplus, "HELD_FOR", 60)  # what goes back does so because of a pause
    OPEN.clear()
    yield
    OPEN.set()


async def in_loop(text: str) -> None:
    say(text)
    while not OPEN.is_set():
        await asyncio.sleep(0.001)


def in_thread(text: str) -> None:
    say(text)
    OPEN.wait(10)


def dependency() -> str:
    return ""


def with_dependency(text: str, value: Annotated[str, Depends(dependency)] = "") -> None:
    say(text)
    OPEN.wait(10)


async def started(lines: int) -> None:
    async def look() -> bool | None:
        return len(LOG) >= lines or None

    await eventually(look)


@pytest.mark.parametrize("function", [in_loop, in_thread, with_dependency])
@pytest.mark.parametrize("kind", ["queue", "task"])
async def test_what_is_held_does_not_start_any_more(
    location: str, log: list[str], kind: str, function: Any
) -> None:
    config = ONE if function is in_loop else replace(ONE, loop_slots=4)
    postlude = Postlude(FastAPI(), store=location, config=config)
    task = postlude.task(queue="mail")(function)
    what: dict[str, Any] = {"queue": "mail"} if kind == "queue" else {"task": task}
    async with serving(postlude):
        jobs = [await postlude.add_task(task, str(number)) for number in range(2)]
        await started(1)
        runner = postlude.components.producer.attached
        assert runner is not None
        assert runner.load == 2, "the second waits here for the place of the first"
        await postlude.pause(**what)
        assert runner.load == 1
        status = await postlude.inspector.get(jobs[1].id)
        assert status.state is State.QUEUED
        OPEN.set()
        await becomes(postlude, jobs[0], State.SUCCEEDED)
        await asyncio.sleep(0.05)
        assert log == ["0"]
        await postlude.resume(**what)
        await becomes(postlude, jobs[1], State.SUCCEEDED)
    assert log == ["0", "1"]


async def test_other_queues_go_on(location: str, log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store=location, config=ONE)
    mail, other = postlude.task(queue="mail")(note), postlude.task(queue="other")(in_loop)
    async with serving(postlude):
        first = await postlude.add_task(other, "0")
        await started(1)
        held = await postlude.add_task(mail, "1")
        await postlude.pause("mail")
        last = await postlude.add_task(other, "2")
        OPEN.set()
        for job in (first, last):
            await becomes(postlude, job, State.SUCCEEDED)
        assert (await postlude.inspector.get(held.id)).state is State.QUEUED
    assert log == ["0", "2"]


async def test_what_follows_in_a_chain_does_not_start_either(location: str, log: list[str]) -> None:
    """It goes back when it would start, with those behind it, in order."""
    postlude = Postlude(FastAPI(), store=location, config=ONE)
    async with serving(postlude):
        producer = postlude.components.producer
        works = [producer.prepare(f, (t,), {}) for f, t in ((in_loop, "a"), (note, "b"), (note, "c"))]
        await producer.commit(works)
        producer.start(works)
        await started(1)
        await postlude.pause("default")
        OPEN.set()
        await becomes(postlude, works[1].job, State.QUEUED)
        await becomes(postlude, works[2].job, State.QUEUED)
        assert log == ["a"]
        await postlude.resume("default")
        await becomes(postlude, works[2].job, State.SUCCEEDED)
    assert log == ["a", "b", "c"]


async def test_what_waits_for_its_response_does_not_start_after_it(location: str, log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store=location, config=ONE)
    async with serving(postlude):
        producer = postlude.components.producer
        work = producer.prepare(note, ("a",), {})
        await producer.commit([work])
        await postlude.pause("default")
        producer.start([work])
        await becomes(postlude, work.job, State.QUEUED)
        await postlude.resume("default")
        await becomes(postlude, work.job, State.SUCCEEDED)
    assert log == ["a"]


async def test_who_waits_until_nothing_is_held_hears_that_it_went_back(location: str, log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store=location, config=ONE)
    async with serving(postlude):
        producer = postlude.components.producer
        work = producer.prepare(note, ("a",), {})
        await producer.commit([work])
        runner = producer.attached
        assert runner is not None
        idle = asyncio.create_task(runner.idle())
        await postlude.pause("default")
        producer.start([work])
        await asyncio.wait_for(idle, 10)
    assert log == []


@pytest.mark.disk
async def test_other_processes_hear_of_it_soon(log: list[str]) -> None:
    """And of its end."""
    holder, other = (Postlude(FastAPI(), store="sqlite:///jobs.db", config=ONE) for _ in range(2))
    task = holder.task(queue="mail")(in_loop)
    async with serving(holder):
        await other.open()
        jobs = [await holder.add_task(task, str(number)) for number in range(2)]
        await started(1)
        await other.pause("mail")
        await becomes(holder, jobs[1], State.QUEUED)
        OPEN.set()
        await becomes(holder, jobs[0], State.SUCCEEDED)
        assert log == ["0"]
        await other.resume("mail")
        await becomes(holder, jobs[1], State.SUCCEEDED)
        await other.close()


@pytest.mark.parametrize("location", ["memory"])
async def test_without_a_lifespan_too(location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location, config=ONE)

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks) -> None:
        for text in "abc":
            tasks.add_task(in_loop, text)

    request = asyncio.create_task(call(app, "/", log=[]))
    await started(1)
    await postlude.pause("default")
    OPEN.set()
    await asyncio.wait_for(request, 10)
    assert log == ["a"]
    counts = {count.state: count.jobs for count in await postlude.inspector.counts()}
    assert counts == {State.SUCCEEDED: 1, State.QUEUED: 2}
    await postlude.close()
