"""Rates: how many jobs of a task, or of a queue, start in a time."""

from postlude.clock import SECOND
from postlude.model.job import Claimed, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import SUCCEEDED
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

TURN = (Stored.BLOCKED, Reason.RATE)
READY = (Stored.READY, None)


def rated(driver: Driver, count: int, burst: int = 1, every: float = 10) -> list[NewJob]:
    """Declare a task's rate and add jobs of it."""
    driver.declare(DeclaredLimits("task", "app:task", every=round(every * SECOND), burst=burst))
    return more(driver, count)


def more(driver: Driver, count: int, queue: str = "default") -> list[NewJob]:
    jobs = [driver.new(rated=True, queue=queue) for _ in range(count)]
    driver.add(*jobs)
    return jobs


def starts(driver: Driver, runner: Enlisted, seconds: int, every: int = 1) -> list[tuple[int, int]]:
    """Run all there is, looking at each of the next seconds; return when and how many started."""
    found = []
    for second in range(0, seconds, every):
        driver.promote()
        claims = driver.claim(runner)
        if claims:
            found.append((second, len(claims)))
        driver.store.finish([driver.finish_of(claim, SUCCEEDED) for claim in claims]).wait(PATIENCE)
        driver.clock.advance(every)
    return found


class RateCases(Cases):
    def test_a_burst_then_one_at_a_time(self, driver: Driver) -> None:
        rated(driver, 6, burst=3)
        assert starts(driver, driver.enlist(), 60) == [(0, 3), (10, 1), (20, 1), (30, 1)]

    def test_without_a_burst_one_at_a_time(self, driver: Driver) -> None:
        rated(driver, 3)
        assert starts(driver, driver.enlist(), 40) == [(0, 1), (10, 1), (20, 1)]

    def test_those_beyond_it_are_given_turns(self, driver: Driver) -> None:
        jobs, now = rated(driver, 5, burst=2), driver.clock.now()
        assert len(driver.claim(driver.enlist())) == 2
        assert driver.lie(*jobs[2:]) == [TURN] * 3
        assert [driver.record(job).due for job in jobs[2:]] == [now + n * 10 * SECOND for n in (1, 2, 3)]
        assert driver.states(*jobs[2:]) == [State.QUEUED] * 3
        assert driver.store.promote().wait(PATIENCE) == (0, now + 10 * SECOND)

    def test_later_ones_get_later_turns(self, driver: Driver) -> None:
        runner, now = driver.enlist(), driver.clock.now()
        rated(driver, 2)
        driver.claim(runner)
        (late,) = more(driver, 1)
        driver.claim(runner)
        assert driver.record(late).due == now + 20 * SECOND

    def test_a_turn_that_has_come_is_ready_and_starts(self, driver: Driver) -> None:
        jobs, runner = rated(driver, 2), driver.enlist()
        driver.claim(runner)
        driver.clock.advance(10)
        assert driver.store.promote().wait(PATIENCE) == (1, None)
        assert driver.lie(jobs[1]) == [READY]
        assert driver.claim_one(runner).id == jobs[1].id

    def test_after_a_pause_no_more_than_the_burst(self, driver: Driver) -> None:
        rated(driver, 2, burst=2)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 2
        driver.clock.advance(1_000)
        jobs = more(driver, 4)
        assert len(driver.claim(runner)) == 2
        assert driver.lie(*jobs[2:]) == [TURN] * 2

    def test_after_a_short_pause_as_many_as_have_come_back(self, driver: Driver) -> None:
        rated(driver, 3, burst=3)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 3
        driver.clock.advance(25)
        more(driver, 3)
        assert len(driver.claim(runner)) == 2

    def test_turns_that_nobody_took_in_time_are_not_made_up_for(self, driver: Driver) -> None:
        rated(driver, 6, burst=2)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 2
        driver.clock.advance(1_000)
        driver.promote()
        assert len(driver.claim(runner)) == 2

    def test_what_is_claimed_counts_and_not_what_ends(self, driver: Driver) -> None:
        jobs, runner = rated(driver, 2), driver.enlist()
        claim = driver.claim_one(runner)
        driver.release(runner, claim)
        assert driver.claim(runner) == []
        assert driver.lie(*jobs) == [TURN] * 2

    def test_rates_of_tasks_do_not_know_each_other(self, driver: Driver) -> None:
        driver.declare(*[DeclaredLimits("task", task, every=10 * SECOND) for task in ("a", "b")])
        driver.add(*[driver.new(task, rated=True) for task in ("a", "a", "b", "b", "free", "free")])
        assert sorted(claim.task for claim in driver.claim(driver.enlist())) == ["a", "b", "free", "free"]

    def test_a_rate_is_one_over_all_queues(self, driver: Driver) -> None:
        rated(driver, 1)
        more(driver, 1, queue="other")
        assert len(driver.claim(driver.enlist())) == 1

    def test_refused_jobs_do_not_hide_others_behind_them(self, driver: Driver) -> None:
        rated(driver, 30)
        other = driver.new("other")
        driver.add(other)
        assert other.id in [claim.id for claim in driver.claim(driver.enlist(), 3)]

    def test_rated_jobs_are_never_born_claimed(self, driver: Driver) -> None:
        (added,) = driver.add(driver.new(rated=True), claim_for=driver.enlist())
        assert added.fence == 0

    def test_a_job_that_waits_for_its_turn_can_be_cancelled(self, driver: Driver) -> None:
        jobs, runner = rated(driver, 3), driver.enlist()
        driver.claim(runner)
        driver.cancel(jobs[1])
        driver.clock.advance(30)
        assert driver.promote() == 1
        assert driver.claim_one(runner).id == jobs[2].id

    def test_a_job_that_waits_for_its_turn_leaves_its_lane(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", concurrent=1, every=10 * SECOND))
        jobs = [driver.new(concurrency_key=name) for name in ("x", "y", "y")]
        driver.add(*jobs)
        runner = driver.enlist()
        assert driver.claim_one(runner).id == jobs[0].id
        assert driver.lie(jobs[1]) == [TURN]
        assert driver.lie(jobs[2])[0] in (READY, TURN)
        driver.clock.advance(30)
        driver.promote()
        assert sorted(driver.lie(*jobs[1:])) == sorted([READY, (Stored.BLOCKED, Reason.LIMIT)])

    def test_a_turn_is_not_taken_for_the_end_of_a_predecessor(self, driver: Driver) -> None:
        """Neither is it the other way round: the end of the one before readies who waits for that."""
        driver.declare(DeclaredLimits("task", "app:task", every=10 * SECOND))
        runner, first, follower = driver.enlist(), driver.new("first"), driver.new(follows=True, after=5)
        driver.add(driver.new(), first, follower)
        held = {claim.id: claim for claim in driver.claim(runner)}
        driver.clock.advance(5)
        driver.promote()
        assert driver.claim(runner) == []
        assert driver.lie(follower) == [TURN]
        driver.finish(held[first.id])
        assert driver.lie(follower) == [TURN]

    def test_a_rate_survives_reopening(self, driver: Driver) -> None:
        jobs = rated(driver, 3, burst=2)
        assert len(driver.claim(driver.enlist())) == 2
        due = driver.record(jobs[2]).due
        driver.reopen()
        assert (driver.lie(jobs[2]), driver.record(jobs[2]).due) == ([TURN], due)
        more(driver, 1)
        assert driver.claim(driver.enlist()) == []

    def test_a_declaration_that_says_the_same_gives_no_new_burst(self, driver: Driver) -> None:
        rated(driver, 2, burst=2)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 2
        rated(driver, 2, burst=2)
        assert driver.claim(runner) == []

    def test_a_rate_that_was_gone_begins_afresh(self, driver: Driver) -> None:
        """Turns that were given away before are not waited for."""
        rated(driver, 9, burst=2)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 2
        driver.declare(DeclaredLimits("task", "app:task", concurrent=99))
        assert len(driver.claim(runner)) == 7
        jobs = rated(driver, 3, burst=2)
        assert [claim.id for claim in driver.claim(runner)] == [job.id for job in jobs[:2]]
        assert driver.record(jobs[2]).due == driver.after(10)


class QueueRateCases(Cases):
    def declare(self, driver: Driver, burst: int = 1) -> None:
        driver.declare(DeclaredLimits("queue", "q", every=10 * SECOND, burst=burst))

    def test_jobs_stay_ready_and_the_claim_says_when(self, driver: Driver) -> None:
        self.declare(driver, burst=2)
        jobs, now = more(driver, 4, "q"), driver.clock.now()
        claimed = driver.claimed(driver.enlist())
        assert (len(claimed.claims), claimed.again) == (2, now + 10 * SECOND)
        assert driver.lie(*jobs[2:]) == [(Stored.READY, Reason.RATE)] * 2
        assert driver.store.promote().wait(PATIENCE) == (0, None)
        driver.clock.advance(10)
        assert driver.lie(*jobs[2:]) == [(Stored.READY, None)] * 2

    def test_they_start_one_at_a_time(self, driver: Driver) -> None:
        self.declare(driver, burst=2)
        more(driver, 4, "q")
        assert starts(driver, driver.enlist(), 60) == [(0, 2), (10, 1), (20, 1)]

    def test_before_its_time_a_claim_says_so_again(self, driver: Driver) -> None:
        self.declare(driver)
        more(driver, 2, "q")
        runner, now = driver.enlist(), driver.clock.now()
        driver.claim(runner)
        driver.clock.advance(4)
        assert driver.claimed(runner) == Claimed([], False, now + 10 * SECOND)

    def test_with_nothing_left_there_is_nothing_to_wait_for(self, driver: Driver) -> None:
        self.declare(driver)
        more(driver, 1, "q")
        runner = driver.enlist()
        assert driver.claimed(runner).again is None
        assert driver.claimed(runner) == Claimed([], False, None)

    def test_other_queues_are_not_held_up(self, driver: Driver) -> None:
        self.declare(driver)
        more(driver, 3, "q")
        more(driver, 3, "r")
        queues = [claim.queue for claim in driver.claim(driver.enlist())]
        assert sorted(queues) == ["q", "r", "r", "r"]

    def test_the_soonest_of_several_queues(self, driver: Driver) -> None:
        driver.declare(
            DeclaredLimits("queue", "q", every=30 * SECOND),
            DeclaredLimits("queue", "r", every=10 * SECOND, burst=2),
        )
        more(driver, 2, "q")
        more(driver, 3, "r")
        claimed = driver.claimed(driver.enlist())
        assert (len(claimed.claims), claimed.again) == (3, driver.after(10))

    def test_what_its_task_refuses_uses_up_nothing_of_its_queue(self, driver: Driver) -> None:
        driver.declare(
            DeclaredLimits("queue", "q", every=10 * SECOND, burst=2),
            DeclaredLimits("task", "slow", every=10 * SECOND),
        )
        slow = [driver.new("slow", queue="q", rated=True) for _ in range(3)]
        driver.add(*slow, other := driver.new(queue="q", rated=True))
        runner = driver.enlist()
        first = driver.claimed(runner)
        found = first.claims + (driver.claim(runner) if first.more else [])
        assert [claim.id for claim in found] == [slow[0].id, other.id]

    def test_what_its_queue_refuses_uses_up_nothing_of_its_task(self, driver: Driver) -> None:
        driver.declare(
            DeclaredLimits("queue", "q", every=10 * SECOND),
            DeclaredLimits("task", "app:task", every=10 * SECOND, burst=2),
        )
        more(driver, 2, "q")
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 1
        (other,) = more(driver, 1, "r")
        assert driver.claim_one(runner).id == other.id
