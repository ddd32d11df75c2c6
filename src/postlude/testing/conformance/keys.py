"""Keys: of one task and key, one job at a time waits, runs or is parked."""

from collections.abc import Callable

import pytest

from postlude.errors import KeyTaken
from postlude.model.job import Cancel, NewJob
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import Conflict
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


def ready(driver: Driver) -> NewJob:
    job = driver.new(key="k")
    driver.add(job)
    return job


def scheduled(driver: Driver) -> NewJob:
    job = driver.new(key="k", after=60)
    driver.add(job)
    return job


def blocked(driver: Driver) -> NewJob:
    job = driver.new(key="k", follows=True)
    driver.add(driver.new("other"), job)
    return job


def running(driver: Driver) -> NewJob:
    job = ready(driver)
    driver.claim_one(driver.enlist())
    return job


def parked(driver: Driver) -> NewJob:
    job = ready(driver)
    driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.UNKNOWN_TASK, "r1"))
    return job


UNFINISHED: list[Callable[[Driver], NewJob]] = [ready, scheduled, blocked, running, parked]


ENDS = {"succeeded": SUCCEEDED, "failed": Failed("E", "E"), "cancelled": Cancelled(Reason.EXPIRED)}


class KeyCases(Cases):
    @pytest.mark.parametrize("there", UNFINISHED)
    def test_a_job_that_is_there_stands_for_the_new_one(
        self, driver: Driver, there: Callable[[Driver], NewJob]
    ) -> None:
        old, new = there(driver), driver.new(key="k", payload=b'{"a":[2],"k":{}}')
        before = driver.record(old)
        assert before.key == "k"
        (added,) = driver.add(new)
        assert added == (before.seq, 0, True)
        assert driver.record(old) == before
        assert driver.record(new) == before, "the new id resolves to the job that stands for it"

    @pytest.mark.parametrize("there", UNFINISHED)
    def test_raise_refuses(self, driver: Driver, there: Callable[[Driver], NewJob]) -> None:
        old, new = there(driver), driver.new(key="k", conflict=Conflict.RAISE)
        before = driver.record(old)
        with pytest.raises(KeyTaken):
            driver.add(new)
        assert driver.store.get(new.id).wait(PATIENCE) is None
        assert driver.record(old) == before

    @pytest.mark.parametrize("conflict", Conflict)
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
    def test_after_its_end_the_key_is_free(self, driver: Driver, end: Outcome, conflict: Conflict) -> None:
        old, new = ready(driver), driver.new(key="k", conflict=conflict)
        driver.finish(driver.claim_one(driver.enlist()), end)
        (added,) = driver.add(new)
        assert (added.joined, added.seq > driver.record(old).seq) == (False, True)
        assert driver.record(new).id == new.id

    def test_after_cancelling_the_key_is_free(self, driver: Driver) -> None:
        old, new = scheduled(driver), driver.new(key="k")
        driver.cancel(old)
        assert [added.joined for added in driver.add(new)] == [False]

    def test_while_a_retry_waits_the_key_is_taken(self, driver: Driver) -> None:
        old = ready(driver)
        driver.finish(driver.claim_one(driver.enlist()), driver.failed(retry_after=60))
        assert [added.joined for added in driver.add(driver.new(key="k"))] == [True]
        assert driver.record(old).stored is Stored.SCHEDULED

    @pytest.mark.parametrize("conflict", Conflict)
    def test_other_tasks_and_other_keys_are_others(self, driver: Driver, conflict: Conflict) -> None:
        jobs = [driver.new(task, key=key, conflict=conflict) for task in ("a", "b") for key in ("k", "l")]
        assert [added.joined for added in driver.add(*jobs)] == [False] * 4
        assert len(driver.claim(driver.enlist())) == 4

    def test_jobs_without_a_key_meet_nobody(self, driver: Driver) -> None:
        added = driver.add(driver.new(), driver.new(), driver.new(conflict=Conflict.RAISE))
        assert [one.joined for one in added] == [False] * 3

    def test_an_empty_key_is_a_key(self, driver: Driver) -> None:
        driver.add(driver.new(key=""))
        assert [one.joined for one in driver.add(driver.new(key=""))] == [True]

    def test_two_in_one_call_meet(self, driver: Driver) -> None:
        first, second, other = driver.new(key="k"), driver.new(key="k"), driver.new()
        added = driver.add(first, second, other)
        assert [one.joined for one in added] == [False, True, False]
        assert added[1].seq == added[0].seq
        assert driver.record(second).id == first.id
        assert [claim.id for claim in driver.claim(driver.enlist())] == [first.id, other.id]

    def test_two_in_one_call_and_the_second_raises(self, driver: Driver) -> None:
        first, second = driver.new(key="k"), driver.new(key="k", conflict=Conflict.RAISE)
        with pytest.raises(KeyTaken):
            driver.add(first, second)
        assert driver.store.get(first.id).wait(PATIENCE) is None
        assert [one.joined for one in driver.add(driver.new(key="k"))] == [False]

    def test_two_born_claimed_in_one_call_meet(self, driver: Driver) -> None:
        first, second = driver.new(key="k"), driver.new(key="k", conflict=Conflict.REPLACE)
        added = driver.add(first, second, claim_for=driver.enlist())
        assert (added[0].fence > 0, added[1].joined, added[1].fence) == (True, True, 0)
        assert driver.record(second).payload == first.payload

    def test_a_raise_leaves_nothing_of_its_call(self, driver: Driver) -> None:
        old = driver.new(key="k", payload=b"old")
        driver.add(old)
        plain = driver.new()
        replacing = driver.new(key="k", conflict=Conflict.REPLACE, payload=b"new", after=60)
        joining = driver.new(key="k")
        raising = driver.new(key="k", conflict=Conflict.RAISE)
        before = driver.record(old)
        with pytest.raises(KeyTaken):
            driver.add(plain, replacing, joining, raising)
        assert driver.record(old) == before
        for job in (plain, replacing, joining, raising):
            assert driver.store.get(job.id).wait(PATIENCE) is None
        assert driver.claim_one(driver.enlist()).id == old.id

    def test_a_raise_does_not_touch_other_calls_of_its_moment(self, driver: Driver) -> None:
        old, before, raising, after, joining = (
            driver.new(key="k"),
            driver.new(),
            driver.new(key="k", conflict=Conflict.RAISE),
            driver.new(),
            driver.new(key="k"),
        )
        driver.add(old)
        calls = [[before], [raising], [after], [joining]]
        replies = [driver.store.add(call, budget=PATIENCE) for call in calls]
        assert [one.joined for one in replies[0].wait(PATIENCE)] == [False]
        with pytest.raises(KeyTaken):
            replies[1].wait(PATIENCE)
        assert [one.joined for one in replies[2].wait(PATIENCE)] == [False]
        assert [one.joined for one in replies[3].wait(PATIENCE)] == [True]
        found = [claim.id for claim in driver.claim(driver.enlist())]
        assert found == [old.id, before.id, after.id]

    def test_calls_of_one_moment_meet_each_other(self, driver: Driver) -> None:
        jobs = [driver.new(key="k") for _ in range(3)]
        replies = [driver.store.add([job], budget=PATIENCE) for job in jobs]
        (first,), *rest = [reply.wait(PATIENCE) for reply in replies]
        assert [[(one.seq, one.joined) for one in added] for added in rest] == [[(first.seq, True)]] * 2
        assert driver.claim_one(driver.enlist()).id == jobs[0].id

    def test_an_id_that_joined_can_be_cancelled_and_retried(self, driver: Driver) -> None:
        old, new = ready(driver), driver.new(key="k")
        driver.add(new)
        assert driver.cancel(new) == [Cancel.CANCELLED]
        assert driver.states(old, new) == [State.CANCELLED] * 2
        assert driver.retry(new) == [True]
        assert driver.states(old, new) == [State.QUEUED] * 2
        driver.claim_one(driver.enlist())
        assert driver.cancel(new) == [Cancel.ASKED]

    def test_an_id_stays_with_the_job_that_it_joined(self, driver: Driver) -> None:
        old, joined, later = ready(driver), driver.new(key="k"), driver.new(key="k")
        driver.add(joined)
        driver.finish(driver.claim_one(driver.enlist()))
        driver.add(later)
        assert driver.record(joined).id == old.id
        assert driver.record(later).id == later.id

    def test_a_retry_is_refused_while_another_job_has_its_key(self, driver: Driver) -> None:
        failed, other = ready(driver), driver.new()
        driver.finish(driver.claim_one(driver.enlist()), driver.failed())
        driver.add(other)
        driver.cancel(other)
        newer = driver.new(key="k")
        driver.add(newer)
        with pytest.raises(KeyTaken):
            driver.retry(other, failed)
        assert driver.states(failed, other, newer) == [State.FAILED, State.CANCELLED, State.QUEUED]
        driver.cancel(newer)
        assert driver.retry(other, failed) == [True, True]
        assert [one.joined for one in driver.add(driver.new(key="k"))] == [True]

    def test_of_two_ends_with_one_key_one_is_retried(self, driver: Driver) -> None:
        jobs = []
        for _ in range(2):
            jobs.append(ready(driver))
            driver.finish(driver.claim_one(driver.enlist()), driver.failed())
        with pytest.raises(KeyTaken):
            driver.retry(*jobs)
        assert driver.states(*jobs) == [State.FAILED] * 2
        assert driver.retry(jobs[0]) == [True]

    def test_keys_survive_reopening(self, driver: Driver) -> None:
        old, joined = scheduled(driver), driver.new(key="k")
        driver.add(joined)
        driver.reopen()
        assert driver.record(joined).id == old.id
        assert [one.joined for one in driver.add(driver.new(key="k"))] == [True]
