"""Running jobs that are asked to stop."""

from collections.abc import Callable

import pytest

from postlude.clock import SECOND
from postlude.model.job import Cancel, Claim, NewJob
from postlude.model.outcome import Cancelled, Parked, Snoozed
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


def ask(driver: Driver) -> tuple[Enlisted, NewJob, Claim]:
    """Let a job run, and ask it to stop."""
    runner, job = driver.enlist(), driver.new()
    driver.add(job)
    claim = driver.claim_one(runner)
    assert driver.cancel(job) == [Cancel.ASKED]
    return runner, job, claim


def give_back(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.release(runner, claim)


def retire(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.store.retire(runner.runner, draining=True).wait(PATIENCE)


def try_again(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.finish(claim, driver.failed(retry_after=9))


def park(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.finish(claim, Parked(Reason.UNKNOWN_TASK, "r1"))


def stop(driver: Driver, runner: Enlisted, claim: Claim) -> None:
    driver.finish(claim, Cancelled())


WAYS: list[Callable[[Driver, Enlisted, Claim], None]] = [give_back, retire, try_again, park, stop]


class AskingCases(Cases):
    def test_what_runs_is_asked_and_goes_on(self, driver: Driver) -> None:
        _, job, _ = ask(driver)
        record = driver.record(job)
        assert (record.stored, record.cancel_asked) == (Stored.RUNNING, driver.clock.now())

    def test_nobody_is_asked_at_first(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.claim_one(runner)
        assert (driver.record(job).cancel_asked, driver.asked(runner)) == (None, [])

    def test_its_runner_learns_of_it(self, driver: Driver) -> None:
        runner, other, jobs = driver.enlist(), driver.enlist(), [driver.new() for _ in range(4)]
        driver.add(*jobs)
        claims = driver.claim(runner, 3)
        (theirs,) = driver.claim(other)
        driver.cancel(jobs[0], jobs[2], jobs[3])
        assert sorted(driver.asked(runner)) == [claims[0].seq, claims[2].seq]
        assert driver.asked(other) == [theirs.seq]
        driver.finish(claims[0])
        assert driver.asked(runner) == [claims[2].seq]

    def test_it_may_be_asked_again(self, driver: Driver) -> None:
        runner, job, claim = ask(driver)
        assert driver.cancel(job) == [Cancel.ASKED]
        assert driver.asked(runner) == [claim.seq]

    def test_each_job_has_its_own_answer(self, driver: Driver) -> None:
        running, waiting, ended, unknown = (driver.new() for _ in range(4))
        driver.add(ended)
        driver.finish(driver.claim_one(driver.enlist()))
        driver.add(running)
        driver.claim_one(driver.enlist())
        driver.add(waiting)
        assert driver.cancel(running, waiting, ended, unknown) == [
            Cancel.ASKED,
            Cancel.CANCELLED,
            Cancel.TOO_LATE,
            Cancel.TOO_LATE,
        ]

    def test_what_was_cancelled_is_too_late_to_cancel(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        assert driver.cancel(job) + driver.cancel(job) == [Cancel.CANCELLED, Cancel.TOO_LATE]

    def test_given_back_it_is_cancelled(self, driver: Driver) -> None:
        runner, job, claim = ask(driver)
        driver.clock.advance(1)
        driver.release(runner, claim)
        self.is_cancelled(driver, job)
        assert driver.finish(claim) is False

    def test_only_its_present_holder_gives_it_back(self, driver: Driver) -> None:
        _, job, claim = ask(driver)
        assert driver.release(driver.enlist(), claim) == 0
        assert driver.state(job) is State.RUNNING

    def test_when_its_runner_retires_it_is_cancelled(self, driver: Driver) -> None:
        runner, job, _ = ask(driver)
        assert driver.store.retire(runner.runner, draining=True).wait(PATIENCE) == 1
        self.is_cancelled(driver, job)

    def test_when_its_runner_dies_it_is_cancelled(self, driver: Driver) -> None:
        runner, job, claim = ask(driver)
        driver.start(runner, claim)
        driver.die(runner)
        assert driver.reap() == (1, 0, 0), "it is not ready, and it has not failed"
        self.is_cancelled(driver, job)
        assert driver.reap() == (0, 0, 0)

    def test_delivered_at_most_once_it_has_failed_all_the_same(self, driver: Driver) -> None:
        """It would not have been ready again; and that it may have run is worth knowing."""
        runner, job = driver.enlist(), driver.new(once=True)
        driver.add(job)
        driver.claim_one(runner)
        driver.cancel(job)
        driver.die(runner)
        driver.reap()
        assert driver.lie(job) == [(Stored.FAILED, Reason.MAY_HAVE_RUN)]

    def test_others_of_its_runner_are_ready(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), [driver.new(), driver.new()]
        driver.add(*jobs)
        driver.claim(runner)
        driver.cancel(jobs[0])
        driver.store.retire(runner.runner, draining=True).wait(PATIENCE)
        assert driver.states(*jobs) == [State.CANCELLED, State.QUEUED]

    def test_instead_of_another_attempt_it_is_cancelled(self, driver: Driver) -> None:
        _, job, claim = ask(driver)
        assert driver.finish(claim, driver.failed(retry_after=1)) is True
        self.is_cancelled(driver, job)
        record = driver.record(job)
        assert (record.failures, len(record.attempts)) == (1, 1)
        driver.clock.advance(1)
        assert driver.promote() == 0

    def test_instead_of_a_snooze_it_is_cancelled(self, driver: Driver) -> None:
        _, job, claim = ask(driver)
        assert driver.finish(claim, Snoozed(driver.after(1))) is True
        self.is_cancelled(driver, job)
        record = driver.record(job)
        assert (record.failures, record.attempts, record.due) == (0, (), None)

    def test_a_success_is_a_success(self, driver: Driver) -> None:
        _, job, claim = ask(driver)
        assert driver.finish(claim) is True
        assert driver.state(job) is State.SUCCEEDED

    def test_a_failure_for_good_is_a_failure(self, driver: Driver) -> None:
        _, job, claim = ask(driver)
        assert driver.finish(claim, driver.failed()) is True
        assert driver.state(job) is State.FAILED

    def test_its_own_cancellation_is_one(self, driver: Driver) -> None:
        _, job, claim = ask(driver)
        assert driver.finish(claim, Cancelled()) is True
        self.is_cancelled(driver, job)

    @pytest.mark.parametrize("way", WAYS)
    def test_however_it_is_cancelled_what_follows_is_ready(
        self, driver: Driver, way: Callable[[Driver, Enlisted, Claim], None]
    ) -> None:
        runner, first, follower = driver.enlist(), driver.new(), driver.new(follows=True)
        driver.add(first, follower)
        claim = driver.claim_one(runner)
        driver.cancel(first)
        way(driver, runner, claim)
        assert driver.claim_one(driver.enlist()).id == follower.id

    def test_a_question_survives_reopening(self, driver: Driver) -> None:
        runner, job, claim = ask(driver)
        driver.reopen()
        assert driver.record(job).cancel_asked == driver.clock.now()
        driver.clock.advance(3600)
        driver.reap()
        self.is_cancelled(driver, job)
        assert driver.asked(runner) == []
        assert driver.finish(claim) is False

    @staticmethod
    def is_cancelled(driver: Driver, job: NewJob) -> None:
        record = driver.record(job)
        assert (record.stored, record.reason) == (Stored.CANCELLED, None)
        assert record.finished is not None
        assert driver.clock.now() - SECOND <= record.finished <= driver.clock.now()


class CancelledCases(Cases):
    def test_cancelled_without_an_error_records_no_attempt(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        assert driver.finish(driver.claim_one(driver.enlist()), Cancelled(Reason.EXPIRED))
        record = driver.record(job)
        assert (record.stored, record.reason) == (Stored.CANCELLED, Reason.EXPIRED)
        assert (record.attempts, record.finished) == ((), driver.clock.now())

    def test_cancelled_with_an_error_records_one(self, driver: Driver) -> None:
        job, now = driver.new(), driver.clock.now()
        driver.add(job)
        end = Cancelled(Reason.DISCARDED, "Discard: no", "Traceback\nDiscard: no")
        assert driver.finish(driver.claim_one(driver.enlist()), end)
        record = driver.record(job)
        assert (record.stored, record.reason) == (Stored.CANCELLED, Reason.DISCARDED)
        (attempt,) = record.attempts
        assert (attempt.number, attempt.error, attempt.traceback) == (1, end.error, end.traceback)
        assert (attempt.started, attempt.finished) == (now - SECOND, now)

    def test_its_attempt_comes_after_those_that_failed(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.finish(driver.claim_one(runner), driver.failed(retry_after=1))
        driver.clock.advance(1)
        driver.promote()
        driver.finish(driver.claim_one(runner), Cancelled(Reason.DEADLINE, "E: late", "E: late"))
        assert [attempt.number for attempt in driver.record(job).attempts] == [1, 2]

    def test_a_snooze_costs_nothing(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        for _ in range(2):
            assert driver.finish(driver.claim_one(runner), Snoozed(driver.after(10)))
            record = driver.record(job)
            assert (record.stored, record.reason, record.due) == (Stored.SCHEDULED, None, driver.after(10))
            assert (record.failures, record.attempts, record.finished) == (0, (), None)
            assert driver.claim(runner) == []
            driver.clock.advance(10)
            assert driver.promote() == 1
        claim = driver.claim_one(runner)
        assert (claim.failures, driver.finish(claim)) == (0, True)

    def test_a_snooze_whose_time_has_come_is_scheduled_all_the_same(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        driver.finish(driver.claim_one(driver.enlist()), Snoozed(driver.after(-10)))
        assert driver.lie(job) == [(Stored.SCHEDULED, None)]
        assert driver.promote() == 1
