"""Looking at a journal as a whole from programs: awaited, and from sync code."""

import asyncio
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import JobNotFound, Keep, Pause, Postlude, State
from postlude.clock import SECOND, ManualClock
from postlude.config import Config
from postlude.enqueue.blocking import Blocking
from postlude.jobs import looks, pruning, statuses
from postlude.jobs.bulk import Acted
from postlude.jobs.pruning import Bounds
from postlude.jobs.statuses import Happened
from postlude.model.history import RUN, WAIT
from postlude.model.ids import id_text
from postlude.model.job import JobFilter, NewJob
from postlude.model.outcome import Succeeded
from postlude.model.queues import ALL
from postlude.stores.memory import MemoryStore
from postlude.stores.values import Deed
from postlude.testing.conformance import Driver, StoreBench

NOT_OF_THE_JOURNAL = {"open", "start", "drain", "close"}
"""What is awaited of a Postlude by whoever serves it."""

OF_HANDLES = {"result", "status"}
"""What `Job` has for those who can await it."""


class Bench(StoreBench):
    def make(self, clock: ManualClock) -> MemoryStore:
        return MemoryStore(clock)


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver(Bench(), ManualClock())
    yield driver
    driver.store.close()


@pytest.fixture
def postlude(driver: Driver) -> Postlude:
    return Postlude(FastAPI(), store=driver.store, config=Config(keep=Keep(success_seconds=60, failures=1)))


def asked(postlude: Postlude, name: str, *args: Any, **kwargs: Any) -> Any:
    """Ask both, and return what both say."""
    given = getattr(postlude.blocking, name)(*args, **kwargs)
    assert asyncio.run(getattr(postlude, name)(*args, **kwargs)) == given
    return given


def at(driver: Driver) -> datetime:
    return datetime.fromtimestamp(driver.clock.now() / SECOND, UTC)


def ended(driver: Driver, *, failed: int = 0, succeeded: int = 0, task: str = "shop:send") -> list[NewJob]:
    jobs = [driver.new(task, queue="mail") for _ in range(failed + succeeded)]
    driver.add(*jobs)
    for place, claim in enumerate(driver.claim(driver.enlist(), limit=10)):
        driver.finish(claim, driver.failed() if place < failed else Succeeded(None))
    return jobs


def awaited() -> dict[str, Any]:
    return {
        name: inspect.unwrap(value)
        for name, value in inspect.getmembers(Postlude)
        if not name.startswith("_") and inspect.iscoroutinefunction(inspect.unwrap(value))
    }


def test_sync_code_has_each_verb_that_is_awaited_by_the_same_parameters() -> None:
    blocking = {
        name: value
        for name, value in inspect.getmembers(Blocking, inspect.isfunction)
        if not name.startswith("_")
    }
    assert awaited().keys() - NOT_OF_THE_JOURNAL == blocking.keys() - OF_HANDLES
    assert len(blocking) > 20
    for name in blocking.keys() - OF_HANDLES - {"add_tasks"}:  # nothing is atomic there
        mine, theirs = (inspect.signature(one).parameters for one in (blocking[name], awaited()[name]))
        assert list(mine) == list(theirs), name
        assert [one.default for one in mine.values()] == [one.default for one in theirs.values()], name


def test_on_a_loop_each_is_refused(postlude: Postlude) -> None:
    async def ask() -> None:
        for name in sorted(awaited().keys() - NOT_OF_THE_JOURNAL - {"add_task", "add_tasks"}):
            method = getattr(postlude.blocking, name)
            needed = [
                one for one in inspect.signature(method).parameters.values() if one.default is one.empty
            ]
            given = ["x" for one in needed if one.kind is not one.VAR_KEYWORD]
            with pytest.raises(RuntimeError, match=r"postlude\.blocking would block this event loop: await"):
                method(*given)

    asyncio.run(ask())


def test_what_a_verb_does_not_take_is_refused_before_anything_is_awaited(postlude: Postlude) -> None:
    """Or `@postlude.tasks`, a slip of the pen, would be no error."""
    with pytest.raises(TypeError):
        postlude.tasks(print)  # type: ignore[call-arg, unused-coroutine]


