"""Followers that come along with the jobs before them, and that go back with them."""

from collections.abc import Sequence

import pytest

from postlude.model.job import Added, Claim, Hold, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import SUCCEEDED
from postlude.model.state import State, Stored
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

READY, BLOCKED, RUNNING = (Stored.READY, None), (Stored.BLOCKED, None), (Stored.RUNNING, None)


def chain_of(driver: Driver, count: int) -> list[NewJob]:
    """Add a chain whose followers wait at most 15 s, 30 s ...; nothing of it is claimed."""
    jobs = [driver.new(follows=number > 0, after=15 * number or None) for number in range(count)]
    driver.add(*jobs)
    return jobs


def holds_of(driver: Driver, held: Sequence[Claim | Added], but: int = 1) -> list[Hold]:
    """Return the holds of jobs of which all but the first few follow the ones before them."""
    return [
        Hold(one.seq, one.fence, driver.after(15 * place), follows=held[place - 1].seq)
        if place >= but
        else Hold(one.seq, one.fence)
        for place, one in enumerate(held)
    ]


def give_back(driver: Driver, runner: Enlisted, claims: list[Claim], but: int = 1) -> int:
    """Give claims back; all but the first few follow the ones before them."""
    holds = holds_of(driver, claims, but)
    return driver.store.release(runner.runner, holds).wait(PATIENCE)


