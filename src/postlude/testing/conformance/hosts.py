"""Two hosts whose clocks differ share a journal: its time decides, and not theirs."""

from collections.abc import Iterator

import pytest

from postlude.clock import SECOND, JournalClock, ManualClock
from postlude.model.state import State
from postlude.stores.protocol import NewRunner, Store
from postlude.testing.conformance.bench import LEASE, PATIENCE, Cases, Driver
from postlude.testing.conformance.hurting import StoreBench

AHEAD = 30.0
"""Seconds by which the other host's clock is ahead."""


class HostCases(Cases):
    """What is due, what has expired and who lives is the same, whoever asks."""

    @pytest.fixture
    def there(self, bench: StoreBench, driver: Driver, clock: ManualClock) -> Iterator[Store]:
        """The journal, as a host has it whose clock is ahead."""
        store = bench.another_host(driver.store, ManualClock(clock.now() + round(AHEAD * SECOND)))
        if store is None:
            pytest.skip("this store is on one host")
        store.open()
        yield store
        store.close()

    def test_both_tell_the_same_time(self, driver: Driver, there: Store, clock: ManualClock) -> None:
        ahead = JournalClock(there.now, ManualClock(clock.now() + round(AHEAD * SECOND)))
        assert ahead.now() == driver.store.now()
        clock.advance(5)
        assert ahead.now() == driver.store.now()

    def test_a_job_is_not_due_before_its_time(self, driver: Driver, there: Store) -> None:
        job = driver.new(after=20)
        driver.add(job)
        assert there.promote().wait(PATIENCE).jobs == 0
        driver.clock.advance(19)
        assert there.promote().wait(PATIENCE).jobs == 0
        driver.clock.advance(1)
        assert there.promote().wait(PATIENCE).jobs == 1

    def test_one_that_is_added_there_is_due_in_its_time_here(self, driver: Driver, there: Store) -> None:
        job = driver.new()
        due = there.now() + 20 * SECOND
        delayed = job._replace(terms=job.terms._replace(due=due))
        there.add([delayed], budget=PATIENCE).wait(PATIENCE)
        driver.clock.advance(19)
        assert driver.promote() == 0
        driver.clock.advance(1)
        assert driver.promote() == 1

    def test_who_lives_here_is_not_buried_there(self, driver: Driver, there: Store) -> None:
        driver.add(driver.new())
        claim = driver.claim_one(driver.enlist())
        assert there.reap().wait(PATIENCE).runners == 0
        driver.clock.advance(LEASE - 1)
        assert there.reap().wait(PATIENCE).runners == 0
        assert driver.finish(claim)

    def test_who_has_died_there_is_buried_here_in_time(self, driver: Driver, there: Store) -> None:
        job = driver.new()
        driver.add(job)
        runner = there.enlist(NewRunner("r", LEASE)).wait(PATIENCE)
        there.claim(runner.runner, 1, suspect=False).wait(PATIENCE)
        driver.clock.advance(LEASE - 1)
        assert driver.reap() == (0, 0, 0)
        driver.clock.advance(2)
        assert driver.reap() == (1, 1, 0)
        assert driver.state(job) is State.QUEUED
