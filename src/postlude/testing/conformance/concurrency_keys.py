"""Concurrency keys: of one task and concurrency key, no more jobs than the task's limit are ready or
running."""

from collections import Counter

from postlude.model.job import NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Parked
from postlude.model.state import Reason, State, Stored
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

READY = (Stored.READY, None)
RUNNING = (Stored.RUNNING, None)
BLOCKED = (Stored.BLOCKED, Reason.LIMIT)


def limit(driver: Driver, concurrent: int, *tasks: str) -> None:
    """Declare a limit of these tasks, or of the suite's usual one."""
    driver.declare(*[DeclaredLimits("task", task, concurrent) for task in tasks or ("app:task",)])


def concurrency_key(driver: Driver, count: int, name: str = "x") -> list[NewJob]:
    """Add jobs of one concurrency key."""
    jobs = [driver.new(concurrency_key=name) for _ in range(count)]
    driver.add(*jobs)
    return jobs


class ConcurrencyCases(Cases):
    def test_beyond_the_limit_jobs_are_blocked(self, driver: Driver) -> None:
        limit(driver, 2)
        jobs = concurrency_key(driver, 4)
        assert driver.lie(*jobs) == [READY, READY, BLOCKED, BLOCKED]
        assert [driver.record(job).due for job in jobs] == [None] * 4
        assert driver.states(*jobs) == [State.QUEUED] * 4

    def test_running_jobs_count(self, driver: Driver) -> None:
        limit(driver, 2)
        runner, first = driver.enlist(), concurrency_key(driver, 2)
        assert len(driver.claim(runner)) == 2
        assert driver.lie(*first, *concurrency_key(driver, 1)) == [RUNNING, RUNNING, BLOCKED]
        assert driver.claim(runner) == []
        assert driver.promote() == 0

    def test_by_priority_and_then_in_order(self, driver: Driver) -> None:
        limit(driver, 1)
        runner = driver.enlist()
        first, low, high, also_high = (driver.new(concurrency_key="x", priority=p) for p in (0, 9, -1, -1))
        driver.add(first, low, high, also_high)
        ran = []
        for _ in range(4):
            claim = driver.claim_one(runner)
            ran.append(claim.id)
            driver.finish(claim)
        assert ran == [first.id, high.id, also_high.id, low.id]

    def test_several_ends_at_once_ready_as_many(self, driver: Driver) -> None:
        limit(driver, 2)
        jobs, runner = concurrency_key(driver, 5), driver.enlist()
        ends = [driver.finish_of(claim) for claim in driver.claim(runner)]
        assert driver.store.finish(ends).wait(PATIENCE) == [True, True]
        assert driver.lie(*jobs[2:]) == [READY, READY, BLOCKED]

    def test_lanes_do_not_know_each_other(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = [job for name in ("x", "y", "") for job in concurrency_key(driver, 2, name)]
        assert driver.lie(*jobs) == [READY, BLOCKED] * 3
        claim = next(one for one in driver.claim(driver.enlist()) if one.id == jobs[2].id)
        driver.finish(claim)
        assert driver.lie(jobs[1], jobs[3], jobs[5]) == [BLOCKED, READY, BLOCKED]

    def test_a_lane_is_one_over_all_queues(self, driver: Driver) -> None:
        limit(driver, 1)
        jobs = [driver.new(concurrency_key="x", queue=queue) for queue in ("q", "r")]
        driver.add(*jobs)
        assert driver.lie(*jobs) == [READY, BLOCKED]
        driver.finish(driver.claim_one(driver.enlist()))
        assert driver.lie(jobs[1]) == [READY]

    def test_tasks_do_not_know_each_other(self, driver: Driver) -> None:
        limit(driver, 1, "a", "b")
        jobs = [driver.new(task, concurrency_key="x") for task in ("a", "a", "b", "b")]
        driver.add(*jobs)
        assert driver.lie(*jobs) == [READY, BLOCKED, READY, BLOCKED]

    def test_without_a_limit_a_lane_means_nothing(self, driver: Driver) -> None:
        limit(driver, 1, "other")
        assert driver.lie(*concurrency_key(driver, 3)) == [READY] * 3

    def test_without_a_lane_a_job_is_not_limited(self, driver: Driver) -> None:
        limit(driver, 1)
        concurrency_key(driver, 1)
        job = driver.new()
        driver.add(job)
        assert driver.lie(job) == [READY]

    def test_jobs_of_a_lane_are_never_born_claimed(self, driver: Driver) -> None:
        (added,) = driver.add(driver.new(concurrency_key="x"), claim_for=driver.enlist())
        assert added.fence == 0

    def test_what_is_due_waits_for_its_lane(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, busy, later = (
            driver.enlist(),
            driver.new(concurrency_key="x"),
            driver.new(concurrency_key="x", after=10),
        )
        driver.add(busy, later)
        claim = driver.claim_one(runner)
        driver.clock.advance(10)
        assert driver.store.promote().wait(PATIENCE).next_due is None
        assert driver.lie(later) == [BLOCKED]
        assert driver.store.promote().wait(PATIENCE) == (0, None)
        driver.finish(claim)
        assert driver.claim_one(runner).id == later.id

    def test_as_many_as_fit_of_what_is_due(self, driver: Driver) -> None:
        limit(driver, 2)
        jobs = [driver.new(concurrency_key="x", after=10) for _ in range(3)]
        driver.add(*jobs)
        driver.clock.advance(10)
        driver.promote()
        assert sorted(driver.lie(*jobs)) == sorted([READY, READY, BLOCKED])

    def test_what_is_unparked_waits_for_its_lane(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, jobs = driver.enlist(), concurrency_key(driver, 2)
        driver.finish(driver.claim_one(runner), Parked(Reason.UNKNOWN_TASK, "r1"))
        driver.store.unpark([("app:task", "r1")]).wait(PATIENCE)
        assert driver.lie(*jobs) == [BLOCKED, READY]
        driver.finish(driver.claim_one(runner))
        assert driver.lie(jobs[0]) == [READY]
        assert driver.store.parked().wait(PATIENCE) == []

    def test_what_is_retried_waits_for_its_lane(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, jobs = driver.enlist(), concurrency_key(driver, 2)
        driver.finish(driver.claim_one(runner), driver.failed())
        assert driver.retry(jobs[0]) == [True]
        assert driver.lie(*jobs) == [BLOCKED, READY]

    def test_a_follower_waits_for_its_lane(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, busy = driver.enlist(), driver.new(concurrency_key="x")
        first, follower = driver.new("other"), driver.new(concurrency_key="x", follows=True)
        driver.add(busy, first, follower)
        assert driver.lie(follower) == [(Stored.BLOCKED, None)]
        held = {claim.id: claim for claim in driver.claim(runner)}
        driver.finish(held[first.id])
        assert driver.lie(follower) == [BLOCKED]
        driver.finish(held[busy.id])
        assert driver.claim_one(runner).id == follower.id

    def test_a_room_in_the_lane_does_not_free_a_follower(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, busy = driver.enlist(), driver.new(concurrency_key="x")
        first, follower = driver.new("other"), driver.new(concurrency_key="x", follows=True)
        driver.add(busy, first, follower)
        held = {claim.id: claim for claim in driver.claim(runner)}
        driver.finish(held[busy.id])
        assert driver.lie(follower) == [(Stored.BLOCKED, None)]

    def test_a_follower_in_its_predecessors_lane_runs_after_it(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, first, follower = (
            driver.enlist(),
            driver.new(concurrency_key="x"),
            driver.new(concurrency_key="x", follows=True),
        )
        driver.add(first, follower)
        driver.finish(driver.claim_one(runner))
        assert driver.claim_one(runner).id == follower.id

    def test_a_lane_and_its_limit_survive_reopening(self, driver: Driver) -> None:
        limit(driver, 1)
        runner, jobs = driver.enlist(), concurrency_key(driver, 3)
        driver.finish(driver.claim_one(runner))
        driver.reopen()
        assert driver.lie(*jobs[1:], *concurrency_key(driver, 1)) == [READY, BLOCKED, BLOCKED]
        driver.finish(driver.claim_one(driver.enlist()))
        assert driver.lie(jobs[2]) == [READY]

    def test_many_lanes_run_out_and_are_never_too_full(self, driver: Driver) -> None:
        limit(driver, 2)
        jobs = {job.id: job for job in (driver.new(concurrency_key=str(n % 3)) for n in range(30))}
        driver.add(*jobs.values())
        runner, ran = driver.enlist(), 0
        while claims := driver.claim(runner, 4):
            at_once = Counter(jobs[claim.id].terms.concurrency_key for claim in claims)
            assert max(at_once.values()) <= 2
            driver.store.finish([driver.finish_of(claim) for claim in claims]).wait(PATIENCE)
            ran += len(claims)
        assert ran == 30
