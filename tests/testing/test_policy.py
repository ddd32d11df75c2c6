"""The words of policy in tests: what `using` has set, keys, rates and limits, on a hand-turned clock."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Postlude
from postlude.errors import Discard, Snooze
from postlude.model.limits import Limit, Rate
from postlude.model.retry import Fixed, Retry
from postlude.model.state import State
from postlude.tasks.task import Task
from postlude.testing import Drained, PostludeJobs


@pytest.fixture
def seen() -> list[str]:
    """What the tasks have done, in order."""
    return []


@pytest.fixture
def postlude() -> Postlude:
    return Postlude(store="memory", packages=["tests"])


@pytest.fixture
def note(postlude: Postlude, seen: list[str]) -> Task[[str], Any]:
    async def note(text: str) -> None:
        seen.append(text)

    return postlude.task(note, name="note")


def test_what_using_has_set_is_compared(
    postlude_jobs: PostludeJobs, postlude: Postlude, note: Task[[str], Any]
) -> None:
    added = note.using(delay=600, priority=5, key="receipt:7", queue="mail", timeout=30)
    postlude.blocking.add_task(added, "a")
    job = postlude_jobs.assert_added(note, "a")
    assert (job.queue, job.priority, job.key) == ("mail", 5, "receipt:7")
    assert job.due == postlude_jobs.now + timedelta(seconds=600)
    assert "queue='mail' priority=5 key='receipt:7'" in str(job)
    postlude_jobs.assert_added(added, "a")
    others = [
        note.using(delay=601, priority=5, key="receipt:7", queue="mail", timeout=30),
        note.using(delay=600, priority=6, key="receipt:7", queue="mail", timeout=30),
        note.using(delay=600, priority=5, key="receipt:8", queue="mail", timeout=30),
        note.using(delay=600, priority=5, key="receipt:7", queue="post", timeout=30),
        note.using(delay=600, priority=5, key="receipt:7", queue="mail", timeout=31),
    ]
    for other in others:
        postlude_jobs.assert_not_added(other, "a")
    with pytest.raises(AssertionError, match="priority is 5, not 6"):
        postlude_jobs.assert_added(others[1], "a")
    postlude_jobs.advance(minutes=10)
    assert postlude_jobs.assert_added(added, "a").state is State.SUCCEEDED


def test_a_delay_passes_when_the_clock_is_turned(
    postlude_jobs: PostludeJobs, postlude: Postlude, note: Task[[str], Any], seen: list[str]
) -> None:
    postlude.blocking.add_task(note.using(delay=timedelta(hours=2)), "late")
    postlude.blocking.add_task(note.using(at=datetime.now(UTC) + timedelta(hours=1)), "at")
    assert postlude_jobs.drain() == Drained()
    postlude_jobs.advance(minutes=59)
    assert seen == []
    postlude_jobs.advance(minutes=2)
    assert seen == ["at"]
    postlude_jobs.advance(hours=1)
    assert seen == ["at", "late"]
    assert postlude_jobs.waiting == []


def test_a_taken_key_is_a_409(
    postlude_jobs: PostludeJobs, note: Task[[str], Any], postlude: Postlude
) -> None:
    app = FastAPI()
    postlude.install(app)

    @app.post("/")
    async def add(tasks: BackgroundTasks, on_conflict: Literal["keep", "raise"] = "raise") -> None:
        tasks.add_task(note.using(key="one", on_conflict=on_conflict), "a")

    client = TestClient(app)
    assert client.post("/").status_code == 200
    assert client.post("/").status_code == 409
    assert client.post("/", params={"on_conflict": "keep"}).status_code == 200
    assert postlude_jobs.count(note) == 1
    postlude_jobs.drain()
    assert client.post("/").status_code == 200
    assert postlude_jobs.count(note, "a") == 2


def failing(seen: list[str], error: Callable[[], Exception]) -> Callable[[], None]:
    def task() -> None:
        seen.append("tried")
        if len(seen) == 1:
            raise error()

    return task


def test_a_snooze_is_no_error(postlude_jobs: PostludeJobs, postlude: Postlude, seen: list[str]) -> None:
    postlude.blocking.add_task(postlude.task(failing(seen, lambda: Snooze(60)), name="sleepy"))
    assert postlude_jobs.drain(raise_errors=True) == Drained()
    assert len(postlude_jobs.waiting) == 1
    assert postlude_jobs.advance(minutes=1) == Drained(succeeded=1)


@pytest.mark.parametrize("error", [Discard("gone"), ExceptionGroup("children", [Discard("gone")])])
def test_a_discard_is_no_error(
    postlude_jobs: PostludeJobs, postlude: Postlude, seen: list[str], error: Exception
) -> None:
    postlude.blocking.add_task(postlude.task(failing(seen, lambda: error), name="gone"))
    assert postlude_jobs.drain(raise_errors=True) == Drained(cancelled=1)


def test_what_has_expired_does_not_run(
    postlude_jobs: PostludeJobs, postlude: Postlude, note: Task[[str], Any], seen: list[str]
) -> None:
    postlude.blocking.add_task(note.using(expires=60), "a")
    postlude_jobs._kit.clock.advance(61)
    assert postlude_jobs.drain() == Drained(cancelled=1)
    assert seen == []


def test_rates_let_go_as_the_clock_turns(
    postlude_jobs: PostludeJobs, postlude: Postlude, seen: list[str]
) -> None:
    async def rated(text: str) -> None:
        seen.append(text)

    task = postlude.task(rated, name="rated", rate=Rate(2, per=60))
    for number in range(5):
        postlude.blocking.add_task(task, str(number))
    assert postlude_jobs.drain() == Drained(succeeded=2)
    assert postlude_jobs.advance(seconds=61).succeeded == 2
    assert postlude_jobs.advance(hours=1) == Drained(succeeded=1)
    assert seen == ["0", "1", "2", "3", "4"]


def test_limits_hold(postlude_jobs: PostludeJobs, postlude: Postlude, seen: list[str]) -> None:
    running: list[str] = []

    def limited(text: str) -> None:
        running.append(text)
        seen.append(str(len(running)))
        running.pop()

    task = postlude.task(limited, name="limited", limit=Limit(concurrent=1))
    for number in range(20):
        postlude.blocking.add_task(task, str(number))
    assert postlude_jobs.drain() == Drained(succeeded=20)
    assert set(seen) == {"1"}


def test_a_paused_queue_stays(
    postlude_jobs: PostludeJobs, postlude: Postlude, note: Task[[str], Any], seen: list[str]
) -> None:
    postlude.blocking.add_task(note.using(queue="mail"), "a")
    with TestClient(FastAPI()) as client:
        assert client.portal is not None
        assert client.portal.call(postlude.pause, "mail")
        assert postlude_jobs.drain() == Drained()
        assert client.portal.call(postlude.resume, "mail")
    assert postlude_jobs.drain() == Drained(succeeded=1)


def test_attempts_of_one_call(postlude_jobs: PostludeJobs, postlude: Postlude) -> None:
    def broken() -> None:
        raise ConnectionError

    task = postlude.task(broken, name="broken")
    postlude.blocking.add_task(task.using(retry=Retry(attempts=2, backoff=Fixed(3600))))
    assert postlude_jobs.drain() == Drained(retrying=1)
    assert postlude_jobs.advance(minutes=59) == Drained()
    assert postlude_jobs.advance(minutes=1) == Drained(failed=1)
