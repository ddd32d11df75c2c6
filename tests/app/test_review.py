"""What reviews of applications have found: each of these was wrong once."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from postlude import Cancel, Config, Job, JobNotFound, Limit, Postlude, State
from postlude.errors import JournalUnavailable
from postlude.fastapi import BackgroundTasks
from postlude.model.state import Reason
from postlude.stores.reply import Reply
from tests.app.serving import EVERY_STORE, becomes, eventually, serving
from tests.app.work import note, say

pytestmark = pytest.mark.anyio


@EVERY_STORE
async def test_a_handle_of_what_was_never_stored_is_not_waited_for(location: str) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location, config=Config(budget=0.05, tune_gc=False))
    kept: list[Job[None]] = []

    @app.post("/refused")
    async def refused(tasks: BackgroundTasks) -> None:
        kept.append(tasks.add_task(note, "a"))
        raise HTTPException(418)

    @app.get("/asked")
    async def asked() -> list[str]:
        said = []
        for question in (kept[0].status, kept[0].cancel, kept[0].result, lambda: kept[0].result(0.05)):
            try:
                await question()
            except (JobNotFound, TimeoutError) as error:
                said.append(type(error).__name__)
        return said

    async with (
        serving(postlude),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client,
    ):
        assert (await client.post("/refused")).status_code == 418
        answer = await client.get("/asked", timeout=10)
    assert answer.json() == ["JobNotFound", "JobNotFound", "JobNotFound", "TimeoutError"]


HELD: list[asyncio.Event] = []
"""The gate of the test that runs."""


async def waits_at_the_gate(text: str) -> None:
    say(text)
    await HELD[-1].wait()


@EVERY_STORE
async def test_a_follower_that_is_cancelled_before_its_turn_never_runs(location: str, log: list[str]) -> None:
    """The second of two plain functions of one request: claimed, and kept back by the runner."""
    HELD.append(asyncio.Event())
    app = FastAPI()
    postlude = Postlude(app, store=location, packages=["tests"], config=Config(tune_gc=False))
    added: list[Job[None]] = []

    @app.post("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        added.extend([tasks.add_task(waits_at_the_gate, "1"), tasks.add_task(note, "2")])

    async with (
        serving(postlude),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client,
    ):
        assert (await client.post("/x")).status_code == 200
        first, second = added
        await eventually(_written(log))
        assert await postlude.cancel(second.id) is Cancel.ASKED
        await becomes(postlude, second, State.CANCELLED)
        HELD[-1].set()
        await becomes(postlude, first, State.SUCCEEDED)
    assert log == ["1"]


def _written(log: list[str]) -> Callable[[], Awaitable[bool | None]]:
    async def look() -> bool | None:
        return bool(log) or None

    return look


@EVERY_STORE
async def test_a_limit_that_is_declared_late_holds(location: str, log: list[str]) -> None:
    """As when the module of a task is imported late."""
    HELD.append(asyncio.Event())
    postlude = Postlude(store=location, config=Config(tune_gc=False))
    async with serving(postlude):
        late = postlude.task(waits_at_the_gate, limit=Limit(1))
        jobs = [await postlude.add_task(late, str(number)) for number in range(3)]
        await eventually(_written(log))
        states = [(await postlude.inspector.get(job.id)).reason for job in jobs]
        assert states == [None, Reason.LIMIT, Reason.LIMIT]
        HELD[-1].set()
        for job in jobs:
            await becomes(postlude, job, State.SUCCEEDED)
    assert log == ["0", "1", "2"]


@EVERY_STORE
async def test_jobs_without_a_limit_do_not_wait_for_room_for_others(location: str, log: list[str]) -> None:
    """All threads run limited jobs, more of them wait; a due async job of another queue starts at once."""
    batching = threading.Event()

    def holds(text: str) -> None:
        batching.wait(20)

    postlude = Postlude(store=location, config=Config(threads=2, poll_every=0.02, tune_gc=False))
    held = postlude.task(holds, name="holds", limit=Limit(100))
    free = postlude.task(note, queue="other")
    try:
        async with serving(postlude):
            for number in range(6):
                await postlude.add_task(held, str(number))
            job = await postlude.add_task(free.using(delay=0.1), "free")
            await becomes(postlude, job, State.SUCCEEDED)
            batching.set()
    finally:
        batching.set()
    assert log == ["free"]


@EVERY_STORE
async def test_telling_the_journal_of_bounds_keeps_no_request_waiting(
    location: str, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that does not answer has a budget for what is added; what it is told of limits has none."""
    postlude = Postlude(store=location, config=Config(tune_gc=False))
    limited = postlude.task(note, limit=Limit(1))
    asked: list[Reply[None]] = []

    def never(bounds: object) -> Reply[None]:
        asked.append(Reply.here())
        return asked[-1]

    async with serving(postlude):
        monkeypatch.setattr(postlude.components.store, "declare", never)
        async with asyncio.timeout(5):
            await becomes(postlude, await postlude.add_task(limited, "1"), State.SUCCEEDED)
        assert len(asked) == 1
        asked[0].resolve(None, JournalUnavailable("no"))
        asked[0].deliver()
        await asyncio.sleep(0)
        await becomes(postlude, await postlude.add_task(limited, "2"), State.SUCCEEDED)
        assert len(asked) == 2, "what failed is told again"
    assert log == ["1", "2"]
