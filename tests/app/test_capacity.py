"""What takes up what a process may hold: not what follows another, or waits for its response to end."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse

from postlude import Config, Limit, Postlude
from postlude.model.state import State
from postlude.runner.executors import threads as thread_lane
from tests.app.serving import becomes, eventually, serving
from tests.app.work import LOG, hold, meet, note, note_sync, shut
from tests.request.asgi import call, status

pytestmark = pytest.mark.anyio

FEW = Config(loop_slots=2, threads=2, poll_every=30, tune_gc=False)
"""Hardly anything may be held, and who is told of nothing hears of it after the test has failed."""


async def logged(lines: int) -> None:
    async def look() -> bool | None:
        return len(LOG) >= lines or None

    await eventually(look)


@pytest.mark.parametrize("function", [note, note_sync])
async def test_a_long_chain_runs_at_once(location: str, log: list[str], function: object) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location, config=FEW)

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks) -> None:
        for number in range(600):
            tasks.add_task(function, str(number))  # type: ignore[arg-type]

    async with serving(postlude):
        await call(app, "/", log=[])
        await logged(600)
    assert log == [str(number) for number in range(600)]


async def test_in_threads_each_starts_when_the_one_before_has_ended(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a moment later, in which the ends of others gather."""
    monkeypatch.setattr(thread_lane, "MOMENT", 60.0)
    postlude = Postlude(FastAPI(), store="memory", config=replace(FEW, grace=0.1))
    async with serving(postlude):
        producer = postlude.components.producer
        works = [producer.prepare(note_sync, (text,), {}) for text in "abcdef"]
        await producer.commit(works)
        producer.start(works)
        await logged(6)
    assert log == list("abcdef")


@pytest.mark.parametrize("function", [note, note_sync])
async def test_also_one_that_had_to_queue(location: str, log: list[str], function: object) -> None:
    """Longer than what comes along with one claim, and in two queues."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    async with serving(postlude):
        await postlude.pause("default")
        producer = postlude.components.producer
        works = [producer.prepare(function, (str(number),), {}) for number in range(600)]  # type: ignore[arg-type]
        await producer.commit(works)
        assert not any(work.fence for work in works)
        producer.start(works)
        await postlude.resume("default")
        await logged(600)
    assert log == [str(number) for number in range(600)]


async def test_an_end_that_the_journal_has_to_hear_of_is_told_at_once(location: str, log: list[str]) -> None:
    """Followers that do not come along: a pause of their task stands before each of them."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    async with serving(postlude):
        await postlude.pause(task="tests.app.work:note_sync")
        producer = postlude.components.producer
        works = [
            producer.prepare(function, (name,), {}) for name, function in zip("abab", [note] * 4, strict=True)
        ]
        await producer.commit(works)
        producer.start(works)
        await logged(4)
    assert log == list("abab")


async def test_a_chain_of_jobs_that_nobody_can_run_comes_to_its_end(location: str) -> None:
    """One lets the next start: not by calling it."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    async with serving(postlude):
        producer = postlude.components.producer
        await postlude.pause("default")
        works = [producer.prepare(note, (str(number),), {}) for number in range(2000)]
        for work in works:
            work.name = "gone:task"
        await producer.commit(works)
        producer.start(works)
        await postlude.resume("default")
        await becomes(postlude, works[-1].job, State.PARKED)


async def test_who_was_queued_waits_for_its_response_too(location: str, log: list[str]) -> None:
    """Claimed by the process that answers it, it takes up nothing meanwhile."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    async with serving(postlude):
        producer = postlude.components.producer
        await postlude.pause("default")
        works = [producer.prepare(note, (text,), {}) for text in "ab"]
        await producer.commit(works)
        await postlude.resume("default")
        for work in works:
            await becomes(postlude, work.job, State.RUNNING)
        runner = producer.attached
        assert runner is not None
        assert (runner.load, log) == (0, [])
        producer.start(works)
        await logged(2)
    assert log == ["a", "b"]


@pytest.mark.parametrize("policy", [{"limit": Limit(concurrent=1)}, {"delivery": "at_most_once"}])
async def test_what_would_hold_a_place_meanwhile_does_not_wait(
    location: str, log: list[str], policy: dict[str, Any]
) -> None:
    """The only place of its limit, for as long as a stream lasts; or as one that may have run."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    task = postlude.task(**policy)(note)
    async with serving(postlude):
        producer = postlude.components.producer
        work = producer.prepare(task, ("a",), {})
        await producer.commit([work])
        await becomes(postlude, work.job, State.SUCCEEDED)
        producer.start([work])
    assert log == ["a"]


async def test_by_default_as_much_runs_at_once_as_in_fastapi(location: str) -> None:
    """40 sync jobs, on threads that start when they are needed, and any number of async ones."""
    postlude = Postlude(FastAPI(), store=location)
    go = shut()
    before = threading.active_count()
    async with serving(postlude):
        assert threading.active_count() - before < 10
        jobs = [await postlude.add_task(meet) for _ in range(40)]
        jobs += [await postlude.add_task(hold, "a") for _ in range(400)]

        async def all_run() -> bool | None:
            runner = postlude.components.producer.attached
            assert runner is not None
            return len(runner.executors.tasks) == 400 or None

        await eventually(all_run)
        for job in jobs[:40]:
            await becomes(postlude, job, State.SUCCEEDED)
        go.set()
        for job in jobs:
            await becomes(postlude, job, State.SUCCEEDED)


async def test_open_streams_delay_nobody(location: str, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location, config=FEW)
    ends = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        await ends.wait()

    @app.get("/stream")
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:
        tasks.add_task(note, "stream")
        tasks.add_task(note, "stream")
        return StreamingResponse(chunks())

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "short")

    async with serving(postlude):
        runner = postlude.components.producer.attached
        assert runner is not None
        streams = [asyncio.create_task(call(app, "/stream", log=[])) for _ in range(50)]

        async def all_are_stored() -> bool | None:
            counts = await postlude.inspector.counts()
            return sum(count.jobs for count in counts) == 100 or None

        await eventually(all_are_stored)
        for _ in range(5):
            assert status(await call(app, "/", log=[])) == 200
        await logged(5)
        assert log == ["short"] * 5
        ends.set()
        await asyncio.gather(*streams)
        await logged(105)
    assert log[5:] == ["stream"] * 100
