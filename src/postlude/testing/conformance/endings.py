"""How attempts end, and whose ends are written."""

from postlude.clock import SECOND
from postlude.model.job import Hold, Progress, ProgressNote
from postlude.model.outcome import Failed, LogLine, Parked
from postlude.model.state import Reason, State, Stored
from postlude.testing.conformance.bench import LEASE, PATIENCE, Cases, Driver


class EndingCases(Cases):
    def test_a_text_of_a_task_may_have_any_character(self, driver: Driver) -> None:
        """One that a store cannot keep must not keep a job from ending."""
        odd = driver.new()
        driver.add(odd)
        claim = driver.claim_one(driver.enlist())
        note = ProgressNote(claim.seq, claim.fence, Progress(1, None, "half\0way", driver.clock.now()))
        driver.store.progress([note]).wait(PATIENCE)
        line = LogLine(driver.clock.now(), 20, "shop\0", "read \0")
        finish = driver.finish_of(claim, Failed("ValueError: \0", "File \0"), (line,))
        assert driver.store.finish([finish]).wait(PATIENCE) == [True]
        record = driver.record(odd)
        assert record.state is State.FAILED
        assert record.error in ("ValueError: \0", "ValueError: \ufffd")
        assert record.progress is not None
        assert record.progress.message in ("half\0way", "half\ufffdway")

    def test_success(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        assert driver.finish(driver.claim_one(driver.enlist())) is True
        record, now = driver.record(job), driver.clock.now()
        assert (record.state, record.started, record.finished) == (State.SUCCEEDED, now - SECOND, now)
        assert (record.failures, record.reason, record.attempts) == (0, None, ())

    def test_failure_for_good(self, driver: Driver) -> None:
        job, now = driver.new(), driver.clock.now()
        driver.add(job)
        end = Failed("ValueError: no", "Traceback\nValueError: no", None, Reason.DISCARDED)
        assert driver.finish(driver.claim_one(driver.enlist()), end) is True
        record = driver.record(job)
        assert (record.state, record.reason, record.failures) == (State.FAILED, Reason.DISCARDED, 1)
        assert (record.started, record.finished) == (now - SECOND, now)
        (attempt,) = record.attempts
        assert (attempt.number, attempt.error, attempt.traceback) == (1, end.error, end.traceback)
        assert (attempt.started, attempt.finished) == (now - SECOND, now)
        assert attempt.host
        assert attempt.release == "r1"
        assert attempt.pid > 0

    def test_failure_with_another_attempt(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.finish(driver.claim_one(runner), driver.failed(retry_after=5))
        record = driver.record(job)
        assert (record.state, record.failures, record.finished) == (State.QUEUED, 1, None)
        assert record.due == driver.clock.now() + 5 * SECOND
        assert driver.claim(runner) == []
        driver.clock.advance(5)
        assert driver.promote() == 1
        again = driver.claim_one(runner)
        assert (again.id, again.failures, again.payload) == (job.id, 1, job.payload)

    def test_each_failure_is_an_attempt_to_read(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        for _ in range(2):
            driver.finish(driver.claim_one(runner), driver.failed(retry_after=1))
            driver.clock.advance(1)
            driver.promote()
        assert driver.finish(driver.claim_one(runner))
        record = driver.record(job)
        assert (record.state, record.failures) == (State.SUCCEEDED, 2)
        assert [attempt.number for attempt in record.attempts] == [1, 2]

    def test_parked_costs_no_attempt(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        assert driver.finish(driver.claim_one(runner), Parked(Reason.INVALID_ARGUMENTS, "r1"))
        record = driver.record(job)
        assert (record.state, record.reason) == (State.PARKED, Reason.INVALID_ARGUMENTS)
        assert (record.failures, record.attempts, record.finished) == (0, (), None)
        assert driver.claim(runner) == []

    def test_each_finish_of_a_group_has_its_own_answer(self, driver: Driver) -> None:
        runner, good, bad = driver.enlist(), driver.new(), driver.new()
        driver.add(good, bad)
        claims = driver.claim(runner)
        ends = [driver.finish_of(claims[0]), driver.finish_of(claims[1]._replace(fence=99))]
        assert driver.store.finish(ends).wait(PATIENCE) == [True, False]
        assert driver.states(good, bad) == [State.SUCCEEDED, State.RUNNING]

    def test_a_finish_without_a_claim_is_refused(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        (added,) = driver.add(job)
        driver.add(driver.new(queue="other"))
        other = next(claim for claim in driver.claim(runner) if claim.seq != added.seq)
        assert driver.finish(other._replace(seq=other.seq + 1000)) is False

    def test_a_job_that_was_never_claimed_cannot_be_finished(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(driver.new())
        claim = driver.claim_one(runner)
        (added,) = driver.add(job)
        assert driver.finish(claim._replace(seq=added.seq, fence=0)) is False
        assert driver.state(job) is State.QUEUED

    def test_the_same_end_is_written_once(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        claim = driver.claim_one(driver.enlist())
        assert driver.finish(claim, driver.failed(retry_after=60)) is True
        assert driver.finish(claim, driver.failed(retry_after=60)) is False
        assert driver.finish(claim) is False
        assert (driver.state(job), driver.record(job).failures) == (State.QUEUED, 1)

    def test_an_end_written_before_promotion_is_not_written_after_it(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        claim = driver.claim_one(driver.enlist())
        driver.finish(claim, driver.failed(retry_after=60))
        driver.clock.advance(60)
        driver.store.promote().wait(PATIENCE)
        assert driver.finish(claim) is False
        assert driver.state(job) is State.QUEUED

    def test_a_run_whose_job_was_taken_over_cannot_write(self, driver: Driver) -> None:
        stale, job = driver.enlist(), driver.new()
        driver.add(job)
        lost = driver.claim_one(stale)
        driver.clock.advance(LEASE + 1)
        driver.reap()
        fresh = driver.enlist()
        taken = driver.claim_one(fresh)
        assert taken.fence > lost.fence
        assert driver.finish(lost, driver.failed()) is False
        assert driver.state(job) is State.RUNNING
        assert driver.finish(taken) is True
        assert driver.finish(lost, driver.failed()) is False
        assert (driver.state(job), driver.record(job).attempts) == (State.SUCCEEDED, ())

    def test_a_late_end_counts_while_nobody_has_taken_over(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.clock.advance(LEASE + 1)
        driver.reap()
        assert driver.state(job) is State.QUEUED
        assert driver.finish(claim) is True
        assert driver.state(job) is State.SUCCEEDED
        assert driver.claim(driver.enlist()) == []

    def test_a_late_end_of_a_released_job_counts(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)
        assert driver.finish(claim, driver.failed(retry_after=60)) is True
        assert driver.claim(runner) == []
        driver.clock.advance(60)
        assert driver.promote() == 1
        assert driver.claim_one(runner).failures == 1

    def test_a_late_end_that_retries_at_once_leaves_one_job(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)
        assert driver.finish(claim, driver.failed(retry_after=0)) is True
        driver.promote()
        assert [one.id for one in driver.claim(runner)] == [job.id]

    def test_a_late_end_counts_where_the_job_was_blocked_meanwhile(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.release(runner, claim)
        driver.pause("task", "app:task")
        assert driver.claim(runner) == []
        assert driver.lie(job) == [(Stored.BLOCKED, Reason.PAUSED)]
        assert driver.finish(claim) is True
        driver.resume("task", "app:task")
        assert driver.state(job) is State.SUCCEEDED

    def test_a_late_end_of_a_cancelled_job_is_refused(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)
        driver.store.cancel([job.id]).wait(PATIENCE)
        assert driver.finish(claim) is False
        assert driver.state(job) is State.CANCELLED

    def test_an_ended_attempt_is_not_held_any_more(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new(once=True)
        driver.add(job)
        driver.finish(driver.claim_one(runner))
        driver.die(runner)
        assert driver.reap() == (1, 0, 0)
        assert driver.state(job) is State.SUCCEEDED