def test_finding(driver: Driver, postlude: Postlude) -> None:
    jobs = ended(driver, failed=2, succeeded=2)
    found = asked(postlude, "find")
    assert [job.id for job in found.jobs] == [id_text(job.id) for job in reversed(jobs)]
    assert (found.next, found.searched) == (None, None)
    assert [job.id for job in asked(postlude, "find", state=State.FAILED, task="send").jobs] == [
        id_text(jobs[1].id),
        id_text(jobs[0].id),
    ]
    page = asked(postlude, "find", limit=3)
    assert (len(page.jobs), page.next) == (3, page.jobs[-1].seq)
    rest = asked(postlude, "find", limit=3, before=page.next)
    assert ([job.id for job in rest.jobs], rest.next) == ([id_text(jobs[0].id)], None)
    assert asked(postlude, "find", limit=4).next is None
    for wrong, kind in (
        ({"limit": 0}, ValueError),
        ({"color": "red"}, TypeError),
        ({"task": "nobody"}, JobNotFound),
        ({"since": datetime(2026, 1, 1)}, TypeError),  # noqa: DTZ001
    ):
        with pytest.raises(kind):
            postlude.blocking.find(**wrong)


def test_what_was_searched(driver: Driver, postlude: Postlude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "SEARCHED", 3)
    jobs = ended(driver, succeeded=4)
    found = asked(postlude, "find", queue="mail")
    assert ([job.id for job in found.jobs], found.searched) == ([id_text(job.id) for job in jobs[:0:-1]], 3)
    found = asked(postlude, "find", queue="mail", search_all=True)
    assert (len(found.jobs), found.searched) == (4, None)
    assert asked(postlude, "find", queue="mail", limit=2).searched is None
    monkeypatch.setattr(looks, "SEARCHED", 4)
    assert asked(postlude, "find", queue="mail").searched is None


def test_one_job(driver: Driver, postlude: Postlude) -> None:
    (job,) = ended(driver, failed=1)
    shown = asked(postlude, "show", id_text(job.id))
    assert (shown.id, [attempt.error for attempt in shown.attempts]) == (id_text(job.id), ["ValueError: no"])
    with pytest.raises(JobNotFound):
        postlude.blocking.show("nothing")


def test_queues_tasks_and_processes(driver: Driver, postlude: Postlude) -> None:
    assert [asked(postlude, name) for name in ("queues", "tasks", "processes")] == [[], [], []]
    ended(driver, failed=1)
    added = at(driver)
    driver.add(driver.new("shop:send", queue="mail"), driver.new("shop:bill", queue="bills", after=60))
    driver.store.pause(Pause("task", "shop:send")).wait(5)
    driver.store.pause(Pause("queue", "mail")).wait(5)
    bills, mail = asked(postlude, "queues")
    assert (bills.name, bills.paused, bills.scheduled, bills.oldest) == ("bills", False, 1, None)
    assert (mail.name, mail.paused, mail.ready + mail.blocked, mail.oldest) == ("mail", True, 1, added)
    bill, send = asked(postlude, "tasks")
    assert (bill.name, bill.paused, send.name, send.paused) == ("shop:bill", False, "shop:send", True)
    assert send.jobs == {state: int(state in (State.FAILED, State.QUEUED)) for state in State}
    (process,) = asked(postlude, "processes")
    assert (process.kind, process.queues, process.holds, process.since) == ("app", ALL, 0, added)


