"""Jobs of one call that run one after another."""

import pytest

from postlude.model.job import Hold
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Snoozed
from postlude.model.state import Reason, State, Stored
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

ENDS = {
    "succeeded": SUCCEEDED,
    "failed": Failed("E", "E"),
    "retrying": Failed("E", "E", retry_at=1 << 60),
    "parked": Parked(Reason.UNKNOWN_TASK, "r1"),
    "snoozed": Snoozed(1 << 60),
    "cancelled": Cancelled(Reason.EXPIRED),
}


class OrderCases(Cases):
    def test_a_follower_is_blocked_and_shown_as_queued(self, driver: Driver) -> None:
        first, second = driver.new(), driver.new(follows=True)
        driver.add(first, second)
        assert (driver.record(second).stored, driver.state(second)) == (Stored.BLOCKED, State.QUEUED)
        assert driver.claim_one(driver.enlist()).id == first.id

    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
    def test_however_the_first_attempt_ends_the_follower_is_ready(self, driver: Driver, end: Outcome) -> None:
        runner, first, second = driver.enlist(), driver.new(), driver.new(follows=True)
        driver.add(first, second)
        driver.finish(driver.claim_one(runner), end)
        assert driver.claim_one(runner).id == second.id

    def test_a_chain_runs_link_by_link(self, driver: Driver) -> None:
        runner = driver.enlist()
        chain = [driver.new(), driver.new(follows=True), driver.new(follows=True)]
        driver.add(*chain)
        for job in chain:
            claim = driver.claim_one(runner)
            assert claim.id == job.id
            driver.finish(claim)
        assert driver.claim(runner) == []

    def test_followers_wait_for_the_job_before_them_only(self, driver: Driver) -> None:
        runner = driver.enlist()
        jobs = [driver.new(), driver.new(follows=True), driver.new(), driver.new(follows=True)]
        driver.add(*jobs)
        claims = driver.claim(runner)
        assert [claim.id for claim in claims] == [jobs[0].id, jobs[2].id]
        driver.finish(claims[1])
        assert driver.claim_one(runner).id == jobs[3].id

    def test_the_first_job_of_a_call_follows_nobody(self, driver: Driver) -> None:
        earlier, job = driver.new(), driver.new(follows=True)
        driver.add(earlier)
        driver.add(job)
        assert [claim.id for claim in driver.claim(driver.enlist())] == [earlier.id, job.id]

    def test_who_follows_a_job_that_joined_another_waits_for_nobody(self, driver: Driver) -> None:
        driver.add(driver.new(key="k", after=60))
        joined, follower = driver.new(key="k"), driver.new(follows=True, after=15)
        driver.add(joined, follower)
        assert driver.lie(follower) == [(Stored.READY, None)]

    def test_also_not_for_those_before_it(self, driver: Driver) -> None:
        driver.add(driver.new(key="k", after=60))
        first, joined, follower = driver.new(), driver.new(key="k"), driver.new(follows=True, after=15)
        driver.add(first, joined, follower)
        assert driver.lie(follower) == [(Stored.READY, None)]

    def test_who_follows_a_follower_that_joined_another_waits_for_the_one_before(
        self, driver: Driver
    ) -> None:
        driver.add(driver.new(key="k", after=60))
        first, joined, last = driver.new(), driver.new(key="k", follows=True), driver.new(follows=True)
        driver.add(first, joined, last)
        assert driver.lie(last) == [(Stored.BLOCKED, None)]
        driver.finish(driver.claim_one(driver.enlist()))
        assert driver.lie(last) == [(Stored.READY, None)]

    def test_a_follower_waits_no_longer_than_its_due_time(self, driver: Driver) -> None:
        runner, first, second = driver.enlist(), driver.new(), driver.new(follows=True, after=15)
        driver.add(first, second)
        claim = driver.claim_one(runner)
        driver.clock.advance(14)
        assert driver.promote() == 0
        driver.clock.advance(1)
        assert driver.promote() == 1
        assert driver.claim_one(runner).id == second.id
        assert driver.finish(claim)
        assert driver.state(second) is State.RUNNING

    def test_a_follower_need_not_wait_for_its_due_time(self, driver: Driver) -> None:
        runner, first, second = driver.enlist(), driver.new(), driver.new(follows=True, after=15)
        driver.add(first, second)
        driver.finish(driver.claim_one(runner))
        assert driver.claim_one(runner).id == second.id

    def test_a_claim_given_back_ends_no_attempt(self, driver: Driver) -> None:
        runner, first, second = driver.enlist(), driver.new(), driver.new(follows=True)
        driver.add(first, second)
        claim = driver.claim_one(runner)
        driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)
        assert driver.claim_one(runner).id == first.id

    def test_cancelling_the_one_before_frees_the_follower(self, driver: Driver) -> None:
        first, second = driver.new(), driver.new(follows=True)
        driver.add(first, second)
        driver.store.cancel([first.id]).wait(PATIENCE)
        assert driver.claim_one(driver.enlist()).id == second.id

    @pytest.mark.parametrize("gone", [[1], [1, 2], [2, 1], [2]])
    def test_cancelling_one_in_the_middle_frees_nobody(self, driver: Driver, gone: list[int]) -> None:
        runner = driver.enlist()
        jobs = [driver.new(), *(driver.new(follows=True, after=15) for _ in range(3))]
        driver.add(*jobs)
        claims = driver.claim(runner, 1)
        assert [claim.id for claim in claims] == [jobs[0].id]
        for place in gone:
            driver.store.cancel([jobs[place].id]).wait(PATIENCE)
        assert driver.claim(runner) == []
        left = [job.id for place, job in enumerate(jobs) if place not in gone]
        for id in left[1:]:
            driver.finish(claims[0])
            claims = driver.claim(runner)
            assert [claim.id for claim in claims] == [id]
        driver.finish(claims[0])

    def test_nor_while_the_first_waits(self, driver: Driver) -> None:
        runner, first, second, last = driver.enlist(), driver.new(), *(driver.new(follows=True) for _ in "ab")
        driver.add(first, second, last)
        driver.store.cancel([second.id]).wait(PATIENCE)
        driver.finish(driver.claim_one(runner))
        assert driver.claim_one(runner).id == last.id

    def test_who_follows_a_held_job_that_is_cancelled_is_free(self, driver: Driver) -> None:
        runner, first, held = driver.enlist(), driver.new(), driver.new(held=True, after=15)
        last = driver.new(follows=True, after=30)
        driver.add(first, held, last)
        driver.store.cancel([held.id]).wait(PATIENCE)
        assert {claim.id for claim in driver.claim(runner)} == {first.id, last.id}

    def test_a_predecessor_that_died_for_good_frees_the_follower(self, driver: Driver) -> None:
        runner, first, second = driver.enlist(), driver.new(once=True), driver.new(follows=True)
        driver.add(first, second)
        driver.claim(runner)
        driver.die(runner)
        driver.reap()
        assert driver.claim_one(driver.enlist()).id == second.id

    def test_a_cancelled_follower_stays_cancelled(self, driver: Driver) -> None:
        runner, first, second = driver.enlist(), driver.new(), driver.new(follows=True)
        driver.add(first, second)
        driver.store.cancel([second.id]).wait(PATIENCE)
        driver.finish(driver.claim_one(runner))
        assert driver.state(second) is State.CANCELLED

    def test_an_end_that_does_not_count_frees_nobody(self, driver: Driver) -> None:
        stale, runner = driver.enlist(), driver.enlist()
        first, second = driver.new(), driver.new(follows=True)
        driver.add(first, second)
        lost = driver.claim_one(stale)
        driver.store.release(stale.runner, [Hold(lost.seq, lost.fence)]).wait(PATIENCE)
        held = driver.claim_one(runner)
        assert driver.finish(lost) is False
        assert driver.claim(runner) == []
        assert driver.finish(held) is True
        assert driver.claim_one(runner).id == second.id

    def test_a_held_job_waits_until_it_is_freed(self, driver: Driver) -> None:
        runner = driver.enlist()
        first, held, last = driver.new(), driver.new(held=True, after=15), driver.new(follows=True, after=30)
        added = driver.add(first, held, last)
        driver.finish(driver.claim_one(runner))
        assert driver.claim(runner) == []
        assert driver.state(held) is State.QUEUED
        assert driver.store.free([added[1].seq]).wait(PATIENCE) == 1
        claim = driver.claim_one(runner)
        assert claim.id == held.id
        driver.finish(claim)
        assert driver.claim_one(runner).id == last.id
        assert driver.store.free([added[1].seq, added[0].seq]).wait(PATIENCE) == 0

    def test_or_until_its_due_time(self, driver: Driver) -> None:
        runner, held = driver.enlist(), driver.new(held=True, after=15)
        driver.add(held)
        driver.clock.advance(15)
        assert driver.promote() == 1
        assert driver.claim_one(runner).id == held.id

    def test_held_jobs_are_born_claimed_by_who_lets_them_wait(self, driver: Driver) -> None:
        runner = driver.enlist()
        added = driver.add(
            driver.new(),
            driver.new(held=True, after=15),
            driver.new(follows=True, after=30),
            claim_for=runner,
        )
        assert all(one.fence > 0 for one in added)
        assert driver.store.free([one.seq for one in added]).wait(PATIENCE) == 0

    def test_a_held_job_can_be_cancelled_and_its_process_may_die(self, driver: Driver) -> None:
        runner, held, other = (
            driver.enlist(),
            driver.new(held=True, after=15),
            driver.new(held=True, after=15),
        )
        (cancelled, _) = driver.add(held, other)
        driver.store.cancel([held.id]).wait(PATIENCE)
        assert driver.store.free([cancelled.seq]).wait(PATIENCE) == 0
        driver.die(runner)
        driver.reap()
        driver.clock.advance(15)
        driver.promote()
        assert driver.claim_one(driver.enlist()).id == other.id

    def test_what_one_queue_does_not_use_of_its_share_goes_to_the_others(self, driver: Driver) -> None:
        driver.add(*(driver.new(queue="long") for _ in range(5)), driver.new(queue="short"))
        assert len(driver.claim(driver.enlist(), 4)) == 4
