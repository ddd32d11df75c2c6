"""Sync code that acts on jobs and waits for them: `postlude.blocking`."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from postlude import Cancel, Job, JobCancelled, JobFailed, JobNotFound, Pause, Postlude, Retry, State
from postlude.errors import JournalUnavailable, PostludeError, WaitsForItself
from postlude.fastapi import BackgroundTasks
from postlude.jobs import bulk
from postlude.jobs.bulk import Acted
from postlude.model.event import Event
from postlude.model.event.jobs import CancelAsked, JobRetried
from postlude.stores.reply import Reply
from tests.app import returning
from tests.app.conftest import folder as folder
from tests.app.conftest import location as location

UNKNOWN = "01a22656-0320-7000-95b4-7cea49a57d8f"


@pytest.fixture
def app(location: str) -> FastAPI:
    returning.GATE.clear()
    app = FastAPI()
    app.state.postlude = Postlude(app, store=location, packages=["tests"])
    return app


@pytest.fixture
def postlude(app: FastAPI) -> Iterator[Postlude]:
    """A served application: its loop runs in another thread than the test."""
    with TestClient(app):
        yield app.state.postlude
        returning.GATE.set()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def breaks() -> None:
    raise ValueError("no")


def test_a_result(postlude: Postlude) -> None:
    job = postlude.blocking.add_task(returning.report, 3)
    assert postlude.blocking.result(job, timeout=10) == returning.Report(orders=3, names=("Ada", "Bob"))
    assert postlude.blocking.result(job.id, timeout=10).orders == 3
    assert postlude.blocking.job(job.id) == job
    assert postlude.blocking.status(job).state is State.SUCCEEDED


def test_a_result_that_is_not_there_yet(postlude: Postlude) -> None:
    job = postlude.blocking.add_task(returning.waits)
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.01 s"):
        postlude.blocking.result(job, 0.01)
    ends: list[Any] = []
    threads = [
        threading.Thread(target=lambda: ends.append(postlude.blocking.result(job, 10))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    feeds = postlude.components.hub.watched
    until(lambda: len(getattr(feeds.get(job.raw_id), "_audiences", ())) == 3)
    returning.GATE.set()
    for thread in threads:
        thread.join(10)
    assert ends == ["done"] * 3
    assert not postlude.components.hub.watched


def test_what_has_failed_is_retried(postlude: Postlude) -> None:
    job = postlude.blocking.add_task(breaks)
    with pytest.raises(JobFailed, match="ValueError: no"):
        postlude.blocking.result(job, 10)
    assert postlude.blocking.retry(job) is True
    with pytest.raises(JobFailed, match="ValueError: no"):
        postlude.blocking.result(job.id, 10)
    assert postlude.blocking.status(job.id).attempt == 2


def test_cancel(postlude: Postlude) -> None:
    task = postlude.task(returning.nothing).using(delay=3600)
    by_handle, by_id = postlude.blocking.add_task(task), postlude.blocking.add_task(task)
    assert postlude.blocking.cancel(by_handle) is Cancel.CANCELLED
    assert postlude.blocking.cancel(by_id.id) is Cancel.CANCELLED
    assert postlude.blocking.cancel(by_id) is Cancel.TOO_LATE
    assert postlude.blocking.retry(by_id.id) is True
    running = postlude.blocking.add_task(returning.waits)
    until(lambda: postlude.blocking.status(running).state is State.RUNNING)
    assert postlude.blocking.cancel(running) is Cancel.ASKED


def test_delete(postlude: Postlude) -> None:
    job = postlude.blocking.add_task(postlude.task(returning.nothing).using(delay=3600))
    assert postlude.blocking.delete(job) is False
    postlude.blocking.cancel(job)
    assert postlude.blocking.delete(job.id) is True
    with pytest.raises(JobNotFound):
        postlude.blocking.status(job)


def test_all_that_are_meant(postlude: Postlude) -> None:
    task = postlude.task(returning.report, name="shop:report").using(delay=3600, owner="ada")
    others = postlude.task(returning.nothing).using(delay=3600)
    jobs = [postlude.blocking.add_task(task, number) for number in (1, 2, 2, 3)]
    other = postlude.blocking.add_task(others)
    blocking = postlude.blocking
    blocking.pause("default")  # what is retried would run
    assert blocking.cancel_all(task="report", arguments={"orders": 2}) == Acted(Counter(cancelled=2))
    assert blocking.retry_all(task=task, limit=1) == Acted(Counter(retried=1))
    assert [blocking.status(job).state for job in jobs].count(State.CANCELLED) == 1
    assert blocking.cancel_all(owner="ada") == Acted(Counter(cancelled=3))
    assert blocking.cancel_all(owner="ada") == Acted(), "no other state is meant, if none is given"
    assert blocking.delete_all(state=State.QUEUED) == Acted(), "the act can do nothing with these"
    now = datetime.now(UTC)
    assert blocking.delete_all(everything=True, until=now - timedelta(hours=1)) == Acted()
    deleted = blocking.delete_all(state=State.CANCELLED, since=now - timedelta(hours=1), until=now)
    assert deleted.done.total() >= 3
    assert blocking.status(other).state is State.QUEUED


def test_those_that_run_hear_of_it_at_once(postlude: Postlude, monkeypatch: pytest.MonkeyPatch) -> None:
    job = postlude.blocking.add_task(returning.waits)
    until(lambda: postlude.blocking.status(job).state is State.RUNNING)
    heard: list[Event] = []
    told: list[bytes] = []
    control = postlude.components.control
    tell = control._told

    def tells(id: bytes) -> None:
        told.append(id)
        tell(id)

    monkeypatch.setattr(control, "_told", tells)
    postlude.components.store.events.listen(heard.append, CancelAsked, JobRetried)
    assert postlude.blocking.cancel_all(state=[State.RUNNING]) == Acted(Counter({"asked to stop": 1}))
    with pytest.raises(JobCancelled):
        postlude.blocking.result(job, 10)
    assert told == [job.raw_id]
    assert postlude.blocking.retry_all(state=State.CANCELLED) == Acted(Counter(retried=1))
    assert heard == [CancelAsked(job.raw_id, Cancel.ASKED), JobRetried(job.raw_id)]


def test_a_key_that_is_taken_keeps_no_other_from_being_retried(postlude: Postlude) -> None:
    task = postlude.task(returning.nothing)
    jobs = [postlude.blocking.add_task(task.using(delay=3600, key=key)) for key in "abc"]
    assert postlude.blocking.cancel_all(task=task).total == 3
    postlude.blocking.pause("default")  # what is retried would run
    postlude.blocking.add_task(task.using(delay=3600, key="b"))
    acted = postlude.blocking.retry_all(task=task)
    assert (acted.done, acted.not_done) == (Counter(retried=2), Counter({"another job has the key": 1}))
    states = [postlude.blocking.status(job).state for job in jobs]
    assert states == [State.QUEUED, State.CANCELLED, State.QUEUED]


def test_where_the_journal_fails_in_the_middle_a_note_says_how_far_it_came(
    postlude: Postlude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PIECE", 2)
    later = postlude.task(returning.nothing).using(delay=3600)
    for _ in range(3):
        postlude.blocking.add_task(later)
    store = postlude.components.store
    cancel, pieces = store.cancel, iter((False, True))

    def fails_then(ids: Sequence[bytes]) -> Reply[list[Cancel]]:
        return Reply.failed(JournalUnavailable("the disk is full")) if next(pieces) else cancel(ids)

    monkeypatch.setattr(store, "cancel", fails_then)
    with pytest.raises(JournalUnavailable) as failed:
        postlude.blocking.cancel_all(queue="default")
    assert failed.value.__notes__ == ["of 3 jobs, before that: {'cancelled': 2}"]


@pytest.mark.parametrize(
    ("which", "error", "told"),
    [
        ({}, PostludeError, "say which jobs"),
        ({"limit": 3}, PostludeError, "say which jobs"),
        ({"everything": False}, PostludeError, "say which jobs"),
        ({"stat": State.FAILED}, TypeError, "no filter is called 'stat'; give some of state, task"),
        ({"task": "reprot"}, JobNotFound, "no task called reprot has any job; these have: "),
        (
            {"task": "nothing"},
            PostludeError,
            "several tasks are called nothing; give one of a:nothing, b:nothing",
        ),
        ({"since": "2h"}, TypeError, "since=.*: give a datetime with a timezone"),
    ],
)
def test_which_jobs_is_said_well_or_not_at_all(
    postlude: Postlude, which: dict[str, Any], error: type[Exception], told: str
) -> None:
    for name in ("a:nothing", "b:nothing"):
        postlude.blocking.add_task(postlude.task(returning.nothing, name=name).using(delay=3600))
    for verb in (postlude.blocking.cancel_all, postlude.blocking.retry_all, postlude.blocking.delete_all):
        with pytest.raises(error, match=told):
            verb(**which)


def test_pause_and_resume(postlude: Postlude) -> None:
    task = postlude.task(returning.nothing, queue="mail")
    assert postlude.blocking.pause("mail") is True
    assert postlude.blocking.pause(task=task) is True
    assert postlude.blocking.pause("mail") is False
    assert set(postlude.blocking.paused()) == {Pause("queue", "mail"), Pause("task", task.name)}
    job = postlude.blocking.add_task(task)
    assert postlude.blocking.status(job).state is State.QUEUED
    assert [postlude.blocking.resume("mail"), postlude.blocking.resume(task=task)] == [True, True]
    assert postlude.blocking.result(job, 10) is None
    assert postlude.blocking.paused() == []


def test_what_there_is_not(postlude: Postlude) -> None:
    asked: list[Callable[[str], Any]] = [
        postlude.blocking.job, postlude.blocking.result, postlude.blocking.status,
        postlude.blocking.cancel, postlude.blocking.retry, postlude.blocking.delete,
    ]  # fmt: skip
    for ask in asked:
        for id in (UNKNOWN, "no id"):
            with pytest.raises(JobNotFound):
                ask(id)


def test_a_def_route_waits_and_acts(app: FastAPI) -> None:
    postlude: Postlude = app.state.postlude
    later = postlude.task(returning.nothing, retry=Retry(attempts=1)).using(delay=3600)

    @app.get("/report")
    def report(orders: int) -> returning.Report:
        job: Job[returning.Report] = postlude.blocking.add_task(returning.report, orders)
        postlude.blocking.cancel(postlude.blocking.add_task(later))
        return postlude.blocking.result(job, timeout=10)

    @app.get("/own")
    def own(tasks: BackgroundTasks) -> None:
        postlude.blocking.result(tasks.add_task(returning.report, 1), timeout=10)

    with TestClient(app) as client:
        assert client.get("/report?orders=7").json() == {"orders": 7, "names": ["Ada", "Bob"]}
        with pytest.raises(WaitsForItself):
            client.get("/own")


def test_a_job_in_a_thread_waits_for_another(postlude: Postlude) -> None:
    @postlude.task
    def outer() -> int:
        inner = postlude.blocking.add_task(returning.report, 5)
        return postlude.blocking.result(inner, timeout=10).orders

    assert postlude.blocking.result(postlude.blocking.add_task(outer), timeout=10) == 5


def test_a_job_that_waits_for_another_is_cancelled(postlude: Postlude) -> None:
    inner = postlude.blocking.add_task(returning.waits)

    @postlude.task
    def outer() -> object:
        return postlude.blocking.result(inner)

    job = postlude.blocking.add_task(outer)
    until(lambda: bool(postlude.components.hub.watched))
    assert postlude.blocking.cancel(job) is Cancel.ASKED
    with pytest.raises(JobCancelled):
        postlude.blocking.result(job, timeout=10)
    assert postlude.blocking.status(inner).ended is False


@pytest.mark.parametrize(
    ("verb", "instead"),
    [
        ("job", r"postlude\.job"), ("result", r"job\.result"), ("status", r"job\.status"),
        ("cancel", r"postlude\.cancel"), ("retry", r"postlude\.retry"), ("pause", r"postlude\.pause"),
        ("delete", r"postlude\.delete"), ("resume", r"postlude\.resume"),
        ("paused", r"postlude\.paused"), ("add_task", r"postlude\.add_task"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("store", ["memory", "off"])
@pytest.mark.anyio
async def test_on_an_event_loop_the_verb_to_await_is_named(verb: str, instead: str, store: str) -> None:
    ask = getattr(Postlude(store=store).blocking, verb)
    with pytest.raises(RuntimeError, match=rf"would block this event loop: await {instead}\("):
        ask(*([] if verb == "paused" else [returning.nothing]))


def test_it_leaves_the_thread_its_own_loop() -> None:
    own = asyncio.new_event_loop()
    asyncio.set_event_loop(own)
    try:
        postlude = Postlude(store="memory")
        with pytest.raises(JobNotFound):
            postlude.blocking.job(UNKNOWN)
        assert asyncio.get_event_loop_policy().get_event_loop() is own
    finally:
        asyncio.set_event_loop(None)
        own.close()


def test_off() -> None:
    postlude = Postlude(store="off")
    job = postlude.blocking.add_task(returning.report, 3)
    assert postlude.blocking.result(job, 1).orders == 3
    assert postlude.blocking.status(job).state is State.SUCCEEDED
    assert postlude.blocking.cancel(job) is Cancel.TOO_LATE
    with pytest.raises(JobNotFound):
        postlude.blocking.result(job.id, 1)
