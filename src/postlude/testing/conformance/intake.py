"""Asking for work: what is stored, what is born claimed, what is cancelled."""

import pytest

from postlude.errors import JobRefused
from postlude.model.job import AttemptRecord, Cancel
from postlude.model.outcome import Parked
from postlude.model.state import Reason, State, Stored
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


class IntakeCases(Cases):
    def test_a_job_is_stored_as_it_was_given(self, driver: Driver) -> None:
        job = driver.new("shop:mail", queue="mail", payload=b'{"a":[1],"k":{}}', priority=-3, owner="ada")
        (added,) = driver.add(job)
        record = driver.record(job)
        assert (record.id, record.seq, record.task, record.queue) == (job.id, added.seq, "shop:mail", "mail")
        assert (record.payload, record.priority, record.owner) == (b'{"a":[1],"k":{}}', -3, "ada")
        assert (record.created, record.due, record.started, record.finished) == (
            job.created,
            None,
            None,
            None,
        )
        assert (record.stored, record.reason, record.attempts) == (Stored.READY, None, ())
        assert (record.fence, record.failures, record.deaths) == (0, 0, 0)

    def test_seq_grows_in_the_order_of_adding(self, driver: Driver) -> None:
        first = driver.add(driver.new(), driver.new())
        second = driver.add(driver.new())
        seqs = [added.seq for added in first + second]
        assert seqs == sorted(set(seqs))

    def test_adding_nothing_is_answered(self, driver: Driver) -> None:
        assert driver.add() == []

    def test_jobs_are_stored_all_or_none(self, driver: Driver) -> None:
        known, other = driver.new(), driver.new()
        driver.add(known)
        with pytest.raises(JobRefused):
            driver.add(other, known)
        assert driver.store.get(other.id).wait(PATIENCE) is None
        assert [claim.id for claim in driver.claim(driver.enlist())] == [known.id]

    def test_the_store_works_on_after_a_refused_add(self, driver: Driver) -> None:
        job, later = driver.new(), driver.new()
        with pytest.raises(JobRefused):
            driver.add(job, job)
        driver.add(later)
        assert driver.state(later) is State.QUEUED

    def test_without_a_runner_jobs_are_queued(self, driver: Driver) -> None:
        (added,) = driver.add(driver.new())
        assert added.fence == 0

    def test_born_claimed(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), [driver.new(), driver.new()]
        added = driver.add(*jobs, claim_for=runner)
        assert all(one.fence > 0 for one in added)
        assert driver.states(*jobs) == [State.RUNNING, State.RUNNING]
        assert driver.claim(runner) == []

    def test_a_job_born_claimed_is_finished_with_its_fence(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        born = driver.new()
        (added,) = driver.add(born, claim_for=runner)
        assert driver.finish(claim._replace(seq=added.seq, fence=added.fence))
        assert driver.states(job, born) == [State.RUNNING, State.SUCCEEDED]

    def test_behind_a_ready_job_nothing_is_born_claimed(self, driver: Driver) -> None:
        runner, waiting, job = driver.enlist(), driver.new(), driver.new()
        driver.add(waiting)
        assert [one.fence for one in driver.add(job, claim_for=runner)] == [0]
        assert [claim.id for claim in driver.claim(runner)] == [waiting.id, job.id]

    def test_what_waits_in_another_queue_is_no_hindrance(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new(queue="slow"))
        (added,) = driver.add(driver.new(), claim_for=runner)
        assert added.fence > 0

    def test_scheduled_and_running_jobs_are_no_hindrance(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        driver.claim(runner)
        driver.add(driver.new(after=60))
        (added,) = driver.add(driver.new(), claim_for=runner)
        assert added.fence > 0

    def test_one_hindered_job_queues_the_whole_call(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new(queue="busy"))
        added = driver.add(driver.new(queue="idle"), driver.new(queue="busy"), claim_for=runner)
        assert [one.fence for one in added] == [0, 0]

    def test_a_delayed_job_is_not_born_claimed(self, driver: Driver) -> None:
        added = driver.add(driver.new(), driver.new(after=60), claim_for=driver.enlist())
        assert [one.fence for one in added] == [0, 0]

    def test_at_most_once_is_not_born_claimed(self, driver: Driver) -> None:
        (added,) = driver.add(driver.new(once=True), claim_for=driver.enlist())
        assert added.fence == 0

    def test_nothing_is_born_claimed_by_a_runner_that_has_gone(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.store.retire(runner.runner, draining=False).wait(PATIENCE)
        (added,) = driver.add(job, claim_for=runner)
        assert (added.fence, driver.state(job)) == (0, State.QUEUED)

    def test_followers_are_born_claimed_too(self, driver: Driver) -> None:
        jobs = [driver.new(), driver.new(follows=True)]
        added = driver.add(*jobs, claim_for=driver.enlist())
        assert all(one.fence > 0 for one in added)

    def test_cancel_what_waits(self, driver: Driver) -> None:
        runner = driver.enlist()
        parked = driver.new()
        driver.add(parked)
        driver.finish(driver.claim_one(runner), Parked(Reason.UNKNOWN_TASK, "r1"))
        jobs = [driver.new(), driver.new(follows=True), driver.new(after=60), parked]
        driver.add(*jobs[:3])
        assert driver.store.cancel([job.id for job in jobs]).wait(PATIENCE) == [Cancel.CANCELLED] * 4
        assert driver.states(*jobs) == [State.CANCELLED] * 4
        assert driver.record(parked).finished == driver.clock.now()
        driver.clock.advance(120)
        assert driver.promote() == 0
        assert driver.claim(runner) == []

    def test_what_has_ended_or_never_was_cannot_be_cancelled(self, driver: Driver) -> None:
        ended, unknown = driver.new(), driver.new()
        driver.add(ended)
        driver.finish(driver.claim_one(driver.enlist()))
        assert driver.store.cancel([ended.id, unknown.id]).wait(PATIENCE) == [Cancel.TOO_LATE] * 2
        assert driver.state(ended) is State.SUCCEEDED

    def test_jobs_survive_reopening(self, driver: Driver) -> None:
        waiting, failed = driver.new(payload=b"{}"), driver.new()
        driver.add(failed)
        driver.finish(driver.claim_one(driver.enlist()), driver.failed())
        driver.add(waiting)
        before = driver.record(waiting), driver.record(failed)
        driver.reopen()
        assert (driver.record(waiting), driver.record(failed)) == before
        assert isinstance(driver.record(failed).attempts[0], AttemptRecord)
        assert [claim.id for claim in driver.claim(driver.enlist())] == [waiting.id]

    def test_closing_twice_does_nothing(self, driver: Driver) -> None:
        driver.store.close()
        driver.store.close()
