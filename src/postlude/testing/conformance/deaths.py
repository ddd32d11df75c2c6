"""Runners that die: who is charged, what runs again, what has failed by it."""

import logging
import os
import socket
from datetime import UTC, datetime

from postlude.clock import SECOND
from postlude.model.crash import MAX_DEATHS
from postlude.model.job import JobFilter
from postlude.model.outcome import Parked
from postlude.model.state import Reason, State, Stored
from postlude.testing.conformance.bench import LEASE, PATIENCE, Cases, Driver


class DeathCases(Cases):
    def test_nobody_is_buried_within_the_lease(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        driver.claim(runner)
        driver.clock.advance(LEASE - 1)
        assert driver.reap() == (0, 0, 0)

    def test_claims_outlive_the_renewal_by_the_lease(self, driver: Driver) -> None:
        runner, job = driver.enlist(lease=2.0), driver.new()
        driver.add(job)
        driver.claim(runner)
        driver.clock.advance(3)
        assert driver.reap() == (1, 1, 0)
        assert driver.state(job) is State.QUEUED

    def test_a_death_is_seen_once(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new(), driver.new())
        driver.claim(runner)
        driver.die(runner)
        assert driver.reap() == (1, 2, 0)
        assert driver.reap() == (0, 0, 0)

    def test_only_the_dead_are_buried(self, driver: Driver) -> None:
        dead, alive, lost, kept = driver.enlist(), driver.enlist(), driver.new(), driver.new()
        driver.add(lost)
        driver.claim(dead)
        driver.add(kept)
        driver.claim(alive)
        driver.die(dead)
        driver.store.renew(alive.runner).wait(PATIENCE)
        assert driver.reap() == (1, 1, 0)
        assert driver.states(lost, kept) == [State.QUEUED, State.RUNNING]

    def test_what_had_not_started_is_innocent(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.claim(runner)
        driver.die(runner)
        driver.reap()
        claim = driver.claim_one(driver.enlist())
        assert (claim.suspect, driver.record(job).deaths) == (False, 0)

    def test_what_had_ended_its_run_is_innocent(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.start(runner, claim)
        runner.marks.ended(claim.seq)
        driver.die(runner)
        driver.reap()
        assert driver.claim_one(driver.enlist()).suspect is False

    def test_a_death_in_one_started_job_is_charged_to_it(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        driver.die_in(job)
        assert (driver.state(job), driver.record(job).deaths) == (State.QUEUED, 1)
        assert driver.claim_one(driver.enlist(), suspect=True).suspect is True

    def test_what_its_death_has_interrupted_says_so_while_it_waits(self, driver: Driver) -> None:
        runner, interrupted, claimed_only = driver.enlist(), driver.new(), driver.new()
        driver.add(interrupted, claimed_only)
        first, _ = driver.claim(runner)
        driver.start(runner, first)
        driver.die(runner)
        driver.reap()
        assert driver.lie(interrupted, claimed_only) == [
            (Stored.READY, Reason.INTERRUPTED),
            (Stored.READY, None),
        ]
        shown = driver.store.page(JobFilter()).wait(PATIENCE)
        assert [record.reason for record in shown] == [None, Reason.INTERRUPTED]
        driver.pause("queue", interrupted.queue)
        assert driver.record(interrupted).reason is Reason.PAUSED
        driver.resume("queue", interrupted.queue)
        assert len(driver.claim(driver.enlist(), suspect=True)) == 2
        assert driver.record(interrupted).reason is None

    def test_parking_a_suspect_clears_it_of_nothing(self, driver: Driver) -> None:
        """It has not run: the release that takes it up again must be as careful."""
        job = driver.new()
        driver.add(job)
        driver.die_in(job)
        driver.finish(driver.claim_one(driver.enlist(), suspect=True), Parked(Reason.UNKNOWN_TASK, "r1"))
        assert driver.store.unpark([(job.task, "r1")]).wait(PATIENCE) == 1
        assert driver.claim(driver.enlist()) == []
        claim = driver.claim_one(driver.enlist(), suspect=True)
        driver.finish(claim, driver.failed(retry_after=1))
        driver.clock.advance(1)
        driver.promote()
        assert driver.claim_one(driver.enlist()).suspect is False

    def test_a_death_in_company_makes_suspects_and_charges_nobody(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), [driver.new(), driver.new()]
        driver.add(*jobs)
        for claim in driver.claim(runner):
            driver.start(runner, claim)
        driver.die(runner)
        assert driver.reap() == (1, 2, 0)
        assert [driver.record(job).deaths for job in jobs] == [0, 0]
        assert driver.claim(driver.enlist()) == []

    def test_suspects_are_passed_over_unless_asked_for(self, driver: Driver) -> None:
        runner, suspect, other = driver.enlist(), driver.new(), driver.new()
        driver.add(suspect)
        driver.die_in(suspect)
        driver.add(other)
        runner = driver.enlist()
        assert driver.claim_one(runner).id == other.id
        assert driver.claim_one(runner, suspect=True).id == suspect.id

    def test_one_suspect_comes_along_at_a_time(self, driver: Driver) -> None:
        runner, jobs, innocent = driver.enlist(), [driver.new(), driver.new()], driver.new()
        driver.add(*jobs)
        for claim in driver.claim(runner):
            driver.start(runner, claim)
        driver.die(runner)
        driver.reap()
        driver.add(innocent)
        runner = driver.enlist()
        claims = driver.claim(runner, suspect=True)
        assert {claim.id for claim in claims} == {jobs[0].id, innocent.id}
        assert [claim.suspect for claim in claims if claim.id == jobs[0].id] == [True]
        assert driver.claim_one(runner, suspect=True).id == jobs[1].id

    def test_with_a_suspect_the_limit_holds(self, driver: Driver) -> None:
        suspect = driver.new()
        driver.add(suspect)
        driver.die_in(suspect)
        driver.add(*[driver.new() for _ in range(5)])
        assert len(driver.claim(driver.enlist(), 3, suspect=True)) == 3

    def test_the_suspect_is_charged_and_its_company_is_not(self, driver: Driver) -> None:
        suspect, innocent = driver.new(), driver.new()
        driver.add(suspect)
        driver.die_in(suspect)
        driver.add(innocent)
        driver.die_in(suspect, innocent)
        assert (driver.record(suspect).deaths, driver.record(innocent).deaths) == (2, 0)
        assert driver.claim_one(driver.enlist()).id == innocent.id

    def test_after_three_deaths_of_its_own_a_job_has_failed(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        for _ in range(MAX_DEATHS - 1):
            driver.die_in(job)
            assert driver.state(job) is State.QUEUED
        runner = driver.enlist()
        driver.start(runner, driver.claim_one(runner, suspect=True))
        driver.die(runner)
        assert driver.reap() == (1, 0, 1)
        record = driver.record(job)
        assert (record.state, record.reason, record.deaths) == (State.FAILED, Reason.KILLED, MAX_DEATHS)
        assert record.finished == driver.clock.now()
        assert driver.claim(driver.enlist(), suspect=True) == []

    def test_a_suspect_can_succeed(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        driver.die_in(job)
        assert driver.finish(driver.claim_one(driver.enlist(), suspect=True))
        assert driver.state(job) is State.SUCCEEDED

    def test_a_suspect_whose_attempt_ended_is_one_no_more(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        driver.die_in(job)
        driver.finish(driver.claim_one(driver.enlist(), suspect=True), driver.failed(retry_after=1))
        driver.clock.advance(1)
        driver.promote()
        assert driver.claim_one(driver.enlist()).suspect is False

    def test_a_suspect_whose_late_end_is_written_is_one_no_more(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.start(runner, claim)
        driver.store.retire(runner.runner, draining=False).wait(PATIENCE)
        driver.finish(claim, driver.failed(retry_after=0))
        driver.promote()
        assert driver.claim_one(driver.enlist()).suspect is False

    def test_at_most_once_fails_when_its_runner_dies_holding_it(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new(once=True)
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.die(runner)
        assert driver.reap() == (1, 0, 1)
        record = driver.record(job)
        assert (record.state, record.reason) == (State.FAILED, Reason.MAY_HAVE_RUN)
        assert record.finished == driver.clock.now()
        assert driver.finish(claim) is False
        assert driver.claim(driver.enlist(), suspect=True) == []

    def test_each_interrupted_attempt_is_told_of(self, driver: Driver) -> None:
        job = driver.new()
        driver.add(job)
        me = f"its process ({os.getpid()} on {socket.gethostname()})"
        for death in range(2):
            start = datetime.fromtimestamp(driver.clock.now() / SECOND, UTC)
            driver.die_in(job)
            number, line = driver.record(job).logs[death]
            assert (number, line.at, line.level) == (1, driver.clock.now(), logging.WARNING)
            assert line.message.startswith(f"this attempt, started {start:%Y-%m-%d %H:%M:%S}.000Z, was ")
            assert f": {me} " in line.message
            assert driver.record(job).started == round(start.timestamp() * SECOND)
        driver.finish(driver.claim_one(driver.enlist(), suspect=True))
        assert len(driver.record(job).logs) == 2, "it can be read also when all has gone well in the end"

    def test_what_is_delivered_once_is_told_of_and_shares_no_blame(self, driver: Driver) -> None:
        runner, once, often = driver.enlist(), driver.new(once=True), driver.new()
        driver.add(once, often)
        now = driver.clock.now()
        for claim in driver.claim(runner):
            driver.start(runner, claim)
        driver.die(runner)
        driver.reap()
        assert [len(driver.record(job).logs) for job in (once, often)] == [1, 1]
        assert [driver.record(job).started for job in (once, often)] == [now, now]
        assert driver.record(often).deaths == 1, "it was the only one that could be why"

    def test_what_had_not_started_or_has_ended_was_not_interrupted(self, driver: Driver) -> None:
        runner, jobs = driver.enlist(), [driver.new() for _ in range(3)]
        driver.add(*jobs)
        started, ended, _ = driver.claim(runner)
        driver.start(runner, started)
        driver.start(runner, ended)
        driver.finish(ended)
        driver.die(runner)
        driver.reap()
        assert [len(driver.record(job).logs) for job in jobs] == [1, 0, 0]

    def test_a_draining_death_charges_nobody(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.start(runner, driver.claim_one(runner))
        runner.marks.draining()
        driver.die(runner)
        assert driver.reap() == (1, 1, 0)
        claim = driver.claim_one(driver.enlist())
        assert (claim.suspect, driver.record(job).deaths) == (False, 0)

    def test_retiring_while_draining_charges_nobody(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.start(runner, driver.claim_one(runner))
        assert driver.store.retire(runner.runner, draining=True).wait(PATIENCE) == 1
        assert driver.claim_one(driver.enlist()).suspect is False

    def test_retiring_otherwise_is_a_death(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.start(runner, driver.claim_one(runner))
        driver.store.retire(runner.runner, draining=False).wait(PATIENCE)
        assert driver.record(job).deaths == 1
        ((_, line),) = driver.record(job).logs
        assert line.message.endswith(") stopped")

    def test_a_runner_that_lives_on_may_finish_what_it_had_started(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.start(runner, claim)
        driver.store.retire(runner.runner, draining=True).wait(PATIENCE)
        assert driver.finish(claim) is True
        assert driver.state(job) is State.SUCCEEDED

    def test_a_death_is_judged_after_reopening(self, driver: Driver) -> None:
        runner, started, waiting = driver.enlist(), driver.new(), driver.new()
        driver.add(started, waiting)
        first, _ = driver.claim(runner)
        driver.start(runner, first)
        driver.bench.kill(driver.store, runner)
        driver.reopen()
        driver.clock.advance(LEASE + 1)
        assert driver.reap() == (1, 2, 0)
        assert (driver.record(started).deaths, driver.record(waiting).deaths) == (1, 0)