def test_history(driver: Driver, postlude: Postlude) -> None:
    driver.clock.advance(60 - driver.clock.now() / SECOND % 60)
    began = at(driver)
    ended(driver, succeeded=2)
    driver.clock.advance(60)
    ended(driver, succeeded=1)

    def of(**times: Any) -> list[tuple[Any, str, int]]:
        return [(one.since, one.outcome, one.n) for one in asked(postlude, "history", **times)]

    assert of() == [(None, "added", 3), (None, "succeeded", 3)]
    minute = timedelta(minutes=1)
    assert of(since=began) == [
        (began, "added", 2), (began, "succeeded", 2),
        (began + minute, "added", 1), (began + minute, "succeeded", 1),
    ]  # fmt: skip
    assert of(since=began, until=began) == [(began, "added", 2), (began, "succeeded", 2)]
    assert of(since=began + minute) == [(began + minute, "added", 1), (began + minute, "succeeded", 1)]
    assert {(n, outcome) for _, outcome, n in of(since=began, minutes=1440)} == {
        (3, "added"),
        (3, "succeeded"),
    }
    assert of(since=datetime(1970, 1, 1, tzinfo=UTC)) == of(since=began)
    told: Happened = asked(postlude, "history")[1]
    assert (told.ran, sum(told.runs), len(told.runs), len(told.waits)) == (
        3.0,
        3,
        len(RUN) + 1,
        len(WAIT) + 1,
    )
    for wrong, kind in (
        ({"until": began}, ValueError),
        ({"since": began, "minutes": 0}, ValueError),
        ({"since": datetime(2026, 1, 1)}, TypeError),  # noqa: DTZ001
    ):
        with pytest.raises(kind):
            postlude.blocking.history(**wrong)


def test_failures_in_groups(driver: Driver, postlude: Postlude) -> None:
    before = at(driver)
    driver.clock.advance(10)
    jobs = ended(driver, failed=2)
    (group,) = asked(postlude, "groups")
    assert (group.task, group.kind, group.jobs, group.newest) == (
        "shop:send",
        "ValueError",
        2,
        id_text(jobs[1].id),
    )
    assert group.first == group.last == at(driver)
    assert asked(postlude, "groups", since=before) == [group]
    driver.clock.advance(10)
    assert asked(postlude, "groups", since=at(driver)) == []


def test_who_did_what(driver: Driver, postlude: Postlude) -> None:
    jobs = ended(driver, failed=2)
    for place, job in enumerate(jobs):
        driver.store.retry([job.id], by=Deed("cli:ada@host", "retry", f"job {place}", bytes([place]))).wait(5)
    newest, oldest = asked(postlude, "audit")
    assert (newest.meant, oldest.meant, oldest.at) == ("job 1", "job 0", at(driver))
    assert (oldest.actor, oldest.act, oldest.done, oldest.not_done) == ("cli:ada@host", "retry", 1, 0)
    assert asked(postlude, "audit", limit=1) == [newest]
    assert asked(postlude, "audit", newest.number) == [oldest]
    with pytest.raises(ValueError, match="limit=0"):
        postlude.blocking.audit(limit=0)


def test_pruning(driver: Driver, postlude: Postlude) -> None:
    """By what the application keeps, or by what is said."""
    jobs = ended(driver, failed=3, succeeded=1)
    assert postlude.blocking.prune() == Acted({"deleted": 2})  # type: ignore[arg-type]
    driver.clock.advance(61)
    assert asyncio.run(postlude.prune()) == Acted({"deleted": 1})  # type: ignore[arg-type]
    left = [driver.store.get(job.id).wait(5) is not None for job in jobs]
    assert left == [False, False, True, False]
    assert postlude.blocking.prune(Keep(failure_seconds=62)) == Acted()
    assert postlude.blocking.prune(Keep(failure_seconds=60)) == Acted({"deleted": 1})  # type: ignore[arg-type]


def test_all_is_read_only_where_more_are_there_than_are_kept(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(driver, failed=2)
    asked_for: list[Any] = []
    find: Callable[..., Any] = driver.store.find

    def noted(wanted: JobFilter) -> Any:
        asked_for.append(wanted)
        return find(wanted)

    monkeypatch.setattr(driver.store, "find", noted)
    assert pruning.kept_no_longer(driver.store, Bounds(successes=0, failures=2)) == []
    assert asked_for == []
    assert len(pruning.kept_no_longer(driver.store, Bounds(failures=1))) == 1


def test_what_is_told_is_a_value() -> None:
    found = [kind for kind in vars(statuses).values() if dataclasses.is_dataclass(kind)]
    assert len(found) >= 7
    for kind in found:
        if kind.__module__ == statuses.__name__:
            assert kind.__dataclass_params__.frozen, kind  # type: ignore[union-attr]
