"""A call that replaces the queued job that has its key."""

from dataclasses import replace

from postlude.clock import SECOND
from postlude.config import Keep
from postlude.model.job import Cancel, NewJob, Progress, ProgressNote
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import LogLine, Parked
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import NOTHING, Conflict
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


def again(
    driver: Driver,
    *,
    after: float | None = None,
    priority: int = 0,
    concurrency_key: str | None = None,
    owner: str | None = None,
) -> NewJob:
    """Return a call that replaces the job with the key `k`."""
    return driver.new(
        key="k",
        conflict=Conflict.REPLACE,
        payload=b'{"a":["new"],"k":{}}',
        after=after,
        priority=priority,
        concurrency_key=concurrency_key,
        owner=owner,
        opts='{"t":2}',
        context='{"c":2}',
    )


class ReplacingCases(Cases):
    def test_it_becomes_what_the_new_call_asks_for(self, driver: Driver) -> None:
        old = driver.new(key="k", payload=b"old", owner="ada", opts='{"t":1}', context='{"c":1}')
        (first,) = driver.add(old)
        new = again(driver, priority=-2, owner="bob")
        assert driver.add(new) == [(first.seq, 0, True)]
        record = driver.record(old)
        assert (record.id, record.seq, record.owner) == (new.id, first.seq, "bob")
        assert (record.payload, record.priority) == (new.payload, -2)
        assert (record.given, record.stored) == (new.terms.given, Stored.READY)
        assert driver.record(new) == replace(record, call_owner="bob")
        claim = driver.claim_one(driver.enlist())
        assert (claim.id, claim.payload, claim.given) == (new.id, new.payload, new.terms.given)

    def test_what_the_new_call_does_not_set_is_gone(self, driver: Driver) -> None:
        old = driver.new(key="k", opts='{"t":1}', context='{"c":1}', priority=5, after=60)
        driver.add(old)
        driver.add(driver.new(key="k", conflict=Conflict.REPLACE))
        record = driver.record(old)
        assert (record.given, record.priority) == (NOTHING, 0)
        assert record.stored is Stored.READY

    def test_its_priority_decides_where_it_is_claimed(self, driver: Driver) -> None:
        old, other = driver.new(key="k", priority=5), driver.new(priority=1)
        driver.add(old, other)
        new = again(driver, priority=0)
        driver.add(new)
        assert [claim.id for claim in driver.claim(driver.enlist())] == [new.id, other.id]

    def test_it_keeps_its_place_among_equals(self, driver: Driver) -> None:
        old, other = driver.new(key="k"), driver.new()
        driver.add(old, other)
        driver.add(new := again(driver))
        assert [claim.id for claim in driver.claim(driver.enlist())] == [new.id, other.id]

    def test_it_has_the_id_of_the_last_call_and_all_others_lead_to_it(self, driver: Driver) -> None:
        """What it returns is the last call's business, and may be nobody else's."""
        first, kept = driver.new(key="k"), driver.new(key="k")
        driver.add(first)
        driver.add(kept)
        calls = [again(driver) for _ in range(3)]
        driver.add(calls[0])
        driver.add(*calls[1:])
        runner = driver.enlist()
        claim = driver.claim_one(runner)
        late = again(driver)
        driver.add(late)
        assert claim.id == calls[2].id
        assert {driver.record(call).id for call in (first, kept, *calls, late)} == {claim.id}
        assert driver.finish(claim)
        driver.reopen()
        assert {driver.record(call).id for call in (first, kept, *calls, late)} == {claim.id}
        driver.clock.advance(10_000_000)
        while driver.store.prune(Keep()).wait(PATIENCE):
            pass
        assert {driver.store.get(call.id).wait(PATIENCE) for call in (first, kept, *calls, late)} == {None}

    def test_of_one_call_the_last_has_the_id(self, driver: Driver) -> None:
        jobs = [driver.new(key="k"), again(driver), driver.new(key="k"), again(driver)]
        driver.add(*jobs)
        assert driver.claim_one(driver.enlist()).id == jobs[3].id
        assert {driver.record(job).id for job in jobs} == {jobs[3].id}

    def test_it_is_cancelled_and_retried_by_any_of_its_ids(self, driver: Driver) -> None:
        old, new = driver.new(key="k"), again(driver)
        driver.add(old)
        driver.add(new)
        for cancelled, retried in ((old, new), (new, old)):
            assert driver.store.cancel([cancelled.id]).wait(PATIENCE) == [Cancel.CANCELLED]
            assert driver.store.retry([retried.id]).wait(PATIENCE) == [True]
        assert driver.claim_one(driver.enlist()).id == new.id

    def test_with_a_delay_it_waits_for_the_last_call(self, driver: Driver) -> None:
        """A debounce: each call within the delay puts the run off."""
        runner, old = driver.enlist(), driver.new(key="k", after=10)
        driver.add(old)
        for _ in range(3):
            driver.clock.advance(6)
            driver.promote()
            assert driver.claim(runner) == []
            driver.add(again(driver, after=10))
        assert driver.record(old).due == driver.clock.now() + 10 * SECOND
        driver.clock.advance(10)
        assert driver.promote() == 1
        assert driver.claim_one(runner).id == driver.record(old).id

    def test_a_ready_job_can_be_put_off(self, driver: Driver) -> None:
        old = driver.new(key="k")
        driver.add(old)
        driver.add(again(driver, after=10))
        assert driver.claim(driver.enlist()) == []
        assert driver.store.promote().wait(5) == (0, driver.after(10))

    def test_a_scheduled_job_can_be_called_at_once(self, driver: Driver) -> None:
        old = driver.new(key="k", after=10)
        driver.add(old)
        driver.add(again(driver))
        assert driver.store.promote().wait(5) == (0, None)
        assert driver.claim_one(driver.enlist()).id == driver.record(old).id
        driver.clock.advance(10)
        assert driver.promote() == 0

    def test_a_running_job_is_kept_as_it_is(self, driver: Driver) -> None:
        old = driver.new(key="k")
        driver.add(old)
        driver.claim_one(driver.enlist())
        before = driver.record(old)
        assert [one.joined for one in driver.add(again(driver))] == [True]
        assert driver.record(old) == before

    def test_a_parked_job_is_kept_as_it_is(self, driver: Driver) -> None:
        old = driver.new(key="k")
        driver.add(old)
        driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.UNKNOWN_TASK, "r1"))
        before = driver.record(old)
        assert [one.joined for one in driver.add(again(driver))] == [True]
        assert driver.record(old) == before

    def test_a_late_end_of_what_was_replaced_since_is_refused(self, driver: Driver) -> None:
        """It ran what was asked for before; the new call has yet to run."""
        runner, old = driver.enlist(), driver.new(key="k")
        driver.add(old)
        lost = driver.claim_one(runner)
        driver.release(runner, lost)
        driver.add(again(driver))
        assert driver.finish(lost) is False
        assert driver.claim_one(runner).id == driver.record(old).id

    def test_two_of_one_call(self, driver: Driver) -> None:
        old, new = driver.new(key="k", payload=b"old", after=60), again(driver)
        driver.add(old, new)
        claim = driver.claim_one(driver.enlist())
        assert (claim.id, claim.payload) == (new.id, new.payload)

    def test_twice_by_one_call(self, driver: Driver) -> None:
        old = driver.new(key="k")
        driver.add(old)
        driver.add(again(driver, after=60), again(driver, priority=-1))
        assert (driver.record(old).stored, driver.record(old).priority) == (Stored.READY, -1)
        assert [(c.state, c.jobs) for c in driver.store.counts().wait(PATIENCE) if c.jobs] == [
            (State.QUEUED, 1)
        ]

    def test_it_counts_its_age_from_the_last_call(self, driver: Driver) -> None:
        """What its task declares of `expires` and `deadline` does."""
        old = driver.new(key="k", after=10)
        driver.add(old)
        for _ in range(2):
            driver.clock.advance(6)
            driver.add(again(driver, after=10))
        last = driver.clock.now()
        assert driver.record(old).created == last
        driver.clock.advance(10)
        driver.promote()
        assert driver.claim_one(driver.enlist()).created == last

    def test_of_two_in_one_call_the_last_says_the_age(self, driver: Driver) -> None:
        old = driver.new(key="k")
        driver.clock.advance(6)
        driver.add(old, again(driver))
        assert driver.record(old).created == driver.clock.now()
        assert driver.claim_one(driver.enlist()).created == driver.clock.now()

    def test_a_retry_that_waits_is_replaced_and_has_all_attempts_before_it(self, driver: Driver) -> None:
        runner, old = driver.enlist(), driver.new(key="k")
        driver.add(old)
        claim = driver.claim_one(runner)
        driver.store.progress([ProgressNote(claim.seq, claim.fence, Progress(1.0, 2.0, "half", 5))])
        line = LogLine(driver.clock.now(), 30, "app", "of the call before")
        end = driver.finish_of(claim, driver.failed(retry_after=60), (line,))
        assert driver.store.finish([end]).wait(PATIENCE) == [True]
        driver.add(again(driver))
        record = driver.record(old)
        assert (record.failures, record.attempts, record.error) == (0, (), None)
        assert (record.logs, record.progress, record.started) == ((), None, None)
        claim = driver.claim_one(runner)
        assert (claim.id, claim.failures) == (driver.record(old).id, 0)
        assert driver.finish(claim, driver.failed(retry_after=60))
        assert [attempt.number for attempt in driver.record(old).attempts] == [1]

    def test_deaths_are_not_forgiven(self, driver: Driver) -> None:
        """Else a job that takes its process with it would do so for ever, if it is called often enough."""
        old = driver.new(key="k")
        driver.add(old)
        driver.die_in(old)
        driver.add(again(driver))
        assert driver.record(old).deaths == 1
        assert driver.claim_one(driver.enlist(), suspect=True).suspect

    def test_a_follower_that_was_replaced_waits_for_nobody(self, driver: Driver) -> None:
        runner, first, old = driver.enlist(), driver.new(), driver.new(key="k", follows=True)
        driver.add(first, old)
        driver.add(again(driver, after=60))
        assert driver.record(old).stored is Stored.SCHEDULED
        assert driver.finish(driver.claim_one(runner))
        assert driver.claim(runner) == []
        assert driver.record(old).stored is Stored.SCHEDULED

    def test_a_follower_that_was_replaced_waits_for_its_lane_alone(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 1))
        runner, busy = driver.enlist(), driver.new(concurrency_key="x")
        driver.add(busy)
        first, old = driver.new("first"), driver.new(key="k", follows=True)
        driver.add(first, old)
        driver.add(again(driver, concurrency_key="x"))
        assert driver.lie(old) == [(Stored.BLOCKED, Reason.LIMIT)]
        held = {claim.id: claim for claim in driver.claim(runner)}
        driver.finish(held[first.id])
        assert driver.lie(old) == [(Stored.BLOCKED, Reason.LIMIT)]
        driver.finish(held[busy.id])
        assert driver.claim_one(runner).id == driver.record(old).id

    def test_a_replaced_job_changes_lanes(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 1))
        old, next_one, full = (
            driver.new(key="k", concurrency_key="x"),
            driver.new(concurrency_key="x"),
            driver.new(concurrency_key="y"),
        )
        driver.add(old, next_one, full)
        assert driver.lie(old, next_one) == [(Stored.READY, None), (Stored.BLOCKED, Reason.LIMIT)]
        driver.add(again(driver, concurrency_key="y"))
        assert driver.lie(old, next_one) == [(Stored.BLOCKED, Reason.LIMIT), (Stored.READY, None)]

    def test_in_its_new_lane_it_counts_once(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 2))
        driver.add(old := driver.new(key="k"))
        driver.add(
            again(driver, concurrency_key="x"),
            other := driver.new(concurrency_key="x"),
            third := driver.new(concurrency_key="x"),
        )
        assert driver.lie(old, other) == [(Stored.READY, None)] * 2
        assert driver.lie(third) == [(Stored.BLOCKED, Reason.LIMIT)]

    def test_a_job_put_off_leaves_its_lane(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 1))
        old, next_one = driver.new(key="k", concurrency_key="x"), driver.new(concurrency_key="x")
        driver.add(old, next_one)
        driver.add(again(driver, after=10, concurrency_key="x"))
        assert driver.lie(old, next_one) == [(Stored.SCHEDULED, None), (Stored.READY, None)]

    def test_counts_follow_what_is_replaced(self, driver: Driver) -> None:
        old = driver.new(key="k", after=10)
        driver.add(old)
        for after in (None, 20, 30, None):
            driver.add(again(driver, after=after))
        assert [(one.state, one.jobs) for one in driver.store.counts().wait(5) if one.jobs] == [
            (State.QUEUED, 1)
        ]

    def test_what_was_replaced_survives_reopening(self, driver: Driver) -> None:
        old, new = driver.new(key="k", after=10), again(driver, after=20)
        driver.add(old)
        driver.add(new)
        before = driver.record(new)
        driver.reopen()
        assert driver.record(old) == driver.record(new) == before
