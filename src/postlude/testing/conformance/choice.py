"""Claims that name the queues they take from."""

from postlude.clock import SECOND
from postlude.model.job import Claimed, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.queues import NONE, all_but, only
from postlude.model.state import Reason, Stored
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

READY = (Stored.READY, None)


def in_queues(driver: Driver, names: str) -> list[NewJob]:
    """Add a job to each of these queues, in this order."""
    jobs = [driver.new(queue=name) for name in names]
    driver.add(*jobs)
    return jobs


class ChoiceCases(Cases):
    def test_born_claimed_only_in_the_queues_of_its_runner(self, driver: Driver) -> None:
        runner, other = driver.enlist(queues=only({"a"})), driver.enlist(queues=all_but({"a"}))
        for name, mine, its in (("a", 1, 0), ("b", 0, 1)):
            for claimer, fence in ((runner, mine), (other, its)):
                (added,) = driver.add(driver.new(queue=name), claim_for=claimer)
                assert added.fence == fence
                driver.claim(driver.enlist())  # nothing waits there that it would overtake
        jobs = [driver.new(queue="a"), driver.new(queue="b")]
        assert [added.fence for added in driver.add(*jobs, claim_for=runner)] == [0, 0], (
            "all of them, or none"
        )
        special = driver.new(queue="b", priority=3)
        driver.claim(driver.enlist())
        assert [added.fence for added in driver.add(special, claim_for=runner)] == [0]

    def test_a_claim_is_of_the_queues_that_it_names_itself(self, driver: Driver) -> None:
        in_queues(driver, "ab")
        claims = driver.claimed(driver.enlist(queues=only({"a"})), queues=only({"b"})).claims
        assert [claim.queue for claim in claims] == ["b"]

    def test_only_these(self, driver: Driver) -> None:
        jobs, runner = in_queues(driver, "abcab"), driver.enlist()
        claimed = driver.claimed(runner, queues=only({"a", "c", "empty"}))
        assert {claim.id for claim in claimed.claims} == {jobs[0].id, jobs[2].id, jobs[3].id}
        assert (claimed.more, claimed.passed) == (False, ())
        assert driver.lie(jobs[1], jobs[4]) == [READY] * 2

    def test_all_but_these(self, driver: Driver) -> None:
        jobs, runner = in_queues(driver, "abcab"), driver.enlist()
        claims = driver.claimed(runner, queues=all_but({"a", "c"})).claims
        assert [claim.id for claim in claims] == [jobs[1].id, jobs[4].id]

    def test_none(self, driver: Driver) -> None:
        in_queues(driver, "ab")
        assert driver.claimed(driver.enlist(), queues=NONE) == Claimed([])

    def test_each_has_its_turn(self, driver: Driver) -> None:
        in_queues(driver, "aaaabbbbcccc")
        claims = driver.claimed(driver.enlist(), 4, queues=only({"a", "c"})).claims
        assert sorted(claim.queue for claim in claims) == ["a", "a", "c", "c"]
        assert len(driver.claim(driver.enlist())) == 8, "the others are as they were"

    def test_a_suspect_only_of_these(self, driver: Driver) -> None:
        (job,) = in_queues(driver, "a")
        driver.die_in(job)
        runner = driver.enlist()
        assert driver.claimed(runner, suspect=True, queues=only({"b"})).claims == []
        (claim,) = driver.claimed(runner, suspect=True, queues=only({"a"})).claims
        assert (claim.id, claim.suspect) == (job.id, True)

    def test_in_others_nothing_is_blocked(self, driver: Driver) -> None:
        job = driver.new("app:paused", queue="a")
        driver.add(job)
        driver.pause("task", "app:paused")
        runner = driver.enlist()
        assert driver.claimed(runner, queues=only({"b"})) == Claimed([])
        assert driver.lie(job) == [READY]
        driver.claimed(runner, queues=only({"a"}))
        assert driver.lie(job) == [(Stored.BLOCKED, Reason.PAUSED)]

    def test_when_more_may_start_is_said_of_these_alone(self, driver: Driver) -> None:
        driver.declare(*(DeclaredLimits("queue", name, every=10 * SECOND) for name in "ab"))
        in_queues(driver, "aabb")
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 2
        assert driver.claimed(runner, queues=only({"c"})) == Claimed([])
        assert driver.claimed(runner, queues=only({"a"})) == Claimed([], False, driver.after(10))

    def test_followers_come_along(self, driver: Driver) -> None:
        jobs = [driver.new(queue="a"), driver.new(queue="a", follows=True, after=15)]
        driver.add(*jobs)
        claims = driver.claimed(driver.enlist(), behind=5, queues=only({"a"})).claims
        assert [claim.id for claim in claims] == [job.id for job in jobs]

    def test_what_is_ready_in_a_queue(self, driver: Driver) -> None:
        jobs = [driver.new(queue="q", priority=priority) for priority in (2, 0, 0, 1)]
        driver.add(*jobs, driver.new(queue="r"), driver.new(queue="q", after=9))

        def ready(limit: int) -> list[bytes]:
            return driver.store.ready_ids("q", limit).wait(PATIENCE)

        assert ready(9) == [jobs[place].id for place in (1, 2, 3, 0)]
        assert ready(2) == [jobs[1].id, jobs[2].id]
        assert driver.store.ready_ids("none", 9).wait(PATIENCE) == []
        runner = driver.enlist()
        claims = driver.claimed(runner, ids=[jobs[1].id, jobs[3].id]).claims
        assert ready(9) == [jobs[2].id, jobs[0].id]
        driver.release(runner, claims[1])
        driver.start(runner, claims[0])
        driver.die(runner)
        driver.reap()
        assert ready(9) == [jobs[place].id for place in (2, 3, 0, 1)], "suspects last"
