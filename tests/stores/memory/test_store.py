"""What is the memory store's own, beside what every store must do."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from postlude.clock import SECOND, ManualClock
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Snoozed
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import Conflict
from postlude.stores.memory import MemoryStore
from postlude.stores.memory.row import Row
from postlude.stores.memory.shelves import Shelves
from postlude.stores.protocol import Store
from postlude.testing.conformance import Driver, StoreBench
from tests.stores.benches import MemoryBench


@pytest.fixture
def driver() -> Driver:
    return Driver(MemoryBench(), ManualClock())


def test_it_is_a_store() -> None:
    store: Store = MemoryStore(ManualClock())
    assert store.location == "memory"


def test_a_job_that_waits_for_the_rate_of_its_queue_says_so(driver: Driver) -> None:
    driver.declare(DeclaredLimits("queue", "q", every=10 * SECOND))
    jobs = [driver.new(queue="q") for _ in range(2)]
    driver.add(*jobs)
    assert driver.lie(*jobs) == [(Stored.READY, None)] * 2
    driver.claim(driver.enlist())
    assert driver.record(jobs[1]).reason is Reason.RATE
    driver.clock.advance(10)
    assert driver.record(jobs[1]).reason is None


def test_answers_are_there_at_once(driver: Driver) -> None:
    assert driver.store.add([driver.new()]).done


def test_what_was_stored_stays_readable_after_closing(driver: Driver) -> None:
    job = driver.new()
    driver.add(job)
    driver.store.close()
    assert driver.record(job).id == job.id


def test_a_move_outside_the_table_is_a_mistake_of_ours(driver: Driver) -> None:
    shelves, row = Shelves(), Row(1, driver.new(), Stored.SUCCEEDED)
    shelves.put(row)
    with pytest.raises(AssertionError, match="SUCCEEDED to RUNNING"):
        shelves.move(row, Stored.RUNNING)


@pytest.mark.parametrize("backlog", [100, 2_000])
def test_a_claim_costs_the_same_behind_any_backlog(driver: Driver, backlog: int) -> None:
    runner = driver.enlist()
    driver.add(*[driver.new(after=60) for _ in range(backlog)])
    driver.add(*[driver.new(follows=bool(n)) for n in range(backlog)])
    driver.add(driver.new(queue="other"))
    assert calls_made(lambda: driver.claim(runner, 2)) < 200


@pytest.mark.parametrize("stored", [100, 2_000])
def test_an_add_costs_the_same_beside_any_number(driver: Driver, stored: int) -> None:
    driver.add(*[driver.new() for _ in range(stored)])
    assert calls_made(lambda: driver.add(driver.new())) < 200


def calls_made(work: Callable[[], Any]) -> int:
    """Count the calls, of Python and of C, that some work makes: its cost without a clock."""
    made = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return made


def test_the_bench_that_says_nothing_is_not_durable(driver: Driver) -> None:
    with pytest.raises(pytest.skip.Exception):
        driver.reopen()
    with pytest.raises(NotImplementedError):
        StoreBench().make(ManualClock())


@pytest.mark.parametrize("backlog", [100, 5_000])
def test_a_claim_costs_the_same_behind_any_backlog_of_a_lane(driver: Driver, backlog: int) -> None:
    driver.declare(
        DeclaredLimits("task", "app:task", concurrent=1), DeclaredLimits("queue", "default", concurrent=9)
    )
    driver.add(*[driver.new(concurrency_key="x") for _ in range(backlog)])
    runner = driver.enlist()
    claim = driver.claim_one(runner)
    assert calls_made(lambda: driver.finish(claim)) < 200
    assert calls_made(lambda: driver.claim(runner)) < 200


@pytest.mark.parametrize("paused", [10, 1_000])
def test_paused_jobs_cost_the_first_claim_alone(driver: Driver, paused: int) -> None:
    runner = driver.enlist()
    driver.add(*[driver.new("a") for _ in range(paused)], driver.new("b"))
    driver.pause("task", "a")
    driver.claim_one(runner)
    assert calls_made(lambda: driver.claim(runner)) < 200


def test_a_job_whose_priority_changes_is_claimed_once(driver: Driver) -> None:
    for priority in (5, -5, 0, 5, 3):
        driver.add(driver.new(key="k", conflict=Conflict.REPLACE, priority=priority))
    driver.add(driver.new(priority=4), driver.new(priority=2))
    claims = driver.claim(driver.enlist())
    assert [claim.seq for claim in claims] == [3, 1, 2]


def test_a_job_that_is_replaced_keeps_its_room_in_its_lane(driver: Driver) -> None:
    driver.declare(DeclaredLimits("task", "app:task", concurrent=1))
    first, second = driver.new(concurrency_key="x", key="k"), driver.new(concurrency_key="x")
    driver.add(first, second)
    driver.add(driver.new(concurrency_key="x", key="k", conflict=Conflict.REPLACE, priority=1))
    assert driver.lie(first, second) == [(Stored.READY, None), (Stored.BLOCKED, Reason.LIMIT)]


def test_a_late_end_of_what_has_been_blocked_since_counts(driver: Driver) -> None:
    runner, job = driver.enlist(), driver.new("a")
    driver.add(job)
    claim = driver.claim_one(runner)
    driver.release(runner, claim)
    driver.pause("task", "a")
    assert driver.claim(runner) == []
    assert driver.lie(job) == [(Stored.BLOCKED, Reason.PAUSED)]
    assert driver.finish(claim) is True
    driver.resume("task", "a")
    assert (driver.state(job), driver.claim(runner)) == (State.SUCCEEDED, [])


def test_with_another_rate_jobs_are_given_other_turns(driver: Driver) -> None:
    driver.declare(DeclaredLimits("task", "app:task", every=3600 * SECOND))
    runner, jobs = driver.enlist(), [driver.new() for _ in range(3)]
    driver.add(*jobs)
    assert len(driver.claim(runner)) == 1
    driver.declare(DeclaredLimits("task", "app:task", every=SECOND))
    assert driver.claim(runner) == []
    now = driver.clock.now()
    assert [driver.record(job).due for job in jobs[1:]] == [now + SECOND, now + 2 * SECOND]


def test_with_the_same_rate_they_keep_their_turns(driver: Driver) -> None:
    driver.declare(DeclaredLimits("task", "app:task", every=SECOND))
    job = driver.new()
    driver.add(driver.new(), job)
    driver.claim(driver.enlist())
    driver.declare(
        DeclaredLimits("task", "app:task", every=SECOND), DeclaredLimits("task", "other", concurrent=1)
    )
    assert driver.lie(job) == [(Stored.BLOCKED, Reason.RATE)]


def test_lanes_that_nobody_is_in_are_forgotten(driver: Driver) -> None:
    store = MemoryStore(driver.clock)
    driver.store = store
    driver.declare(DeclaredLimits("task", "app:task", concurrent=1))
    runner = driver.enlist()
    for concurrency_key in range(50):
        driver.add(
            driver.new(concurrency_key=str(concurrency_key)), driver.new(concurrency_key=str(concurrency_key))
        )
        driver.finish(driver.claim_one(runner))
        driver.finish(driver.claim_one(runner), Snoozed(driver.after(5)))
    assert store._shelves.concurrency_keys.of(["app:task"]) == []


def test_queues_that_are_passed_over_keep_their_turns(driver: Driver) -> None:
    runner = driver.enlist()
    driver.add(driver.new(queue="a"), driver.new(queue="b"))
    driver.pause("queue", "a")
    assert [claim.queue for claim in driver.claim(runner)] == ["b"]
    driver.resume("queue", "a")
    assert [claim.queue for claim in driver.claim(runner)] == ["a"]
