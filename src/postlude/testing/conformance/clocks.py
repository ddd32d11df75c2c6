"""Rates, while people or time servers set the wall clock."""

from postlude.clock import SECOND
from postlude.model.job import Claimed
from postlude.model.limits import DeclaredLimits
from postlude.model.state import Reason, Stored
from postlude.testing.conformance.bench import Cases, Driver
from postlude.testing.conformance.rates import more, rated, starts


class ClockCases(Cases):
    """The wall clock is set, by people or by a time server, while a rate is used up."""

    def test_set_back_nothing_waits_longer_than_the_burst_takes(self, driver: Driver) -> None:
        rated(driver, 3, burst=3)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 3
        driver.clock.set(-3_600)
        more(driver, 4)
        assert starts(driver, runner, 40) == [(10, 1), (20, 1), (30, 1)]

    def test_set_back_those_that_were_given_turns_get_others(self, driver: Driver) -> None:
        jobs, runner = rated(driver, 4), driver.enlist()
        assert len(driver.claim(runner)) == 1
        driver.clock.set(-3_600)
        driver.promote()
        assert driver.claim(runner) == []
        assert [driver.record(job).due for job in jobs[1:]] == [driver.after(10 * n) for n in (1, 2, 3)]

    def test_set_back_a_claim_alone_notices_too(self, driver: Driver) -> None:
        jobs, runner = rated(driver, 2), driver.enlist()
        assert len(driver.claim(runner)) == 1
        driver.clock.set(-3_600)
        driver.claim(runner)
        driver.claim(runner)
        assert driver.record(jobs[1]).due == driver.after(10)

    def test_set_back_and_opened_again(self, driver: Driver) -> None:
        rated(driver, 2)
        assert len(driver.claim(driver.enlist())) == 1
        driver.clock.set(-3_600)
        driver.reopen()
        assert starts(driver, driver.enlist(), 30) == [(10, 1)]

    def test_set_back_a_little_all_keep_their_turns(self, driver: Driver) -> None:
        jobs, runner = rated(driver, 4), driver.enlist()
        assert len(driver.claim(runner)) == 1
        due = [driver.record(job).due for job in jobs[1:]]
        driver.clock.advance(9)
        driver.clock.set(-5)
        driver.promote()
        assert [driver.record(job).due for job in jobs[1:]] == due

    def test_set_forward_no_more_than_the_burst(self, driver: Driver) -> None:
        rated(driver, 9, burst=2)
        runner = driver.enlist()
        assert len(driver.claim(runner)) == 2
        driver.clock.set(86_400)
        assert starts(driver, runner, 40) == [(0, 2), (10, 1), (20, 1), (30, 1)]

    def test_set_forward_and_back_again(self, driver: Driver) -> None:
        rated(driver, 6, burst=2)
        runner = driver.enlist()
        driver.clock.set(86_400)
        assert len(driver.claim(runner)) == 2
        driver.clock.set(-86_400)
        assert starts(driver, runner, 40) == [(10, 1), (20, 1), (30, 1)]

    def test_a_queue_follows_the_clock_too(self, driver: Driver) -> None:
        driver.declare(DeclaredLimits("queue", "q", every=10 * SECOND, burst=2))
        jobs, runner = more(driver, 6, "q"), driver.enlist()
        assert len(driver.claim(runner)) == 2
        driver.clock.set(-3_600)
        assert driver.claimed(runner) == Claimed([], False, driver.after(10))
        assert driver.lie(jobs[-1]) == [(Stored.READY, Reason.RATE)]
        assert starts(driver, runner, 30) == [(10, 1), (20, 1)]
        driver.clock.set(86_400)
        assert len(driver.claim(runner)) == 2
