"""What is the memory store's own, beside what every store must do."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from postlude.clock import ManualClock
from postlude.errors import JournalRefused
from postlude.model.state import Stored
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


def test_a_known_id_is_refused_by_name(driver: Driver) -> None:
    job = driver.new()
    driver.add(job)
    with pytest.raises(JournalRefused, match="new id"):
        driver.add(job)


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


@pytest.mark.parametrize("backlog", [100, 10_000])
def test_a_claim_costs_the_same_behind_any_backlog(driver: Driver, backlog: int) -> None:
    runner = driver.enlist()
    driver.add(*[driver.new(after=60) for _ in range(backlog)])
    driver.add(*[driver.new(follows=bool(n)) for n in range(backlog)])
    driver.add(driver.new(queue="other"))
    assert calls_made(lambda: driver.claim(runner, 2)) < 200


@pytest.mark.parametrize("stored", [100, 10_000])
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
