"""Jobs that a person runs again."""

from postlude.clock import SECOND
from postlude.model.crash import MAX_DEATHS
from postlude.model.job import NewJob
from postlude.model.outcome import Cancelled
from postlude.model.overrides import UNBOUNDED, Opts
from postlude.model.state import Reason, State, Stored
from postlude.testing.conformance.bench import Cases, Driver


def failed(driver: Driver) -> NewJob:
    """Add a job that fails for good."""
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), driver.failed())
    return job


class RetryingCases(Cases):
    def test_a_failed_job_is_ready_and_keeps_its_attempts(self, driver: Driver) -> None:
        job = failed(driver)
        assert driver.retry(job) == [True]
        record = driver.record(job)
        assert (record.stored, record.reason, record.due, record.finished) == (Stored.READY, None, None, None)
        assert (record.failures, len(record.attempts)) == (1, 1)
        claim = driver.claim_one(driver.enlist())
        assert (claim.id, claim.failures) == (job.id, 1)
        driver.finish(claim, driver.failed())
        assert [attempt.number for attempt in driver.record(job).attempts] == [1, 2]

    def test_a_cancelled_job_is_ready(self, driver: Driver) -> None:
        waited, gave_up = driver.new(after=60), driver.new()
        driver.add(waited, gave_up)
        driver.cancel(waited)
        driver.finish(driver.claim_one(driver.enlist()), Cancelled(Reason.EXPIRED))
        assert driver.retry(waited, gave_up) == [True, True]
        assert driver.lie(waited, gave_up) == [(Stored.READY, None)] * 2
        assert len(driver.claim(driver.enlist())) == 2
        driver.clock.advance(60)
        assert driver.promote() == 0

    def test_a_job_that_was_asked_to_stop_is_not_asked_any_more(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.cancel(job)
        driver.release(runner, claim)
        assert driver.retry(job) == [True]
        assert driver.record(job).cancel_asked is None
        again = driver.claim_one(runner)
        assert driver.asked(runner) == []
        driver.release(runner, again)
        assert driver.state(job) is State.QUEUED

    def test_nothing_else_is_retried(self, driver: Driver) -> None:
        runner = driver.enlist()
        succeeded, running, waiting, unknown = (driver.new() for _ in range(4))
        driver.add(succeeded)
        driver.finish(driver.claim_one(runner))
        driver.add(running)
        driver.claim_one(runner)
        driver.add(waiting)
        driver.add(good := driver.new(after=1))
        driver.cancel(good)
        assert driver.retry(succeeded, running, waiting, unknown, good) == [False] * 4 + [True]
        assert driver.states(succeeded, running, waiting) == [State.SUCCEEDED, State.RUNNING, State.QUEUED]

    def test_it_is_retried_once(self, driver: Driver) -> None:
        job = failed(driver)
        assert driver.retry(job) + driver.retry(job) == [True, False]
        assert len(driver.claim(driver.enlist())) == 1

    def test_a_late_end_of_what_it_was_before_is_refused(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.finish(claim, driver.failed())
        driver.retry(job)
        assert driver.finish(claim) is False
        assert driver.state(job) is State.QUEUED

    def test_its_deaths_are_forgiven(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        for _ in range(MAX_DEATHS):
            driver.die_in(job)
        assert driver.lie(job) == [(Stored.FAILED, Reason.KILLED)]
        assert driver.retry(job) == [True]
        assert (driver.record(job).deaths, driver.record(job).reason) == (0, None)
        driver.die_in(job)
        assert driver.state(job) is State.QUEUED

    def test_at_most_once_may_be_run_again_by_hand(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new(once=True)
        driver.add(job)
        driver.claim_one(runner)
        driver.die(runner)
        driver.reap()
        assert driver.retry(job) == [True]
        assert driver.claim_one(driver.enlist()).once is True

    def test_its_bounds_in_time_are_lifted(self, driver: Driver) -> None:
        now = driver.clock.now()
        bounded = Opts(timeout=5, expires=now + SECOND, deadline=now + 2 * SECOND, attempts=3)
        job = driver.new(opts=bounded.text())
        driver.add(job)
        driver.finish(driver.claim_one(driver.enlist()), Cancelled(Reason.EXPIRED))
        driver.retry(job)
        left = Opts(timeout=5, expires=UNBOUNDED, deadline=UNBOUNDED, attempts=3).text()
        assert driver.record(job).given.opts == left
        assert driver.claim_one(driver.enlist()).given.opts == left

    def test_bounds_in_time_that_its_task_declares_are_lifted_too(self, driver: Driver) -> None:
        """The journal does not know them, so it notes that there are none."""
        job = driver.new()
        driver.add(job)
        driver.cancel(job)
        driver.retry(job)
        assert driver.record(job).given.opts == Opts(expires=UNBOUNDED, deadline=UNBOUNDED).text()

    def test_it_keeps_its_place_and_its_priority(self, driver: Driver) -> None:
        job = failed(driver)
        urgent, plain = driver.new(priority=-1), driver.new()
        driver.add(urgent, plain)
        driver.retry(job)
        found = [claim.id for claim in driver.claim(driver.enlist())]
        assert found == [urgent.id, job.id, plain.id]

    def test_its_first_attempt_has_ended_for_those_that_follow(self, driver: Driver) -> None:
        runner, first, follower = driver.enlist(), driver.new(), driver.new(follows=True)
        driver.add(first, follower)
        driver.cancel(first)
        driver.retry(first)
        assert [claim.id for claim in driver.claim(runner)] == [first.id, follower.id]

    def test_counts_follow(self, driver: Driver) -> None:
        driver.retry(failed(driver))
        found = {one.state: one.jobs for one in driver.store.counts().wait(5) if one.jobs}
        assert found == {State.QUEUED: 1}

    def test_a_retry_survives_reopening(self, driver: Driver) -> None:
        job = failed(driver)
        driver.retry(job)
        driver.reopen()
        assert driver.claim_one(driver.enlist()).id == job.id
