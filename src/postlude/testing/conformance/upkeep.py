"""What must be done from time to time: what is due, what is parked, what is kept."""

from postlude.clock import SECOND
from postlude.config import Keep
from postlude.model.job import JobFilter, NewJob
from postlude.model.outcome import SUCCEEDED, Outcome, Parked
from postlude.model.state import Reason, State
from postlude.stores.protocol import Promoted
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


def park(driver: Driver, task: str, release: str) -> NewJob:
    """Add a job and park it at once."""
    job = driver.new(task)
    driver.add(job)
    runner = driver.enlist()
    assert driver.finish(driver.claim_one(runner), Parked(Reason.UNKNOWN_TASK, release))
    return job


def ended(driver: Driver, outcome: Outcome = SUCCEEDED) -> NewJob:
    """Add a job and end it at once."""
    job = driver.new()
    driver.add(job)
    assert driver.finish(driver.claim_one(driver.enlist()), outcome)
    return job


class UpkeepCases(Cases):
    def test_nothing_is_due_in_an_empty_store(self, driver: Driver) -> None:
        assert driver.store.promote().wait(PATIENCE) == Promoted(0, None)

    def test_a_job_is_not_ready_before_it_is_due(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new(after=10)
        driver.add(job)
        assert driver.store.promote().wait(PATIENCE) == Promoted(0, job.terms.due)
        assert driver.claim(runner) == []
        driver.clock.advance(10)
        assert driver.store.promote().wait(PATIENCE) == Promoted(1, None)
        assert driver.claim_one(runner).id == job.id

    def test_next_due_is_the_soonest_that_is_left(self, driver: Driver) -> None:
        late, soon, middle = (driver.new(after=seconds) for seconds in (30, 10, 20))
        driver.add(late, soon, middle)
        driver.clock.advance(15)
        assert driver.store.promote().wait(PATIENCE) == Promoted(1, middle.terms.due)

    def test_a_cancelled_job_is_never_due(self, driver: Driver) -> None:
        job = driver.new(after=10)
        driver.add(job)
        driver.store.cancel([job.id]).wait(PATIENCE)
        assert driver.store.promote().wait(PATIENCE) == Promoted(0, None)

    def test_what_was_due_in_the_past_can_be_claimed(self, driver: Driver) -> None:
        job = driver.new(after=-10)
        driver.add(job)
        driver.promote()
        assert driver.claim_one(driver.enlist()).id == job.id

    def test_a_promoted_job_keeps_its_priority(self, driver: Driver) -> None:
        plain, urgent = driver.new(), driver.new(after=1, priority=-1)
        driver.add(plain, urgent)
        driver.clock.advance(1)
        driver.promote()
        assert [claim.id for claim in driver.claim(driver.enlist())] == [urgent.id, plain.id]

    def test_parked_pairs_are_distinct(self, driver: Driver) -> None:
        assert driver.store.parked().wait(PATIENCE) == []
        for task, release in (("a", "r1"), ("a", "r1"), ("a", "r2"), ("b", "r1")):
            park(driver, task, release)
        pairs = driver.store.parked().wait(PATIENCE)
        assert sorted(pairs) == [("a", "r1"), ("a", "r2"), ("b", "r1")]

    def test_unpark_readies_these_pairs_only(self, driver: Driver) -> None:
        old, new, other = park(driver, "a", "r1"), park(driver, "a", "r2"), park(driver, "b", "r1")
        assert driver.store.unpark([("a", "r1"), ("c", "r1")]).wait(PATIENCE) == 1
        assert driver.states(old, new, other) == [State.QUEUED, State.PARKED, State.PARKED]
        assert driver.record(old).reason is None
        assert driver.claim_one(driver.enlist()).id == old.id
        assert sorted(driver.store.parked().wait(PATIENCE)) == [("a", "r2"), ("b", "r1")]

    def test_suspects_stay_parked_for_who_cannot_run_one(self, driver: Driver) -> None:
        suspect = driver.new("a")
        driver.add(suspect)
        driver.die_in(suspect)
        driver.finish(driver.claim_one(driver.enlist(), suspect=True), Parked(Reason.UNKNOWN_TASK, "r1"))
        other = park(driver, "a", "r1")
        assert driver.store.unpark([("a", "r1")], suspects=False).wait(PATIENCE) == 1
        assert driver.states(suspect, other) == [State.PARKED, State.QUEUED]
        assert driver.store.unpark([("a", "r1")]).wait(PATIENCE) == 1
        assert driver.states(suspect, other) == [State.QUEUED, State.QUEUED]

    def test_unparked_jobs_can_be_parked_again(self, driver: Driver) -> None:
        job = park(driver, "a", "r1")
        driver.store.unpark([("a", "r1")]).wait(PATIENCE)
        driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.UNKNOWN_TASK, "r2"))
        assert driver.store.parked().wait(PATIENCE) == [("a", "r2")]
        assert driver.store.unpark([("a", "r1")]).wait(PATIENCE) == 0
        assert driver.state(job) is State.PARKED

    def test_the_sentence_why_stays_while_it_is_parked(self, driver: Driver) -> None:
        driver.add(job := driver.new())
        runner = driver.enlist()
        driver.finish(driver.claim_one(runner), Parked(Reason.UNKNOWN_TASK, "r1", "app:task is unknown"))
        assert driver.record(job).note == "app:task is unknown"
        assert [record.note for record in driver.store.page(JobFilter()).wait(PATIENCE)] == [
            "app:task is unknown"
        ]
        driver.store.unpark([("app:task", "r1")]).wait(PATIENCE)
        assert driver.record(job).note is None
        driver.finish(driver.claim_one(runner), Parked(Reason.INVALID_ARGUMENTS, "r2", "n is missing"))
        assert driver.record(job).note == "n is missing"
        driver.cancel(job)
        assert driver.record(job).note is None
        driver.retry(job)
        driver.finish(driver.claim_one(runner), Parked(Reason.INVALID_ARGUMENTS, "r3"))
        assert driver.record(job).note is None

    def test_the_sentence_why_survives_reopening(self, driver: Driver) -> None:
        driver.add(job := driver.new())
        driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.UNKNOWN_TASK, "r1", "unknown"))
        driver.reopen()
        assert driver.record(job).note == "unknown"

    def test_cancelled_jobs_are_not_parked(self, driver: Driver) -> None:
        job = park(driver, "a", "r1")
        driver.store.cancel([job.id]).wait(PATIENCE)
        assert driver.store.parked().wait(PATIENCE) == []
        assert driver.store.unpark([("a", "r1")]).wait(PATIENCE) == 0
        assert driver.state(job) is State.CANCELLED

    def test_prune_by_age(self, driver: Driver) -> None:
        old = ended(driver)
        driver.clock.advance(100)
        young = ended(driver)
        assert driver.store.prune(Keep(success_seconds=50)).wait(PATIENCE) == 1
        assert driver.store.get(old.id).wait(PATIENCE) is None
        assert driver.state(young) is State.SUCCEEDED

    def test_prune_by_number_deletes_the_oldest(self, driver: Driver) -> None:
        jobs = [ended(driver) for _ in range(5)]
        assert driver.store.prune(Keep(successes=2)).wait(PATIENCE) == 3
        assert [driver.store.get(job.id).wait(PATIENCE) is None for job in jobs] == [True] * 3 + [False] * 2

    def test_failures_have_bounds_of_their_own(self, driver: Driver) -> None:
        cancelled = driver.new(after=1)
        driver.add(cancelled)
        driver.store.cancel([cancelled.id]).wait(PATIENCE)
        failed, good = ended(driver, driver.failed()), ended(driver)
        driver.clock.advance(100)
        assert driver.store.prune(Keep(success_seconds=50)).wait(PATIENCE) == 1
        assert driver.states(failed, cancelled) == [State.FAILED, State.CANCELLED]
        assert driver.store.prune(Keep(failure_seconds=50)).wait(PATIENCE) == 2
        for job in (failed, good, cancelled):
            assert driver.store.get(job.id).wait(PATIENCE) is None

    def test_failures_are_pruned_by_number(self, driver: Driver) -> None:
        jobs = [ended(driver, driver.failed()) for _ in range(3)]
        assert driver.store.prune(Keep(failures=1)).wait(PATIENCE) == 2
        assert driver.state(jobs[2]) is State.FAILED

    def test_unfinished_jobs_are_never_pruned(self, driver: Driver) -> None:
        waiting, running = driver.new(after=10), driver.new()
        driver.add(running, waiting)
        driver.claim(driver.enlist())
        parked = park(driver, "a", "r1")
        driver.clock.advance(1_000)
        assert driver.store.prune(Keep(0, 0, 0, 0)).wait(PATIENCE) == 0
        assert driver.states(waiting, running, parked) == [State.QUEUED, State.RUNNING, State.PARKED]

    def test_prune_is_bounded_and_goes_on(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(*[driver.new() for _ in range(1_200)])
        ends = [driver.finish_of(claim) for claim in driver.claim(runner, 1_200)]
        assert all(driver.store.finish(ends).wait(PATIENCE))
        driver.clock.advance(2)
        keep, deleted = Keep(success_seconds=1), []
        while number := driver.store.prune(keep).wait(PATIENCE):
            deleted.append(number)
        assert sum(deleted) == 1_200
        assert max(deleted) <= 500

    def test_a_pruned_job_leaves_the_counts_and_cannot_be_finished(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        claim = driver.claim_one(runner)
        driver.finish(claim)
        driver.clock.advance(2)
        driver.store.prune(Keep(success_seconds=1)).wait(PATIENCE)
        assert driver.store.counts().wait(PATIENCE) == []
        assert driver.finish(claim) is False

    def test_exactly_old_enough_is_kept(self, driver: Driver) -> None:
        job = ended(driver)
        driver.clock.advance(50)
        assert driver.store.prune(Keep(success_seconds=50)).wait(PATIENCE) == 0
        assert driver.record(job).finished == driver.clock.now() - 50 * SECOND
