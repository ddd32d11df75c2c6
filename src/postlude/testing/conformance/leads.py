"""Duties that one runner does for all, and runners that are children of others."""

from postlude.model.state import State
from postlude.stores.protocol import Asked, Enlisted
from postlude.testing.conformance.bench import LEASE, PATIENCE, Cases, Driver

LONG = 10 * LEASE
"""Seconds: longer than any lease."""


def leads(driver: Driver, runner: Enlisted, duty: str = "prune", seconds: float = LONG) -> bool:
    return driver.store.lead(runner.runner, duty, seconds).wait(PATIENCE)


def renew(driver: Driver, *runners: Enlisted) -> None:
    for runner in runners:
        assert driver.store.renew(runner.runner).wait(PATIENCE)


class LeadCases(Cases):
    def test_one_leads(self, driver: Driver) -> None:
        one, other = driver.enlist(), driver.enlist()
        assert [leads(driver, runner) for runner in (one, other, one, other)] == [True, False, True, False]

    def test_duties_do_not_know_each_other(self, driver: Driver) -> None:
        one, other = driver.enlist(), driver.enlist()
        assert leads(driver, one, "prune")
        assert leads(driver, other, "reap")
        assert [leads(driver, one, duty) for duty in ("prune", "reap")] == [True, False]

    def test_who_does_not_ask_again_leads_no_more(self, driver: Driver) -> None:
        """Its process lives, and its loop hangs."""
        one, other = driver.enlist(), driver.enlist()
        assert leads(driver, one, seconds=4)
        driver.clock.advance(3.9)
        assert not leads(driver, other, seconds=4)
        driver.clock.advance(0.1)
        assert leads(driver, other, seconds=4)
        assert not leads(driver, one, seconds=4)

    def test_who_asks_again_leads_on(self, driver: Driver) -> None:
        one, other = driver.enlist(), driver.enlist()
        for _ in range(6):
            assert leads(driver, one, seconds=4)
            assert not leads(driver, other, seconds=4)
            driver.clock.advance(1.9)
        assert leads(driver, one, seconds=4)
        driver.clock.advance(2)
        assert not leads(driver, other, seconds=4), "half of its time is left when it has asked"

    def test_who_lets_go_leads_no_more(self, driver: Driver) -> None:
        one, other = driver.enlist(), driver.enlist()
        assert leads(driver, one)
        assert not leads(driver, other, seconds=0), "nobody lets go for another"
        assert not leads(driver, other)
        assert not leads(driver, one, seconds=0)
        assert leads(driver, other)

    def test_who_retires_leads_no_more(self, driver: Driver) -> None:
        one, other = driver.enlist(), driver.enlist()
        assert leads(driver, one)
        driver.store.retire(one.runner, draining=True).wait(PATIENCE)
        assert leads(driver, other)
        assert not leads(driver, one)

    def test_who_is_dead_leads_no_more_also_before_it_is_buried(self, driver: Driver) -> None:
        one, other = driver.enlist(), driver.enlist()
        assert leads(driver, one)
        driver.clock.advance(LEASE - 1)
        renew(driver, other)
        driver.die(one)
        renew(driver, other)
        assert leads(driver, other)
        driver.reap()
        assert leads(driver, other)
        assert not leads(driver, one)

    def test_a_runner_that_is_not_enlisted_leads_nothing(self, driver: Driver) -> None:
        one = driver.enlist()
        driver.store.retire(one.runner, draining=True).wait(PATIENCE)
        assert not leads(driver, one)
        assert leads(driver, driver.enlist())

    def test_after_it_is_opened_again_somebody_can(self, driver: Driver) -> None:
        assert leads(driver, driver.enlist())
        driver.reopen()
        assert leads(driver, driver.enlist())


class NestingCases(Cases):
    def test_children_drain_when_their_parent_has_retired(self, driver: Driver) -> None:
        parent, other = driver.enlist(slots=0), driver.enlist(slots=0)
        child, stranger, alone = driver.enlist(parent=parent), driver.enlist(parent=other), driver.enlist()

        def asked() -> list[Asked]:
            children = (child, stranger, alone)
            return [driver.store.asked(runner.runner).wait(PATIENCE) for runner in children]

        assert asked() == [Asked([], drain=False)] * 3
        driver.store.retire(parent.runner, draining=True).wait(PATIENCE)
        assert asked() == [Asked([], drain=True), Asked([], drain=False), Asked([], drain=False)]

    def test_a_buried_parent_leaves_its_children_what_they_run(self, driver: Driver) -> None:
        job, parent = driver.new(), driver.enlist(slots=0)
        child = driver.enlist(parent=parent)
        driver.add(job)
        claim = driver.claim_one(child)
        driver.die(parent)
        renew(driver, child)
        assert driver.reap() == (1, 0, 0)
        assert driver.store.asked(child.runner).wait(PATIENCE) == Asked([], drain=True)
        renew(driver, child)
        assert driver.finish(claim)
        assert driver.state(job) is State.SUCCEEDED

    def test_a_buried_child_leaves_its_parent_and_the_other_children(self, driver: Driver) -> None:
        jobs, parent = [driver.new(), driver.new()], driver.enlist(slots=0)
        dies, lives = driver.enlist(parent=parent), driver.enlist(parent=parent)
        driver.add(jobs[0])
        driver.start(dies, driver.claim_one(dies))
        driver.add(jobs[1])
        claim = driver.claim_one(lives)
        driver.die(dies)
        renew(driver, parent, lives)
        assert driver.reap() == (1, 1, 0)
        assert driver.store.asked(lives.runner).wait(PATIENCE) == Asked([], drain=False)
        assert driver.finish(claim)
        renew(driver, parent)
        assert [driver.record(job).deaths for job in jobs] == [1, 0]
