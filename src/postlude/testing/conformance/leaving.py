"""The ways out of a concurrency key: each of them lets the next job of the concurrency key be ready."""

from collections.abc import Callable

import pytest

from postlude.model.crash import MAX_DEATHS
from postlude.model.job import Claim
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Snoozed
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver
from postlude.testing.conformance.concurrency_keys import BLOCKED, READY, concurrency_key, limit

FAR = 1 << 60
ENDS: dict[str, Outcome] = {
    "succeeded": SUCCEEDED,
    "failed": Failed("E", "E"),
    "retrying": Failed("E", "E", retry_at=FAR),
    "retrying at once": Failed("E", "E", retry_at=0),
    "snoozed": Snoozed(FAR),
    "parked": Parked(Reason.UNKNOWN_TASK, "r1"),
    "cancelled": Cancelled(Reason.EXPIRED),
}


def late(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.release(runner, claim)
    assert driver.finish(claim)


def given_back_and_cancelled(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.release(runner, claim)
    driver.store.cancel([claim.id]).wait(PATIENCE)


def asked_and_given_back(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.store.cancel([claim.id]).wait(PATIENCE)
    driver.release(runner, claim)


def asked_and_retired(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.store.cancel([claim.id]).wait(PATIENCE)
    driver.store.retire(runner.runner, draining=True).wait(PATIENCE)


def asked_and_retrying(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.store.cancel([claim.id]).wait(PATIENCE)
    driver.finish(claim, driver.failed(retry_after=60))


WAYS: list[Callable[[Driver, Enlisted, Claim], None]] = [
    late,
    given_back_and_cancelled,
    asked_and_given_back,
    asked_and_retired,
    asked_and_retrying,
]


class LeavingCases(Cases):
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
    def test_an_end_lets_the_next_one_be_ready(self, driver: Driver, end: Outcome) -> None:
        limit(driver, 1)
        jobs = concurrency_key(driver, 3)
        assert driver.finish(driver.claim_one(driver.enlist()), end)
        assert driver.lie(*jobs[1:]) == [READY, BLOCKED]

    @pytest.mark.parametrize("way", WAYS)
    def test_so_does_every_other_way_out(
        self, driver: Driver, way: Callable[[Driver, Enlisted, Claim], None]
    ) -> None:
        limit(driver, 1)
        runner, jobs = driver.enlist(), concurrency_key(driver, 3)
        way(driver, runner, driver.claim_one(runner))
        assert driver.lie(*jobs[1:]) == [READY, BLOCKED]

    def test_so_does_cancelling_what_is_ready(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = concurrency_key(driver, 3)
        driver.cancel(jobs[0])
        assert driver.lie(*jobs[1:]) == [READY, BLOCKED]

    def test_cancelling_what_is_blocked_readies_nobody(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = concurrency_key(driver, 3)
        driver.cancel(jobs[1])
        assert driver.lie(jobs[0], jobs[2]) == [READY, BLOCKED]
        driver.cancel(jobs[0])
        assert driver.lie(jobs[2]) == [READY]

    def test_so_does_a_death_that_condemns(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = concurrency_key(driver, 3)
        for _ in range(MAX_DEATHS - 1):
            driver.die_in(jobs[0])
            assert driver.lie(*jobs) == [(Stored.READY, Reason.INTERRUPTED), BLOCKED, BLOCKED]
        driver.die_in(jobs[0])
        assert driver.state(jobs[0]) is State.FAILED
        assert driver.lie(*jobs[1:]) == [READY, BLOCKED]

    def test_so_does_a_death_of_what_is_delivered_at_most_once(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, once, next_one = (
            driver.enlist(),
            driver.new(concurrency_key="x", once=True),
            driver.new(concurrency_key="x"),
        )
        driver.add(once, next_one)
        driver.claim_one(runner)
        driver.die(runner)
        driver.reap()
        assert driver.lie(next_one) == [READY]

    def test_a_claim_given_back_keeps_its_place_in_the_lane(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, jobs = driver.enlist(), concurrency_key(driver, 2)
        driver.release(runner, driver.claim_one(runner))
        assert driver.lie(*jobs) == [READY, BLOCKED]
        assert driver.claim_one(runner).id == jobs[0].id

    def test_so_does_one_whose_runner_died(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, jobs = driver.enlist(), concurrency_key(driver, 2)
        driver.claim_one(runner)
        driver.die(runner)
        driver.reap()
        assert driver.lie(*jobs) == [READY, BLOCKED]
