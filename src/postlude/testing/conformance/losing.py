"""Commits that go wrong: every answer is true, and what was asked is done once."""

import pytest

from postlude.model.job import Cancel, Claim, Few, Hold
from postlude.model.state import State, Stored
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

each_way = pytest.mark.parametrize("how", ["stored", "gone", "conflict"])


def lose(driver: Driver, how: str) -> None:
    driver.bench.lose_commit(driver.store, how)


class LosingCases(Cases):
    @each_way
    def test_what_is_added_is_there_once(self, driver: Driver, how: str) -> None:
        runner, jobs = driver.enlist(), [driver.new() for _ in range(3)]
        lose(driver, how)
        added = driver.add(*jobs)
        assert [driver.record(job).seq for job in jobs] == [one.seq for one in added]
        assert sorted(claim.seq for claim in driver.claim(runner)) == sorted(one.seq for one in added)

    @each_way
    def test_what_is_born_claimed_is_held(self, driver: Driver, how: str) -> None:
        runner = driver.enlist()
        lose(driver, how)
        (added,) = driver.add(driver.new(), claim_for=runner)
        assert driver.store.holds(runner.runner).wait(PATIENCE) == [Hold(added.seq, added.fence)]

    @each_way
    def test_a_call_whose_key_is_taken_joins_the_job_that_has_it(self, driver: Driver, how: str) -> None:
        first, second = driver.new(key="k"), driver.new(key="k")
        driver.add(first)
        lose(driver, how)
        (added,) = driver.add(second)
        assert added.joined
        assert driver.record(second).id == first.id

    @each_way
    def test_a_claim_is_one(self, driver: Driver, how: str) -> None:
        runner = driver.enlist()
        driver.add(driver.new(), driver.new())
        lose(driver, how)
        claims = driver.claim(runner)
        assert len(claims) == 2
        holds = driver.store.holds(runner.runner).wait(PATIENCE)
        assert sorted(holds) == sorted(Hold(claim.seq, claim.fence) for claim in claims)
        assert [claim.fence for claim in claims] == [1, 1]

    @each_way
    @pytest.mark.parametrize("retry", [None, 9.0])
    def test_an_end_is_written_once(self, driver: Driver, how: str, retry: float | None) -> None:
        job = driver.new()
        driver.add(job)
        claim = driver.claim_one(driver.enlist())
        lose(driver, how)
        assert driver.finish(claim, driver.failed(retry_after=retry)) is True
        record = driver.record(job)
        assert (record.failures, len(record.attempts)) == (1, 1)
        assert driver.finish(claim) is False

    @each_way
    def test_what_follows_a_success_starts(self, driver: Driver, how: str) -> None:
        first, second = driver.new(), driver.new(follows=True)
        driver.add(first, second)
        runner = driver.enlist()
        claim: Claim = driver.claim_one(runner)
        lose(driver, how)
        assert driver.finish(claim) is True
        assert driver.claim_one(runner).id == second.id

    @each_way
    def test_few_are_taken_of_tasks_of_which_only_few_are(self, driver: Driver, how: str) -> None:
        driver.add(*(driver.new("app:full") for _ in range(3)))
        runner = driver.enlist()
        lose(driver, how)
        claimed = driver.claimed(runner, few=[Few({"app:full"}, 1)])
        assert len(claimed.claims) == 1
        assert claimed.passed == (0,)

    @each_way
    def test_a_release_is_one(self, driver: Driver, how: str) -> None:
        driver.add(driver.new())
        runner = driver.enlist()
        claim = driver.claim_one(runner)
        lose(driver, how)
        assert driver.release(runner, claim) == 1
        assert driver.release(runner, claim) == 0

    @each_way
    def test_who_cancels_or_retries_is_told_what_that_has_done(self, driver: Driver, how: str) -> None:
        job = driver.new()
        driver.add(job)
        lose(driver, how)
        assert driver.cancel(job) == [Cancel.CANCELLED]
        assert driver.state(job) is State.CANCELLED
        lose(driver, how)
        assert driver.retry(job) == [True]
        assert driver.record(job).stored is Stored.READY

    @each_way
    def test_runners_come_and_go_once(self, driver: Driver, how: str) -> None:
        lose(driver, how)
        runner = driver.enlist()
        job = driver.new()
        driver.add(job, claim_for=runner)
        lose(driver, how)
        assert driver.store.retire(runner.runner, draining=True).wait(PATIENCE) == 1
        assert driver.record(job).stored is Stored.READY
        assert driver.store.renew(runner.runner).wait(PATIENCE) is False

    @each_way
    def test_what_can_be_done_twice_may_be(self, driver: Driver, how: str) -> None:
        runner = driver.enlist()
        lose(driver, how)
        assert driver.store.renew(runner.runner).wait(PATIENCE) is True
        lose(driver, how)
        driver.pause("queue", "q")
        assert len(driver.store.paused().wait(PATIENCE)) == 1
