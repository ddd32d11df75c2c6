"""The right to run a job: who gets which, for how long, and how it is given back."""

import logging
import os
import socket
from datetime import UTC, datetime

from postlude.clock import SECOND
from postlude.model.job import Claim, Hold
from postlude.model.outcome import Snoozed
from postlude.model.state import State
from postlude.testing.conformance.bench import LEASE, PATIENCE, Cases, Driver


class ClaimCases(Cases):
    def test_a_claim_carries_what_a_run_needs(self, driver: Driver) -> None:
        job = driver.new("shop:mail", queue="mail", payload=b'{"a":[7],"k":{}}')
        (added,) = driver.add(job)
        claim = driver.claim_one(driver.enlist())
        assert (claim.seq, claim.id, claim.task, claim.queue) == (added.seq, job.id, "shop:mail", "mail")
        assert (claim.payload, claim.created) == (job.payload, job.created)
        assert (claim.failures, claim.suspect, claim.once) == (0, False, False)
        assert (claim.fence > 0, driver.state(job)) == (True, State.RUNNING)

    def test_a_claim_says_that_a_job_is_delivered_at_most_once(self, driver: Driver) -> None:
        driver.add(driver.new(once=True))
        assert driver.claim_one(driver.enlist()).once is True

    def test_a_job_is_claimed_once(self, driver: Driver) -> None:
        driver.add(driver.new())
        assert len(driver.claim(driver.enlist())) == 1
        assert driver.claim(driver.enlist()) == []

    def test_no_more_than_the_limit(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(*[driver.new() for _ in range(5)])
        assert [len(driver.claim(runner, limit)) for limit in (0, 2, 2, 2)] == [0, 2, 2, 1]

    def test_priority_first_then_order(self, driver: Driver) -> None:
        low, first, second, high = (driver.new(priority=p) for p in (9, 0, 0, -1))
        driver.add(low, first, second, high)
        assert [c.id for c in driver.claim(driver.enlist())] == [high.id, first.id, second.id, low.id]

    def test_a_limited_claim_takes_the_best(self, driver: Driver) -> None:
        low, high = driver.new(priority=5), driver.new(priority=1)
        driver.add(low, high)
        assert [claim.id for claim in driver.claim(driver.enlist(), 1)] == [high.id]

    def test_a_long_queue_does_not_starve_a_short_one(self, driver: Driver) -> None:
        driver.add(*[driver.new(queue="long") for _ in range(20)])
        driver.add(*[driver.new(queue="short") for _ in range(2)])
        queues = [claim.queue for claim in driver.claim(driver.enlist(), 6)]
        assert queues.count("short") == 2

    def test_queues_take_turns_over_small_claims(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(*[driver.new(queue="a") for _ in range(20)])
        driver.add(*[driver.new(queue="b") for _ in range(2)])
        queues = [claim.queue for _ in range(8) for claim in driver.claim(runner, 1)]
        assert queues.count("b") == 2

    def test_an_unknown_runner_gets_nothing(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        assert driver.claim(runner._replace(runner=runner.runner + 1000)) == []
        assert driver.state(job) is State.QUEUED

    def test_runners_have_numbers_of_their_own(self, driver: Driver) -> None:
        numbers = [driver.enlist().runner for _ in range(3)]
        assert len(set(numbers)) == 3

    def test_the_fence_grows_with_each_claim(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        fences = []
        for _ in range(3):
            claim = driver.claim_one(runner)
            fences.append(claim.fence)
            driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)
        assert fences == sorted(set(fences))

    def test_a_released_job_is_ready_and_keeps_its_fence(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(runner)
        assert driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE) == 1
        assert (driver.state(job), driver.record(job).fence) == (State.QUEUED, claim.fence)
        assert driver.claim_one(driver.enlist()).id == job.id

    def test_a_claim_says_whether_an_attempt_has_begun_before(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        begun: list[bool] = []

        def claim() -> Claim:
            claim = driver.claim_one(runner)
            begun.append(claim.begun)
            return claim

        driver.release(runner, claim())  # it had not
        driver.finish(claim(), Snoozed(driver.clock.now()))
        driver.promote()
        driver.finish(claim(), driver.failed(retry_after=0))
        driver.promote()
        claim()
        assert begun == [False, False, True, True]

    def test_so_it_does_of_one_that_was_given_up(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        claim = driver.claim_one(runner)
        hold = Hold(claim.seq, claim.fence, started=driver.clock.now())
        driver.store.release(runner.runner, [hold]).wait(PATIENCE)
        assert driver.claim_one(runner).begun

    def test_only_own_present_claims_are_released(self, driver: Driver) -> None:
        mine, other, job = driver.enlist(), driver.enlist(), driver.new()
        driver.add(job)
        claim = driver.claim_one(mine)
        stale, unknown = Hold(claim.seq, claim.fence - 1), Hold(claim.seq + 1000, 1)
        assert driver.store.release(mine.runner, [stale, unknown]).wait(PATIENCE) == 0
        assert driver.store.release(other.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE) == 0
        assert driver.state(job) is State.RUNNING

    def test_what_had_started_and_is_given_up_is_told_of(self, driver: Driver) -> None:
        runner, other = driver.enlist(), driver.enlist()
        jobs = driver.new(), driver.new(), driver.new()
        driver.add(*jobs)
        begun, waiting, lost = driver.claim(runner)
        started = driver.clock.now()
        start = datetime.fromtimestamp(started / SECOND, UTC)
        driver.clock.advance(2.5)
        holds = [
            Hold(begun.seq, begun.fence, started=started),
            Hold(waiting.seq, waiting.fence),
            Hold(lost.seq, lost.fence - 1, started=started),
        ]
        assert driver.store.release(runner.runner, holds).wait(PATIENCE) == 2
        assert driver.store.release(other.runner, holds[:1]).wait(PATIENCE) == 0
        (told, quiet, kept) = (driver.record(job).logs for job in jobs)
        assert (quiet, kept) == ((), ())
        ((number, line),) = told
        assert (number, line.at, line.level) == (1, driver.clock.now(), logging.WARNING)
        assert line.message == (
            f"this attempt, started {start:%Y-%m-%d %H:%M:%S}.000Z, 2.5 s ago, was given up: "
            f"its process ({os.getpid()} on {socket.gethostname()}) released it unfinished"
        )
        driver.finish(driver.claim(other)[0])
        assert driver.record(jobs[0]).logs == told, "it can be read also when all has gone well in the end"

    def test_a_runner_can_ask_what_it_holds(self, driver: Driver) -> None:
        runner, other = driver.enlist(), driver.enlist()
        driver.add(driver.new(), driver.new(), driver.new())
        ended, held, given = driver.claim(runner)
        assert driver.store.holds(other.runner).wait(PATIENCE) == []
        driver.finish(ended)
        driver.store.release(runner.runner, [Hold(given.seq, given.fence)]).wait(PATIENCE)
        assert driver.store.holds(runner.runner).wait(PATIENCE) == [Hold(held.seq, held.fence)]

    def test_a_buried_runner_holds_nothing(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.add(driver.new())
        driver.claim(runner)
        driver.store.retire(runner.runner, draining=True).wait(PATIENCE)
        assert driver.store.holds(runner.runner).wait(PATIENCE) == []

    def test_an_at_most_once_job_given_back_is_ready(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new(once=True)
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)
        assert driver.claim_one(runner).id == job.id

    def test_a_released_claim_does_not_die_with_its_runner(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new(once=True)
        driver.add(job)
        claim = driver.claim_one(runner)
        driver.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)
        driver.die(runner)
        assert driver.reap() == (1, 0, 0)
        assert driver.state(job) is State.QUEUED

    def test_a_lease_that_is_renewed_does_not_run_out(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.add(job)
        driver.claim(runner)
        for _ in range(4):
            driver.clock.advance(LEASE * 0.6)
            assert driver.store.renew(runner.runner).wait(PATIENCE) is True
            assert driver.reap() == (0, 0, 0)
        assert driver.state(job) is State.RUNNING

    def test_a_buried_runner_is_told_when_it_renews(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.clock.advance(LEASE + 1)
        driver.reap()
        assert driver.store.renew(runner.runner).wait(PATIENCE) is False

    def test_a_lapsed_lease_that_nobody_saw_can_be_renewed(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.clock.advance(LEASE + 1)
        assert driver.store.renew(runner.runner).wait(PATIENCE) is True
        assert driver.reap() == (0, 0, 0)

    def test_a_buried_runner_claims_nothing(self, driver: Driver) -> None:
        runner, job = driver.enlist(), driver.new()
        driver.clock.advance(LEASE + 1)
        driver.reap()
        driver.add(job)
        assert driver.claim(runner) == []
        assert driver.state(job) is State.QUEUED

    def test_retiring_gives_back_what_has_not_started(self, driver: Driver) -> None:
        runner = driver.enlist()
        jobs = [driver.new(), driver.new()]
        driver.add(*jobs)
        driver.claim(runner)
        assert driver.store.retire(runner.runner, draining=False).wait(PATIENCE) == 2
        assert driver.states(*jobs) == [State.QUEUED, State.QUEUED]
        assert driver.claim(runner) == []
        assert driver.store.renew(runner.runner).wait(PATIENCE) is False
        assert [claim.suspect for claim in driver.claim(driver.enlist())] == [False, False]

    def test_retiring_twice_is_answered(self, driver: Driver) -> None:
        runner = driver.enlist()
        assert driver.store.retire(runner.runner, draining=True).wait(PATIENCE) == 0
        assert driver.store.retire(runner.runner, draining=True).wait(PATIENCE) == 0
        driver.clock.advance(LEASE + 1)
        assert driver.reap() == (0, 0, 0)
