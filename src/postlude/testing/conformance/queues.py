"""Queues whose jobs run so many at once, and claims that take no more than there is room for."""

from postlude.clock import SECOND
from postlude.model.job import Claimed, FreeSlots, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.state import Reason, Stored
from postlude.testing.conformance.bench import Cases, Driver

READY = (Stored.READY, None)
ONE, TWO, FULL = FreeSlots(1, 0, 0), FreeSlots(1, 1, 0), FreeSlots(0, 0, 0)


def add(driver: Driver, count: int, queue: str = "q", *, concurrency_key: str | None = None) -> list[NewJob]:
    jobs = [driver.new(queue=queue, concurrency_key=concurrency_key) for _ in range(count)]
    driver.add(*jobs)
    return jobs


class QueueCases(Cases):
    def test_no_more_than_may_run_at_once(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 2))
        runner, other, jobs = driver.enlist(), driver.enlist(), add(driver, 4)
        claims = driver.claim(runner)
        assert [claim.id for claim in claims] == [job.id for job in jobs[:2]]
        assert driver.lie(*jobs[2:]) == [(Stored.READY, Reason.LIMIT)] * 2
        assert driver.claimed(other) == Claimed([], False, None)
        driver.finish(claims[0])
        assert driver.lie(*jobs[2:]) == [READY] * 2
        assert driver.claim_one(other).id == jobs[2].id

    def test_a_claim_given_back_makes_room(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1))
        runner, jobs = driver.enlist(), add(driver, 2)
        driver.release(runner, driver.claim_one(runner))
        assert driver.claim_one(runner).id == jobs[0].id

    def test_retries_that_wait_make_room(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1))
        runner, jobs = driver.enlist(), add(driver, 2)
        driver.finish(driver.claim_one(runner), driver.failed(retry_after=60))
        assert driver.claim_one(runner).id == jobs[1].id

    def test_queues_do_not_know_each_other(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1), DeclaredLimits("queue", "r", 2))
        for queue in ("q", "r", "s"):
            add(driver, 3, queue)
        queues = [claim.queue for claim in driver.claim(driver.enlist())]
        assert sorted(queues) == ["q", "r", "r", "s", "s", "s"]

    def test_a_full_queue_leaves_the_claim_to_the_others(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1))
        add(driver, 5, "q")
        add(driver, 5, "r")
        assert len(driver.claim(driver.enlist(), 4)) == 4

    def test_a_queue_and_a_task_of_one_name_are_two(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1))
        jobs = [driver.new("q", concurrency_key="x", queue="other") for _ in range(2)]
        driver.add(*jobs)
        assert len(driver.claim(driver.enlist())) == 2

    def test_bounds_that_go_let_all_run(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1))
        add(driver, 3)
        runner = driver.enlist()
        driver.claim(runner)
        driver.declare()
        assert len(driver.claim(runner)) == 2

    def test_a_queue_and_its_lanes_are_both_bounded(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 3), DeclaredLimits("task", "app:task", 1))
        for concurrency_key in ("x", "x", "y", "y", "z", "w"):
            add(driver, 1, concurrency_key=concurrency_key)
        assert len(driver.claim(driver.enlist())) == 3

    def test_how_many_may_run_survives_reopening(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1))
        add(driver, 2)
        driver.reopen()
        assert len(driver.claim(driver.enlist())) == 1


