"""Jobs that no living process runs: one warning, and a wait for a result that says so."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Config, Postlude
from postlude.clock import SystemClock
from postlude.errors import JournalUnavailable, UnknownTask
from postlude.jobs.absence import NOBODY
from postlude.model.state import State
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import NewRunner
from tests.app.serving import becomes, eventually, serving
from tests.app.work import note, say

QUICK = Config(poll_every=0.005, tune_gc=False, reap_every=0)


def warned(caplog: pytest.LogCaptureFixture) -> int:
    return len([message for message in caplog.messages if message.startswith(NOBODY)])


def make(location: str, app: FastAPI | None = None) -> Postlude:
    return Postlude(app, store=location, config=QUICK, packages=["tests"])


async def waiters(postlude: Postlude) -> None:
    await postlude.add_task(note, "a")


async def in_bulk(postlude: Postlude) -> None:
    await postlude.add_tasks([partial(note, "a")])


async def blocking(postlude: Postlude) -> None:
    await asyncio.to_thread(postlude.blocking.add_task, note, "a")


@pytest.mark.anyio
@pytest.mark.parametrize("add", [waiters, in_bulk, blocking])
async def test_who_adds_where_nobody_runs_jobs_is_told_once(
    add: Any, location: str, caplog: pytest.LogCaptureFixture
) -> None:
    postlude = make(location)
    await add(postlude)
    await add(postlude)
    assert warned(caplog) == 1
    assert "Start the application's server" in caplog.text
    await postlude.close()


@pytest.mark.anyio
@pytest.mark.parametrize("add", [waiters, in_bulk, blocking])
async def test_nobody_is_told_where_this_process_runs_them(
    add: Any, location: str, caplog: pytest.LogCaptureFixture, log: list[str]
) -> None:
    postlude = make(location)
    async with serving(postlude):
        await add(postlude)
    lifespan = postlude.begin()
    await lifespan.open()
    await add(postlude)  # as an application's own start-up does: its runner is about to start
    await lifespan.start()
    await lifespan.drain()
    await lifespan.close()
    assert warned(caplog) == 0


@pytest.mark.anyio
async def test_nobody_is_told_where_another_process_runs_them(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(SystemClock())
    another = store.enlist(NewRunner("", 60.0))
    postlude = Postlude(store=store, config=QUICK)
    job = await postlude.add_task(note, "a")
    with pytest.raises(TimeoutError, match=r"it goes on$"):
        await job.result(timeout=0.01)
    assert warned(caplog) == 0
    await store.retire(another.result().runner, draining=True)
    with pytest.raises(TimeoutError, match=f"{NOBODY}: start the application's server$"):
        await job.result(timeout=0.01)


@pytest.mark.anyio
async def test_whoever_waits_for_a_result_is_told(location: str, caplog: pytest.LogCaptureFixture) -> None:
    postlude = make(location)
    postlude.components.absence.said = True
    job = await postlude.add_task(note, "a")
    postlude.components.absence.said = False
    with pytest.raises(TimeoutError, match=f"has not ended within 0.05 s; {NOBODY}"):
        await job.result(timeout=0.05)
    assert warned(caplog) == 1
    await postlude.close()


@pytest.mark.anyio
async def test_who_waits_for_less_than_a_look_takes_is_told_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    postlude = make("memory")
    postlude.components.absence.said = True
    job = await postlude.add_task(note, "a")
    postlude.components.absence.said = False
    monkeypatch.setattr(postlude.components.absence, "look", asyncio.Event().wait)
    with pytest.raises(TimeoutError, match=NOBODY):
        await job.result(timeout=0.01)
    assert warned(caplog) == 1
    await postlude.close()


@pytest.mark.anyio
async def test_a_parked_job_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    postlude = make("memory")

    def unknown(name: str) -> Any:
        raise UnknownTask(name)

    async with serving(postlude):
        await postlude.pause(queue="default")
        job = await postlude.add_task(note, "a")
        monkeypatch.setattr(postlude.components.registry, "resolve", unknown)
        await postlude.resume(queue="default")
        await becomes(postlude, job, State.PARKED)
        with pytest.raises(TimeoutError, match="it is parked"):
            await job.result(timeout=0.01)


# Without a lifespan


@pytest.fixture
async def client(location: str) -> AsyncIterator[tuple[Postlude, httpx.AsyncClient]]:
    """An application whose server runs no lifespan."""
    app = FastAPI()
    postlude = make(location, app)

    @app.get("/")
    async def nothing() -> None: ...

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("as it may")

    @app.post("/{word}")
    async def add(word: str, tasks: BackgroundTasks) -> None:
        tasks.add_task(say, word)

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as asking:
        yield postlude, asking
    await postlude.components.leave(None)


@pytest.mark.anyio
async def test_a_request_that_adds_nothing_takes_up_what_waits(
    client: tuple[Postlude, httpx.AsyncClient], caplog: pytest.LogCaptureFixture, log: list[str]
) -> None:
    postlude, asking = client
    jobs = [await postlude.add_task(say, "left") for _ in range(3)]
    await asking.get("/")
    for job in jobs:
        await becomes(postlude, job, State.SUCCEEDED)
    assert log == ["left"] * 3


@pytest.mark.anyio
async def test_its_own_answer_does_not_wait_for_them(
    client: tuple[Postlude, httpx.AsyncClient], log: list[str]
) -> None:
    postlude, asking = client
    may_end = threading.Event()

    @postlude.task(name="slow")
    def slow() -> None:
        assert may_end.wait(20)

    job = await postlude.add_task(slow)
    await asking.get("/")
    await becomes(postlude, job, State.RUNNING)
    more = await postlude.add_task(say, "beside")
    await asking.get("/")  # the look that is under way finds it
    await becomes(postlude, more, State.SUCCEEDED)
    may_end.set()
    await becomes(postlude, job, State.SUCCEEDED)


@pytest.mark.anyio
async def test_what_ends_without_its_runner_goes_back(
    client: tuple[Postlude, httpx.AsyncClient], log: list[str]
) -> None:
    postlude, asking = client
    never = asyncio.Event()

    @postlude.task(name="long")
    async def long() -> None:
        await never.wait()

    job = await postlude.add_task(long)
    await asking.get("/")
    await becomes(postlude, job, State.RUNNING)
    (looking,) = [task for task in asyncio.all_tasks() if task.get_name() == "postlude-visit"]
    looking.cancel()
    await becomes(postlude, job, State.QUEUED)


@pytest.mark.anyio
async def test_a_journal_that_cannot_be_read_fails_no_request(
    client: tuple[Postlude, httpx.AsyncClient],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postlude, asking = client
    await postlude.add_task(say, "left")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise JournalUnavailable("not now")

    with monkeypatch.context() as patch:
        patch.setattr(postlude.components.store, "enlist", refuse)

        async def told() -> bool | None:
            assert (await asking.get("/")).status_code == 200  # it is looked at once a second at most
            return "could not be looked at: not now" in caplog.text or None

        await eventually(told)


def test_a_journal_in_memory_is_not_opened_for_a_look(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    postlude = make("memory", app)
    app.get("/")(lambda: None)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as asking:
            await asking.get("/")

    asyncio.run(ask())
    TestClient(app).get("/")
    assert not postlude.components._open
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
