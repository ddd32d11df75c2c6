"""What an application's journal tells of its jobs, and that nothing is made where nobody listens."""

import asyncio
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Config, Postlude
from postlude.clock import SystemClock
from postlude.errors import KeyTaken
from postlude.model.event import Event
from postlude.model.event.jobs import (
    AttemptEnded,
    AttemptStarted,
    AttemptUnsuccessful,
    CancelAsked,
    EndsWritten,
    JobRetried,
    JobsAdded,
    JobsRefused,
    JobsReleased,
    Paused,
    Resumed,
)
from postlude.model.job import Added, Cancel, NewJob
from postlude.model.outcome import SUCCEEDED, Failed
from postlude.stores.memory import MemoryStore
from postlude.stores.reply import Reply
from postlude.stores.values import Deed
from postlude.telemetry.events import Events
from tests.app.serving import serving

pytestmark = pytest.mark.anyio

OF_EVENTS = (
    "postlude.telemetry.events",
    "postlude.telemetry.logging",
    "postlude.telemetry.carrying",
    "postlude.telemetry.outcomes",
    "postlude.model.event",
    "postlude.integrations",
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def well() -> None: ...


async def well_with_a_key() -> None: ...


def well_in_a_thread() -> None: ...


def badly() -> None:
    raise ValueError("seven")


async def test_jobs_that_go_well_are_made_into_nothing_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = list[Any]()
    monkeypatch.setattr(Events, "emit", lambda self, event: made.append(event))
    async with serving(postlude := Postlude(store="memory", packages=["tests"])):
        jobs = [await postlude.add_task(function) for function in (well, well_in_a_thread) * 3]
        await postlude.components.producer.runners[0].idle()
        assert [(await job.status()).state for job in jobs] == ["succeeded"] * 6
    assert made == []


class Calls(list[str]):
    """Calls of what events are made of and told by, in all threads that are started within."""

    def __enter__(self) -> "Calls":
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *raised: object) -> None:
        threading.setprofile(None)
        sys.setprofile(None)

    def _note(self, frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_globals.get("__name__", "").startswith(OF_EVENTS):
            self.append(frame.f_code.co_qualname)


@pytest.mark.parametrize("listens", [False, True])
def test_a_request_whose_jobs_go_well_calls_nothing_for_events_where_nobody_listens(listens: bool) -> None:
    app, ran = FastAPI(), list[str]()
    postlude = Postlude(app, store="memory", packages=["tests"])

    @postlude.task(name="on the loop")
    async def on_the_loop() -> None:
        ran.append("on the loop")

    @postlude.task(name="in a thread")
    def in_a_thread() -> None:
        ran.append("in a thread")

    @app.get("/")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(on_the_loop)
        tasks.add_task(in_a_thread)

    if listens:
        postlude.components.store.events.listen(lambda event: None, Event)
    with Calls() as calls, TestClient(app) as client:
        assert client.get("/").status_code == 200
    assert sorted(ran) == ["in a thread", "on the loop"]
    assert bool(calls) is listens


async def test_who_listens_hears_of_a_jobs_whole_life() -> None:
    postlude, heard = Postlude(store="memory", packages=["tests"]), list[Event]()
    postlude.components.store.events.listen(heard.append, AttemptStarted, AttemptEnded, EndsWritten)
    async with serving(postlude):
        job = await postlude.add_task(well)
        await postlude.components.producer.runners[0].idle()
    started, ended, written = heard
    assert isinstance(started, AttemptStarted)
    assert (started.id, started.task, started.queue, started.attempt) == (
        job.raw_id, "tests.app.test_events:well", "default", 1,
    )  # fmt: skip
    assert started.created <= started.started
    assert isinstance(ended, AttemptEnded)
    assert (ended.id, ended.outcome, ended.started) == (job.raw_id, SUCCEEDED, started.started)
    assert isinstance(written, EndsWritten)
    assert (written.ids, written.kept) == ([job.raw_id], [True])
    assert written.finishes[0].outcome == SUCCEEDED


async def test_who_listens_for_ends_hears_of_the_bad_ones_too_with_the_error() -> None:
    postlude, heard = Postlude(store="memory", packages=["tests"]), list[Event]()
    postlude.components.store.events.listen(heard.append, AttemptEnded)
    async with serving(postlude):
        await postlude.add_task(badly)
        await postlude.components.producer.runners[0].idle()
    (ended,) = heard
    assert isinstance(ended, AttemptUnsuccessful)
    assert isinstance(ended.outcome, Failed)
    assert isinstance(ended.error, ValueError)
    assert ended.frames is not None
    assert ended.frames.tb_frame.f_code is badly.__code__


async def test_who_listens_hears_of_what_is_added_and_of_what_is_refused() -> None:
    postlude, heard = Postlude(store="memory", packages=["tests"]), list[Event]()
    postlude.components.store.events.listen(heard.append, JobsAdded, JobsRefused)
    only_one = postlude.task(well_with_a_key).using(key="k", on_conflict="raise", delay=3600)
    async with serving(postlude):
        first = await postlude.add_task(only_one)
        with pytest.raises(KeyTaken) as taken:
            await postlude.add_task(only_one)
        jobs = await postlude.add_tasks([well, well])
        blocking = await asyncio.to_thread(postlude.blocking.add_task, well)
    added = [[job.id for job in event.jobs] for event in heard if isinstance(event, JobsAdded)]
    assert sorted(added) == sorted([[first.raw_id], [job.raw_id for job in jobs], [blocking.raw_id]])
    (refused,) = [event for event in heard if isinstance(event, JobsRefused)]
    assert [job.task for job in refused.jobs] == [only_one.name]
    assert refused.error is taken.value


class SlowStore(MemoryStore):
    """A store that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.slow: list[tuple[Reply[list[Added]], Reply[list[Added]]]] = []

    def add(
        self,
        jobs: Sequence[NewJob],
        *,
        claim_for: int | None = None,
        budget: float | None = None,
        by: Deed | None = None,
    ) -> Reply[list[Added]]:
        slow: Reply[list[Added]] = Reply.here()
        self.slow.append((slow, super().add(jobs, claim_for=claim_for, budget=budget, by=by)))
        return slow


async def test_who_listens_hears_of_a_job_whose_request_has_been_cancelled() -> None:
    """It is being written, and runs."""
    store, heard = SlowStore(), list[Event]()
    store.events.listen(heard.append, JobsAdded, EndsWritten)
    async with serving(postlude := Postlude(store=store, packages=["tests"])):
        work = postlude.components.producer.prepare(well, (), {})
        committing = asyncio.ensure_future(postlude.components.producer.commit([work]))
        while not store.slow:
            await asyncio.sleep(0)
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        assert heard == []
        ((slow, stored),) = store.slow
        slow.resolve(stored.result(), None)
        slow.deliver()
        await asyncio.sleep(0)
        await postlude.components.producer.runners[0].idle()
    added, written = heard
    assert isinstance(added, JobsAdded)
    assert isinstance(written, EndsWritten)
    assert [job.id for job in added.jobs] == written.ids == [work.id]


async def test_who_listens_hears_what_people_do() -> None:
    postlude, heard = Postlude(store="memory", packages=["tests"]), list[Event]()
    kinds = (CancelAsked, JobRetried, Paused, Resumed)
    postlude.components.store.events.listen(heard.append, *kinds)
    await postlude.open()
    job = await postlude.add_task(well)
    assert await postlude.cancel(job.id) is Cancel.CANCELLED
    assert await postlude.retry(job.id)
    assert not await postlude.retry(job.id)
    assert await postlude.pause("default")
    assert await postlude.resume("default")
    await postlude.close()
    assert heard == [
        CancelAsked(job.raw_id, Cancel.CANCELLED), JobRetried(job.raw_id),
        Paused([("queue", "default")]), Resumed([("queue", "default")]),
    ]  # fmt: skip


async def test_who_listens_hears_of_what_goes_back() -> None:
    heard, entered, go = list[Event](), threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        go.wait(10)

    store = MemoryStore(SystemClock())
    store.events.listen(heard.append, JobsReleased)
    postlude = Postlude(store=store, packages=["tests"], config=Config(threads=1))
    first, second = postlude.task(hold, name="hold"), postlude.task(well_in_a_thread, name="well")
    async with serving(postlude):
        runner = postlude.components.producer.runners[0]
        await postlude.add_task(first)
        await asyncio.to_thread(entered.wait, 10)
        job = await postlude.add_task(second)
        async with asyncio.timeout(10):
            while runner.load < 2:
                await asyncio.sleep(0.001)
        assert await asyncio.to_thread(runner.give_back) == 1
        assert heard == [JobsReleased([job.raw_id])]
        go.set()


async def test_each_journal_tells_of_its_own() -> None:
    one, other = (Postlude(store="memory", packages=["tests"]) for _ in range(2))
    heard = list[Event]()
    other.components.store.events.listen(heard.append, Event)
    async with serving(one):
        await one.add_task(badly)
        await one.components.producer.runners[0].idle()
    assert heard == []