class FreeSlotsCases(Cases):
    def test_limited_jobs_are_claimed_only_to_start(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 9))
        jobs, runner = add(driver, 4, concurrency_key="x"), driver.enlist()
        claimed = driver.claimed(runner, free=TWO)
        assert ([claim.id for claim in claimed.claims], claimed.more) == ([job.id for job in jobs[:2]], True)
        assert driver.lie(*jobs[2:]) == [READY] * 2
        assert driver.claimed(runner, free=FULL) == Claimed([], True, None)
        claimed = driver.claimed(runner, free=TWO)
        assert ([claim.id for claim in claimed.claims], claimed.more) == ([job.id for job in jobs[2:]], False)

    def test_all_kinds_of_room_count_together(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 9))
        add(driver, 9, concurrency_key="x")
        assert len(driver.claim(driver.enlist(), 9)) == 9
        add(driver, 9, concurrency_key="y")
        assert len(driver.claimed(driver.enlist(), free=FreeSlots(1, 2, 3)).claims) == 6

    def test_limited_means_a_lane_or_a_rate_or_a_bounded_queue(self, driver: Driver) -> None:
        driver.declare(
            DeclaredLimits("task", "laned", 5),
            DeclaredLimits("task", "rated", every=SECOND, burst=5),
            DeclaredLimits("queue", "bounded", 5),
        )
        for number, job in enumerate(
            (
                driver.new("laned", concurrency_key="x", queue="a"),
                driver.new("rated", queue="b"),
                driver.new("plain", queue="bounded"),
                driver.new("plain", queue="c"),
            )
        ):
            driver.add(job)
            runner = driver.enlist()
            claimed = driver.claimed(runner, free=FULL)
            assert (len(claimed.claims), claimed.more) == ((0, True) if number < 3 else (1, False))
            if number < 3:
                claimed = driver.claimed(runner, free=ONE)
                assert len(claimed.claims) == 1
            assert claimed.claims[0].limited is (number < 3)

    def test_without_room_given_there_is_no_bound(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 9))
        add(driver, 5)
        assert len(driver.claimed(driver.enlist()).claims) == 5

    def test_other_jobs_need_no_room(self, driver: Driver) -> None:
        add(driver, 5)
        claimed = driver.claimed(driver.enlist(), free=FULL)
        assert (len(claimed.claims), claimed.more) == (5, False)

    def test_it_ends_the_claim_of_its_queue_alone(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("task", "app:task", 9))
        add(driver, 3, "q", concurrency_key="x")
        plain = [driver.new("plain", queue=queue) for queue in ("q", "r", "r")]
        driver.add(*plain)
        claimed = driver.claimed(driver.enlist(), free=ONE)
        found = {claim.id for claim in claimed.claims}
        assert (len(found), {job.id for job in plain[1:]} <= found, claimed.more) == (3, True, True)
        assert driver.lie(plain[0]) == [READY], "nobody overtakes those that wait for room"

    def test_room_is_not_used_up_by_those_that_must_wait_anyway(self, driver: Driver) -> None:
        driver.declare(
            DeclaredLimits("task", "rated", every=10 * SECOND), DeclaredLimits("task", "app:task", 9)
        )
        driver.add(*[driver.new("rated", queue="q") for _ in range(3)])
        add(driver, 1, concurrency_key="x")
        claimed = driver.claimed(driver.enlist(), free=TWO)
        assert [claim.task for claim in claimed.claims] == ["rated", "app:task"]

    def test_for_want_of_room_nothing_of_a_rate_is_used_up(self, driver: Driver) -> None:
        driver.declare(
            DeclaredLimits("task", "app:task", every=10 * SECOND),
            DeclaredLimits("queue", "q", every=10 * SECOND),
        )
        add(driver, 1)
        runner = driver.enlist()
        assert driver.claimed(runner, free=FULL).claims == []
        assert len(driver.claimed(runner, free=ONE).claims) == 1

    def test_a_limit_that_is_reached_says_that_there_is_more(self, driver: Driver) -> None:
        add(driver, 3)
        runner = driver.enlist()
        assert driver.claimed(runner, 2).more is True
        assert driver.claimed(runner, 2).more is False

    def test_what_stays_paused_or_bounded_is_no_more(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", 1))
        driver.pause("queue", "r")
        add(driver, 2, "q")
        add(driver, 2, "r")
        claimed = driver.claimed(driver.enlist())
        assert (len(claimed.claims), claimed.more, claimed.again) == (1, False, None)