class CompanyCases(Cases):
    def test_followers_come_along_in_order(self, driver: Driver) -> None:
        jobs, other = chain_of(driver, 3), driver.new()
        driver.add(other)
        claims = driver.claimed(driver.enlist(), behind=10).claims
        assert [claim.id for claim in claims] == [job.id for job in (*jobs, other)]
        assert [claim.follows for claim in claims] == [False, True, True, False]
        assert [claim.followed for claim in claims] == [False] * 4
        assert driver.states(*jobs) == [State.RUNNING] * 3

    def test_they_are_not_counted(self, driver: Driver) -> None:
        first, second = chain_of(driver, 2), chain_of(driver, 2)
        claimed = driver.claimed(driver.enlist(), 1, behind=10)
        assert [claim.id for claim in claimed.claims] == [job.id for job in first]
        assert claimed.more
        assert driver.lie(*second) == [READY, BLOCKED]

    def test_no_more_come_along_than_are_asked_for(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), chain_of(driver, 4)
        claims = driver.claimed(runner, behind=1).claims
        assert [claim.id for claim in claims] == [job.id for job in jobs[:2]]
        assert [claim.followed for claim in claims] == [False, True]
        driver.finish(claims[0])
        assert driver.claimed(runner, behind=1).claims == [], "the third waits for the second"
        driver.finish(claims[1])
        assert [claim.id for claim in driver.claimed(runner, behind=9).claims] == [job.id for job in jobs[2:]]

    def test_who_is_not_asked_for_followers_hears_that_there_is_one(self, driver: Driver) -> None:
        chain_of(driver, 2)
        assert [claim.followed for claim in driver.claim(driver.enlist())] == [True]

    def test_past_one_that_was_cancelled(self, driver: Driver) -> None:
        jobs = chain_of(driver, 3)
        driver.cancel(jobs[1])
        claims = driver.claimed(driver.enlist(), behind=10).claims
        assert [claim.id for claim in claims] == [jobs[0].id, jobs[2].id]
        assert [(claim.follows, claim.followed) for claim in claims] == [(False, False), (True, False)]

    @pytest.mark.parametrize("kind", ["task", "queue"])
    def test_what_is_paused_or_bounded_does_not_come_along(self, driver: Driver, kind: str) -> None:
        first = driver.new("app:other", queue="q")
        follower = driver.new(queue="q", follows=True, after=15)
        name = follower.task if kind == "task" else "q"
        driver.declare(DeclaredLimits(kind, name, concurrent=5 if kind == "queue" else None, every=1))
        driver.add(first, follower)
        assert [claim.id for claim in driver.claimed(driver.enlist(), behind=10).claims] == [first.id]

    def test_what_is_paused_does_not_come_along(self, driver: Driver) -> None:
        first, follower = driver.new("app:other"), driver.new(follows=True, after=15)
        driver.add(first, follower)
        driver.pause("task", follower.task)
        assert [claim.id for claim in driver.claimed(driver.enlist(), behind=10).claims] == [first.id]

    def test_who_ends_frees_none_that_came_along(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), chain_of(driver, 2)
        claims = driver.claimed(runner, behind=10).claims
        driver.finish(claims[0])
        assert driver.states(*jobs) == [State.SUCCEEDED, State.RUNNING]
        assert driver.claim(runner) == []

    def test_given_back_together_they_keep_their_order(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), chain_of(driver, 3)
        assert give_back(driver, runner, driver.claimed(runner, behind=10).claims) == 3
        assert driver.lie(*jobs) == [READY, BLOCKED, BLOCKED]
        for job in jobs:
            claim = driver.claim_one(runner)
            assert claim.id == job.id
            driver.finish(claim)

    def test_also_those_that_were_born_claimed(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), [driver.new(follows=number > 0) for number in range(3)]
        added = driver.add(*jobs, claim_for=runner)
        assert driver.store.release(runner.runner, holds_of(driver, added)).wait(PATIENCE) == 3
        assert driver.lie(*jobs) == [READY, BLOCKED, BLOCKED]
        claims = driver.claimed(driver.enlist(), behind=10).claims
        assert [claim.id for claim in claims] == [job.id for job in jobs]

    def test_the_first_of_those_given_back_waits_for_nobody(self, driver: Driver) -> None:
        """Whom it follows runs on, and its end may come before or after."""
        runner, jobs = driver.enlist(), chain_of(driver, 3)
        claims = driver.claimed(runner, behind=10).claims
        give_back(driver, runner, claims[1:])
        assert driver.lie(*jobs[1:]) == [READY, BLOCKED]
        assert driver.finish(claims[0])
        assert driver.lie(*jobs[1:]) == [READY, BLOCKED]

    def test_they_wait_no_longer_than_is_said(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), chain_of(driver, 2)
        give_back(driver, runner, driver.claimed(runner, behind=10).claims)
        driver.clock.advance(14)
        assert driver.promote() == 0
        driver.clock.advance(1)
        assert driver.promote() == 1
        assert driver.lie(*jobs) == [READY, READY]

    def test_a_late_end_of_the_one_before_frees_them(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), chain_of(driver, 2)
        claims = driver.claimed(runner, behind=10).claims
        give_back(driver, runner, claims)
        assert driver.finish(claims[0], SUCCEEDED), "nobody has taken it over"
        assert driver.lie(jobs[1]) == [READY]

    def test_one_that_was_asked_to_stop_keeps_nobody(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), chain_of(driver, 3)
        claims = driver.claimed(runner, behind=10).claims
        driver.cancel(jobs[0])
        give_back(driver, runner, claims)
        assert driver.lie(*jobs) == [(Stored.CANCELLED, None), READY, BLOCKED]

    def test_without_the_one_before_nobody_waits(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), chain_of(driver, 3)
        claims = driver.claimed(runner, behind=10).claims
        holds = [hold for hold in holds_of(driver, claims) if hold.seq != claims[1].seq]
        driver.store.release(runner.runner, holds).wait(PATIENCE)
        assert driver.lie(*jobs) == [READY, RUNNING, READY]

    def test_the_counts_agree(self, driver: Driver) -> None:
        runner = driver.enlist()
        chain_of(driver, 3)
        give_back(driver, runner, driver.claimed(runner, behind=10).claims)
        (counts,) = driver.store.counts().wait(PATIENCE)
        assert (counts.state, counts.jobs) == (State.QUEUED, 3)
