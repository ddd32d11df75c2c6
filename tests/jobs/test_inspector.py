"""Jobs in the words and types that people read."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pydantic
import pytest

from postlude.clock import ManualClock
from postlude.errors import JobNotFound
from postlude.jobs.inspector import Arguments, Inspector
from postlude.model.ids import id_text
from postlude.model.outcome import Failed, LogLine, Succeeded
from postlude.model.state import Reason, State
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Counts, Store
from postlude.testing.conformance import Driver, StoreBench

T = TypeVar("T")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Bench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)


@pytest.fixture
def driver() -> Driver:
    return Driver(Bench(), ManualClock())


@pytest.fixture
def inspector(driver: Driver) -> Inspector:
    return Inspector(driver.store)


def ask(question: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(question)


def test_a_waiting_job(driver: Driver, inspector: Inspector) -> None:
    job = driver.new("shop:mail", queue="mail", payload=b'{"a":[1],"k":{"name":"Ada"}}', priority=2)
    driver.add(job)
    status = ask(inspector.get(id_text(job.id)))
    assert (status.id, status.task, status.queue) == (id_text(job.id), "shop:mail", "mail")
    assert (status.state, status.scheduled, status.retrying) == (State.QUEUED, False, False)
    assert (status.attempt, status.priority, status.deaths, status.reason) == (1, 2, 0, None)
    assert (status.created, status.due, status.started, status.finished) == (NOW, None, None, None)
    assert status.arguments == Arguments(positional=[1], named={"name": "Ada"})
    assert (status.error, status.attempts, status.ended) == (None, (), False)


def test_a_uuid_serves_as_well(driver: Driver, inspector: Inspector) -> None:
    job = driver.new()
    driver.add(job)
    assert ask(inspector.get(UUID(bytes=job.id))).id == id_text(job.id)


def test_a_scheduled_job(driver: Driver, inspector: Inspector) -> None:
    job = driver.new(after=60)
    driver.add(job)
    status = ask(inspector.get(id_text(job.id)))
    assert (status.scheduled, status.retrying, status.due) == (True, False, NOW + timedelta(seconds=60))


def test_a_retrying_job_shows_its_last_error_and_its_next_attempt(
    driver: Driver, inspector: Inspector
) -> None:
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), driver.failed(retry_after=5))
    status = ask(inspector.get(id_text(job.id)))
    assert (status.state, status.scheduled, status.retrying) == (State.QUEUED, False, True)
    assert (status.attempt, status.error, status.ended) == (2, "ValueError: no", False)
    (attempt,) = status.attempts
    assert (attempt.number, attempt.error, attempt.traceback[:9]) == (1, "ValueError: no", "Traceback")
    assert (attempt.started, attempt.finished) == (NOW - timedelta(seconds=1), NOW)


def test_a_failed_job_counts_the_attempt_that_failed(driver: Driver, inspector: Inspector) -> None:
    job = driver.new()
    driver.add(job)
    end = Failed("E: no", "E: no", None, Reason.DISCARDED)
    driver.finish(driver.claim_one(driver.enlist()), end)
    status = ask(inspector.get(id_text(job.id)))
    assert (status.state, status.attempt, status.reason) == (State.FAILED, 1, Reason.DISCARDED)
    assert (status.retrying, status.ended, status.finished) == (False, True, NOW)


def test_a_job_that_succeeded_in_the_end_has_no_error(driver: Driver, inspector: Inspector) -> None:
    job, runner = driver.new(), driver.enlist()
    driver.add(job)
    driver.finish(driver.claim_one(runner), driver.failed(retry_after=5))
    driver.clock.advance(5)
    driver.promote()
    driver.finish(driver.claim_one(runner))
    status = ask(inspector.get(id_text(job.id)))
    assert (status.state, status.attempt, status.error) == (State.SUCCEEDED, 2, None)
    assert (len(status.attempts), status.ended) == (1, True)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"{}", b'{"a":1,"k":{}}', b"[" * 100_000])
def test_arguments_that_cannot_be_read_hide_nothing_else(
    driver: Driver, inspector: Inspector, payload: bytes
) -> None:
    job = driver.new(payload=payload)
    driver.add(job)
    status = ask(inspector.get(id_text(job.id)))
    assert (status.arguments, status.state) == (None, State.QUEUED)


@pytest.mark.parametrize("id", [UUID(int=1), str(UUID(int=1)), "not-an-id", ""])
def test_unknown_ids(inspector: Inspector, id: str | UUID) -> None:
    with pytest.raises(JobNotFound):
        ask(inspector.get(id))


def test_what_a_run_leaves(driver: Driver, inspector: Inspector) -> None:
    job = driver.new(key="receipt:7")
    driver.add(job)
    runner = driver.enlist()
    for outcome in (driver.failed(retry_after=0), Succeeded(b'{"orders":3}')):
        claim = driver.claim_one(runner)
        line = LogLine(driver.clock.now(), 30, "shop", f"of attempt {claim.failures + 1}")
        driver.store.finish([driver.finish_of(claim, outcome, (line,))]).wait(5)
        driver.promote()
    status = ask(inspector.get(id_text(job.id)))
    assert (status.key, status.result, status.cancel_asked, status.progress) == (
        "receipt:7",
        {"orders": 3},
        False,
        None,
    )
    assert [(line.attempt, line.at, line.level, line.logger, line.message) for line in status.logs] == [
        (1, NOW, "WARNING", "shop", "of attempt 1"),
        (2, NOW, "WARNING", "shop", "of attempt 2"),
    ]
    (on_page,) = ask(inspector.page())
    assert (on_page.key, on_page.result, on_page.logs) == ("receipt:7", None, ())


def test_pages(driver: Driver, inspector: Inspector) -> None:
    jobs = [driver.new("a"), driver.new("b"), driver.new("a", queue="mail")]
    driver.add(*jobs)
    ids = [id_text(job.id) for job in jobs]
    newest = ask(inspector.page(limit=2))
    assert [status.id for status in newest] == [ids[2], ids[1]]
    assert [status.id for status in ask(inspector.page(before=newest[-1].seq))] == [ids[0]]
    assert [status.id for status in ask(inspector.page(task="a", queue="mail"))] == [ids[2]]
    assert ask(inspector.page(state=State.FAILED)) == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_has_room_for_one_job_at_least(inspector: Inspector, limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit={limit}"):
        ask(inspector.page(limit=limit))


def test_counts(driver: Driver, inspector: Inspector) -> None:
    driver.add(driver.new("a"), driver.new("a"))
    assert ask(inspector.counts()) == [Counts("a", State.QUEUED, 2)]


def test_a_status_is_a_value(driver: Driver, inspector: Inspector) -> None:
    job = driver.new()
    driver.add(job)
    status = ask(inspector.get(id_text(job.id)))
    with pytest.raises(pydantic.ValidationError):
        setattr(status, "state", State.FAILED)  # noqa: B010 - the types forbid it too
