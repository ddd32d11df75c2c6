"""Bounds that are declared: what a release's word changes for jobs that wait."""

from postlude.clock import SECOND
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Parked
from postlude.model.state import Reason, Stored
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver
from postlude.testing.conformance.concurrency_keys import BLOCKED, READY, RUNNING, concurrency_key, limit


class LimitCases(Cases):
    def test_a_raised_limit_readies_what_fits(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = concurrency_key(driver, 5)
        limit(driver, 3)
        assert driver.lie(*jobs) == [READY] * 3 + [BLOCKED] * 2

    def test_a_raised_limit_readies_the_best(self, driver: Driver) -> None:
        limit(driver, 1)
        first, low, high = (driver.new(concurrency_key="x", priority=p) for p in (0, 9, 5))
        driver.add(first, low, high)
        limit(driver, 2)
        assert driver.lie(low, high) == [BLOCKED, READY]

    def test_a_lowered_limit_blocks_the_latest_again(self, driver: Driver) -> None:
        limit(driver, 3)
        jobs = concurrency_key(driver, 4)
        limit(driver, 1)
        assert driver.lie(*jobs) == [READY] + [BLOCKED] * 3
        assert len(driver.claim(driver.enlist())) == 1

    def test_a_lowered_limit_leaves_what_runs(self, driver: Driver) -> None:
        limit(driver, 3)
        runner, jobs = driver.enlist(), concurrency_key(driver, 5)
        claims = driver.claim(runner, 2)
        limit(driver, 1)
        assert driver.lie(*jobs) == [RUNNING] * 2 + [BLOCKED] * 3
        driver.finish(claims[0])
        assert driver.lie(*jobs[1:]) == [RUNNING] + [BLOCKED] * 3
        driver.finish(claims[1])
        assert driver.lie(*jobs[2:]) == [READY] + [BLOCKED] * 2

    def test_what_ran_beyond_a_lowered_limit_may_be_given_back(self, driver: Driver) -> None:
        limit(driver, 2)
        runner, jobs = driver.enlist(), concurrency_key(driver, 3)
        claims = driver.claim(runner)
        limit(driver, 1)
        for claim in claims:
            driver.release(runner, claim)
        assert driver.lie(*jobs) == [READY, READY, BLOCKED]

    def test_a_removed_limit_readies_all(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = concurrency_key(driver, 3) + concurrency_key(driver, 3, "y")
        driver.declare()
        assert driver.lie(*jobs) == [READY] * 6
        assert driver.lie(*concurrency_key(driver, 2)) == [READY] * 2

    def test_a_task_that_becomes_limited_limits_what_is_there(self, driver: Driver) -> None:
        runner = driver.enlist()
        running, parked = driver.new(), driver.new()
        driver.add(parked)
        driver.finish(driver.claim_one(runner), Parked(Reason.UNKNOWN_TASK, "r1"))
        driver.add(running)
        claim = driver.claim_one(runner)
        waiting = [driver.new() for _ in range(3)]
        due, other = driver.new(after=10), driver.new("other")
        driver.add(*waiting, due, other)
        limit(driver, 2)
        assert driver.lie(running, *waiting, other) == [RUNNING, READY, BLOCKED, BLOCKED, READY]
        driver.clock.advance(10)
        driver.promote()
        assert driver.lie(due) == [BLOCKED]
        driver.store.unpark([("app:task", "r1")]).wait(PATIENCE)
        assert driver.lie(parked) == [BLOCKED]
        driver.finish(claim)
        assert driver.lie(parked, *waiting[1:], due) == [READY, BLOCKED, BLOCKED, BLOCKED]

    def test_a_task_that_is_limited_already_gives_no_lanes(self, driver: Driver) -> None:
        limit(driver, 2)
        jobs = [driver.new() for _ in range(3)]
        driver.add(*jobs)
        limit(driver, 1)
        assert driver.lie(*jobs) == [READY] * 3

    def test_those_that_were_there_are_one_lane_beside_others(self, driver: Driver) -> None:
        old = [driver.new(), driver.new()]
        driver.add(*old)
        limit(driver, 1)
        new = concurrency_key(driver, 2) + concurrency_key(driver, 1, "")
        assert driver.lie(*old, *new) == [READY, BLOCKED, READY, BLOCKED, BLOCKED]

    def test_jobs_that_have_a_lane_keep_it_when_their_task_becomes_limited(self, driver: Driver) -> None:
        jobs = concurrency_key(driver, 2) + concurrency_key(driver, 2, "y")
        limit(driver, 1)
        assert driver.lie(*jobs) == [READY, BLOCKED] * 2

    def test_lanes_are_limited_again_after_a_while_without(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = concurrency_key(driver, 2)
        driver.declare()
        limit(driver, 1)
        assert driver.lie(*jobs) == [READY, BLOCKED]

    def test_the_last_declaration_is_all_there_is(self, driver: Driver) -> None:
        limit(driver, 1, "a", "b")
        jobs = [driver.new(task, concurrency_key="x") for task in ("a", "a", "b", "b")]
        driver.add(*jobs)
        limit(driver, 1, "b")
        assert driver.lie(*jobs) == [READY, READY, READY, BLOCKED]

    def test_the_same_declaration_changes_nothing(self, driver: Driver) -> None:
        limit(driver, 2)
        jobs = concurrency_key(driver, 4)
        driver.claim(driver.enlist(), 1)
        before = [driver.record(job) for job in jobs]
        limit(driver, 2)
        assert [driver.record(job) for job in jobs] == before

    def test_a_follower_is_not_readied_by_a_limit_that_goes(self, driver: Driver) -> None:
        limit(driver, 1)
        driver.add(driver.new("first"), follower := driver.new(concurrency_key="x", follows=True))
        driver.declare()
        assert driver.lie(follower) == [(Stored.BLOCKED, None)]

    def test_a_removed_rate_readies_what_waited_for_its_turn(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", every=10 * SECOND))
        jobs = [driver.new(rated=True) for _ in range(3)]
        driver.add(*jobs)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 1
        assert driver.lie(*jobs[1:]) == [(Stored.BLOCKED, Reason.RATE)] * 2
        driver.declare()
        assert driver.lie(*jobs[1:]) == [READY] * 2
        assert [claim.id for claim in driver.claim(runner)] == [job.id for job in jobs[1:]]
        assert driver.store.promote().wait(PATIENCE) == (0, None)

    def test_what_a_removed_rate_readies_waits_for_its_lane(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", concurrent=2, every=10 * SECOND))
        jobs, runner = concurrency_key(driver, 3), driver.enlist()
        assert len(driver.claim(runner)) == 1
        limit(driver, 2)
        driver.claim(runner)
        assert sorted(driver.lie(*jobs)) == sorted([RUNNING, RUNNING, BLOCKED])

    def test_what_was_declared_survives_reopening(self, driver: Driver) -> None:
        limit(driver, 2)
        jobs = concurrency_key(driver, 3)
        driver.reopen()
        assert driver.lie(*jobs) == [READY, READY, BLOCKED]
        limit(driver, 3)
        assert driver.lie(*jobs) == [READY] * 3
