"""Queues and tasks that are paused: nothing of them is claimed until they are resumed."""

import pytest

from postlude.clock import SECOND
from postlude.model.job import Claimed, JobFilter
from postlude.model.limits import DeclaredLimits
from postlude.model.queues import all_but, only
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import Conflict
from postlude.stores.protocol import Kind, Pause
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

READY = (Stored.READY, None)
PAUSED = (Stored.BLOCKED, Reason.PAUSED)
HELD = (Stored.READY, Reason.PAUSED)


def paused(driver: Driver) -> list[Pause]:
    """Return what is paused, in some order of its own."""
    return sorted(driver.store.paused().wait(PATIENCE))


class PausingCases(Cases):
    def test_nothing_is_paused_at_first(self, driver: Driver) -> None:
        assert paused(driver) == []

    @pytest.mark.parametrize("kind", ["queue", "task"])
    def test_pausing_says_whether_it_changed_anything(self, driver: Driver, kind: str) -> None:
        said = [driver.pause(kind, "x"), driver.pause(kind, "x")]
        assert (said, paused(driver)) == ([True, False], [Pause(kind, "x")])
        said = [driver.resume(kind, "x"), driver.resume(kind, "x")]
        assert (said, paused(driver)) == ([True, False], [])

    def test_all_that_is_paused_is_listed(self, driver: Driver) -> None:
        for kind, name in (("queue", "x"), ("task", "x"), ("queue", "y")):
            driver.pause(kind, name)
        driver.resume("queue", "y")
        assert paused(driver) == [Pause("queue", "x"), Pause("task", "x")]

    def test_jobs_of_a_paused_queue_stay_ready(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new(queue="q")
        driver.add(job)
        driver.pause("queue", "q")
        assert driver.claimed(runner) == Claimed([], False, None)
        assert driver.lie(job) == [HELD]
        driver.resume("queue", "q")
        assert driver.lie(job) == [READY]
        assert driver.claim_one(runner).id == job.id

    def test_a_job_whose_queue_none_of_those_takes_that_run_jobs_is_shown_so(self, driver: Driver) -> None:
        jobs = [driver.new(queue="mail"), driver.new(queue="other"), driver.new(queue="other", after=60)]
        driver.add(*jobs)

        def reasons() -> list[Reason | None]:
            page = driver.store.page(JobFilter()).wait(PATIENCE)
            found = [record.reason for record in reversed(page)]
            one_by_one = [driver.store.get(job.id).wait(PATIENCE) for job in jobs]
            assert [record and record.reason for record in one_by_one] == found
            return found

        driver.enlist(kind=Kind.INLINE)
        driver.enlist(kind=Kind.WORKER, slots=0)
        assert reasons() == [None] * 3, "nobody runs anything by itself"
        worker = driver.enlist(kind=Kind.WORKER, queues=only({"mail"}))
        assert reasons() == [None, Reason.UNSERVED, None]
        driver.pause("queue", "other")
        assert reasons() == [None, Reason.PAUSED, None]
        driver.resume("queue", "other")
        driver.enlist(queues=all_but({"mail"}))
        assert reasons() == [None] * 3
        driver.store.retire(worker.runner, draining=True).wait(PATIENCE)
        assert reasons() == [Reason.UNSERVED, None, None]

    def test_why_they_wait_is_seen_and_not_stored(self, driver: Driver) -> None:
        jobs = [driver.new(queue="q"), driver.new(queue="r"), driver.new(queue="q", after=60)]
        driver.add(*jobs)
        driver.pause("queue", "q")
        driver.pause("task", "q")
        page = driver.store.page(JobFilter()).wait(PATIENCE)
        assert [record.reason for record in reversed(page)] == [Reason.PAUSED, None, None]
        driver.resume("queue", "q")
        page = driver.store.page(JobFilter()).wait(PATIENCE)
        assert [record.reason for record in page] == [None] * 3

    def test_other_queues_go_on(self, driver: Driver) -> None:
        driver.pause("queue", "q")
        driver.add(*[driver.new(queue="q") for _ in range(5)], other := driver.new(queue="r"))
        assert [claim.id for claim in driver.claim(driver.enlist(), 2)] == [other.id]

    def test_jobs_of_a_paused_task_are_blocked_when_a_claim_meets_them(self, driver: Driver) -> None:
        driver.pause("task", "a")
        jobs = [driver.new("a"), driver.new("a", queue="q")]
        driver.add(*jobs, other := driver.new("b"))
        assert driver.lie(*jobs) == [READY] * 2
        runner = driver.enlist()
        assert driver.claim_one(runner).id == other.id
        assert driver.lie(*jobs) == [PAUSED] * 2
        assert driver.states(*jobs) == [State.QUEUED] * 2
        assert [driver.record(job).due for job in jobs] == [None, None]

    def test_resuming_a_task_readies_them_in_their_old_order(self, driver: Driver) -> None:
        driver.pause("task", "a")
        runner, jobs = driver.enlist(), [driver.new("a", priority=p) for p in (1, 0, 0)]
        driver.add(*jobs)
        assert driver.claim(runner) == []
        driver.resume("task", "a")
        assert driver.lie(*jobs) == [READY] * 3
        assert [claim.id for claim in driver.claim(runner)] == [jobs[1].id, jobs[2].id, jobs[0].id]

    def test_resuming_readies_the_jobs_of_this_task_alone(self, driver: Driver) -> None:
        driver.pause("task", "a")
        driver.pause("task", "b")
        runner, jobs = driver.enlist(), [driver.new("a"), driver.new("b")]
        driver.add(*jobs)
        driver.claim(runner)
        driver.resume("task", "b")
        assert driver.claim_one(runner).id == jobs[1].id

    def test_jobs_of_a_paused_task_do_not_hide_others_behind_them(self, driver: Driver) -> None:
        driver.pause("task", "a")
        driver.add(*[driver.new("a") for _ in range(30)], other := driver.new("b"))
        assert driver.claim_one(driver.enlist()).id == other.id

    def test_a_paused_task_is_not_promoted_out_of_its_pause(self, driver: Driver) -> None:
        driver.pause("task", "a")
        runner, job = driver.enlist(), driver.new("a", after=10)
        driver.add(job)
        driver.clock.advance(10)
        assert driver.promote() == 1
        assert driver.claim(runner) == []
        assert driver.lie(job) == [PAUSED]
        assert driver.store.promote().wait(PATIENCE) == (0, None)
        driver.resume("task", "a")
        assert driver.claim_one(runner).id == job.id

    def test_what_runs_goes_on(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new("a", queue="q")
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.pause("task", "a")
        driver.pause("queue", "q")
        assert driver.finish(claim)

    def test_a_retry_waits_for_the_pause_to_end(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new("a")
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.pause("task", "a")
        driver.finish(claim, driver.failed(retry_after=1))
        driver.clock.advance(1)
        driver.promote()
        assert driver.claim(runner) == []
        driver.resume("task", "a")
        assert driver.claim_one(runner).failures == 1

    def test_a_paused_task_uses_up_nothing_of_its_rate(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "a", every=10 * SECOND))
        driver.pause("task", "a")
        runner = driver.enlist()
        driver.add(driver.new("a"))
        driver.claim(runner)
        driver.resume("task", "a")
        assert len(driver.claim(runner)) == 1

    def test_a_paused_task_stays_within_its_lane_afterwards(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "a", 1))
        driver.pause("task", "a")
        runner, jobs = driver.enlist(), [driver.new("a", concurrency_key="x") for _ in range(3)]
        driver.add(*jobs)
        while driver.claim(runner) or PAUSED not in driver.lie(*jobs):
            pass
        driver.resume("task", "a")
        assert driver.lie(*jobs).count(READY) == 1
        assert len(driver.claim(runner)) == 1

    def test_a_blocked_job_can_be_cancelled_and_replaced(self, driver: Driver) -> None:
        driver.pause("task", "a")
        runner, jobs = driver.enlist(), [driver.new("a", key=key) for key in ("k", "l")]
        driver.add(*jobs)
        driver.claim(runner)
        driver.cancel(jobs[0])
        driver.add(driver.new("a", key="l", conflict=Conflict.REPLACE, after=10))
        driver.resume("task", "a")
        assert [record.stored for record in map(driver.record, jobs)] == [Stored.CANCELLED, Stored.SCHEDULED]

    @pytest.mark.parametrize("kind", ["queue", "task"])
    def test_while_anything_is_paused_nothing_is_born_claimed(self, driver: Driver, kind: str) -> None:
        runner = driver.enlist()
        driver.pause(kind, "whatever")
        (added,) = driver.add(job := driver.new(), claim_for=runner)
        assert added.fence == 0
        assert driver.claim_one(runner).id == job.id
        driver.resume(kind, "whatever")
        (added,) = driver.add(driver.new(), claim_for=runner)
        assert added.fence > 0

    def test_suspects_are_paused_too(self, driver: Driver) -> None:
        suspect = driver.new("a", queue="q")
        driver.add(suspect)
        driver.die_in(suspect)
        driver.pause("queue", "q")
        assert driver.claim(driver.enlist(), suspect=True) == []
        driver.pause("task", "a")
        driver.resume("queue", "q")
        assert driver.claim(driver.enlist(), suspect=True) == []
        driver.resume("task", "a")
        assert driver.claim_one(driver.enlist(), suspect=True).id == suspect.id

    def test_a_pause_survives_reopening(self, driver: Driver) -> None:
        driver.pause("queue", "q")
        driver.pause("task", "a")
        jobs = [driver.new("a"), driver.new("b", queue="q")]
        driver.add(*jobs)
        driver.claim(driver.enlist())
        driver.reopen()
        assert paused(driver) == [Pause("queue", "q"), Pause("task", "a")]
        assert driver.claim(driver.enlist()) == []
        assert driver.lie(*jobs) == [PAUSED, HELD]
        driver.resume("queue", "q")
        driver.resume("task", "a")
        assert len(driver.claim(driver.enlist())) == 2
