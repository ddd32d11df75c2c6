"""Numbers with gaps between them: `seq` says who came first, and not who is next."""

import pytest

from postlude.model.job import Hold, JobFilter
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import Conflict
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

READY, BLOCKED, RUNNING = (Stored.READY, None), (Stored.BLOCKED, None), (Stored.RUNNING, None)


class GapCases(Cases):
    def test_jobs_are_claimed_and_shown_in_the_order_in_which_they_came(self, driver: Driver) -> None:
        jobs = [driver.new() for _ in range(4)]
        seqs = []
        for job in jobs:
            seqs += [added.seq for added in driver.add(job)]
            driver.skip_numbers()
        assert seqs == sorted(seqs)
        page = driver.store.page(JobFilter(before=seqs[3], limit=2)).wait(PATIENCE)
        assert [record.id for record in page] == [jobs[2].id, jobs[1].id]
        assert [claim.id for claim in driver.claim(driver.enlist())] == [job.id for job in jobs]

    def test_each_of_a_call_is_found_by_the_number_that_its_caller_got(self, driver: Driver) -> None:
        runner, first = driver.enlist(), driver.new(key="k")
        driver.add(first)
        driver.skip_numbers()
        jobs = [driver.new(), driver.new(key="k"), driver.new(follows=True), driver.new(key="other")]
        added = driver.add(*jobs)
        assert [driver.record(job).seq for job in jobs] == [one.seq for one in added]
        assert added[1].joined
        claims = driver.claim(runner)
        assert {claim.seq for claim in claims} == {added[place].seq for place in (0, 1, 2, 3)}

    def test_a_chain_with_other_numbers_runs_link_by_link(self, driver: Driver) -> None:
        runner = driver.enlist()
        for _ in range(2):
            driver.skip_numbers()
            chain = [driver.new(), driver.new(follows=True), driver.new(follows=True)]
            driver.add(*chain)
            for job in chain:
                claim = driver.claim_one(runner)
                assert claim.id == job.id
                driver.finish(claim)

    @pytest.mark.parametrize("behind", [0, 5])
    def test_a_job_between_two_of_a_chain_is_none_of_it(self, driver: Driver, behind: int) -> None:
        """As where two processes take numbers in turn."""
        runner = driver.enlist()
        first, between, last = jobs = [driver.new() for _ in range(3)]
        held = [added for job in jobs for added in driver.add(job, claim_for=runner)]
        holds = [
            Hold(held[0].seq, held[0].fence),
            Hold(held[2].seq, held[2].fence, driver.after(15), follows=held[0].seq),
        ]
        assert driver.store.release(runner.runner, holds).wait(PATIENCE) == 2
        assert driver.lie(*jobs) == [READY, RUNNING, BLOCKED]
        claims = driver.claimed(runner, behind=behind).claims
        assert [claim.id for claim in claims] == [first.id, last.id][: 1 + bool(behind)]
        assert [claim.followed for claim in claims] == [not behind, False][: 1 + bool(behind)]
        driver.finish(claims[0])
        assert driver.lie(between, last) == [RUNNING, RUNNING if behind else READY]

    def test_the_next_number_is_no_follower(self, driver: Driver) -> None:
        """A job that waits for something else is not freed by the one that has the number before its own."""
        runner = driver.enlist()
        first, second = driver.new(), driver.new(follows=True)
        driver.add(first, second)
        held = driver.new(held=True, after=60)
        driver.add(held)
        claim = driver.claim_one(runner)
        driver.finish(claim)
        driver.finish(driver.claim_one(runner))
        assert driver.lie(first, second, held) == [
            (Stored.SUCCEEDED, None),
            (Stored.SUCCEEDED, None),
            BLOCKED,
        ]

    def test_nor_one_that_was_cancelled_in_between(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.skip_numbers()
        first, middle, last = driver.new(), driver.new(follows=True), driver.new(follows=True, after=15)
        driver.add(first, middle, last)
        driver.cancel(middle)
        assert driver.lie(last) == [BLOCKED]
        driver.finish(driver.claim_one(runner))
        assert (driver.claim_one(runner).id, driver.state(middle)) == (last.id, State.CANCELLED)

    def test_who_is_replaced_follows_nobody(self, driver: Driver) -> None:
        runner = driver.enlist()
        first, second = driver.new(), driver.new(follows=True, key="k")
        driver.add(first, second)
        again = driver.new(key="k", after=60, conflict=Conflict.REPLACE)
        driver.add(again)
        assert driver.lie(again) == [(Stored.SCHEDULED, None)]
        driver.finish(driver.claim_one(runner))
        assert driver.lie(again) == [(Stored.SCHEDULED, None)]
        driver.clock.advance(60)
        assert driver.promote() == 1
        assert driver.claim_one(runner).id == again.id

    def test_who_is_blocked_for_a_reason_follows_nobody(self, driver: Driver) -> None:
        first, second = driver.new("app:other"), driver.new(follows=True)
        driver.add(first, second)
        runner = driver.enlist()
        claim = driver.claim_one(runner)
        driver.pause("task", second.task)
        driver.finish(claim)
        assert driver.claim(runner) == []
        assert driver.lie(second) == [(Stored.BLOCKED, Reason.PAUSED)]
        driver.resume("task", second.task)
        assert driver.claim_one(runner).id == second.id
