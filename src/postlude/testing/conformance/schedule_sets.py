"""Which schedules are in force: what releases declare, what people pause, resume and run."""

import threading

from postlude.clock import SECOND, ManualClock
from postlude.model.ids import IdSource
from postlude.model.overrides import read_opts
from postlude.model.schedule import Missed
from postlude.stores.scheduling import Fired
from postlude.stores.signals import Signals
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver
from postlude.testing.conformance.schedules import declare, due, fire, known, schedule


class ScheduleSetCases(Cases):
    """What `Scheduling` promises of declarations, pauses and runs by hand."""

    def test_another_rule_counts_from_now_on(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(missed=Missed.ALL))
        clock.advance(45)
        assert declare(driver, schedule(seconds=10, missed=Missed.ALL))
        assert fire(driver) == Fired([], clock.now() + 5 * SECOND)

    def test_what_is_the_same_goes_on(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(missed=Missed.ALL))
        clock.advance(130)  # nobody is there
        declare(driver, schedule(missed=Missed.ALL, queue="mail"), schedule("other"))
        assert len(due(driver)) == 2

    def test_one_that_is_declared_no_more_stops(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(), schedule("other"))
        declare(driver, schedule("other"))
        assert set(known(driver)) == {"other"}
        clock.advance(60)
        assert [time.name for time in fire(driver).times] == ["other"]
        assert declare(driver)
        assert known(driver) == {}
        assert fire(driver) == Fired([], None)

    def test_one_that_comes_back_makes_up_for_nothing(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(missed=Missed.ALL))
        declare(driver)
        clock.advance(600)
        declare(driver, schedule(missed=Missed.ALL))
        assert due(driver) == []

    def test_applications_do_not_remove_each_others(self, driver: Driver) -> None:
        declare(driver, schedule("one"), application="one")
        declare(driver, schedule("two"), application="two")
        assert set(known(driver)) == {"one", "two"}
        declare(driver, application="two")
        assert set(known(driver)) == {"one"}

    def test_the_set_that_was_seen_first_last_is_in_force(self, driver: Driver, clock: ManualClock) -> None:
        old, new, late = driver.enlist(), driver.enlist(), driver.enlist()
        assert declare(driver, schedule(), runner=old)
        assert declare(driver, schedule(seconds=10), schedule("other"), runner=new)
        clock.advance(1)
        # A process of the old release starts once more, in the middle of the deploy.
        assert not declare(driver, schedule(), runner=late)
        assert not declare(driver, schedule(), runner=old)
        assert set(known(driver)) == {"minutely", "other"}
        assert declare(driver, schedule(seconds=10), schedule("other"), runner=new)

    def test_a_release_that_is_rolled_back_is_in_force_when_the_other_has_gone(self, driver: Driver) -> None:
        old, new = driver.enlist(), driver.enlist()
        declare(driver, schedule(), runner=old)
        declare(driver, schedule("other"), runner=new)
        assert not declare(driver, schedule(), runner=old)
        driver.store.retire(new.runner, draining=True).wait(PATIENCE)
        assert declare(driver, schedule(), runner=old)
        assert set(known(driver)) == {"minutely"}

    def test_a_paused_one_adds_nothing_until_it_is_resumed(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(missed=Missed.ALL))
        assert driver.store.pause_schedule("minutely").wait(PATIENCE)
        assert not driver.store.pause_schedule("minutely").wait(PATIENCE)
        assert known(driver)["minutely"].paused == clock.now()
        clock.advance(130)
        declare(driver, schedule(seconds=30, missed=Missed.ALL))  # a deploy does not resume it
        assert fire(driver) == Fired([], None)
        assert driver.store.resume_schedule("minutely").wait(PATIENCE)
        assert not driver.store.resume_schedule("minutely").wait(PATIENCE)
        assert known(driver)["minutely"][2:4] == (clock.now() + 20 * SECOND, None)
        assert due(driver) == []
        clock.advance(20)
        assert len(due(driver)) == 1

    def test_what_is_not_there_is_neither_paused_nor_run(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule())
        declare(driver)
        for name in ("minutely", "nothing"):
            assert not driver.store.pause_schedule(name).wait(PATIENCE)
            assert not driver.store.resume_schedule(name).wait(PATIENCE)
            assert driver.store.run_schedule(name, IdSource().new(clock.now())).wait(PATIENCE) is None
        assert driver.store.schedule_times("nothing", 5).wait(PATIENCE) == []

    def test_one_is_run_by_hand_also_while_it_is_paused(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule())
        driver.store.pause_schedule("minutely").wait(PATIENCE)
        id = IdSource().new(clock.now())
        added = driver.store.run_schedule("minutely", id).wait(PATIENCE)
        assert added is not None
        claim = driver.claim_one(driver.enlist())
        assert (claim.id, claim.seq) == (id, added.seq)
        assert read_opts(claim.given.opts).schedule == "minutely"
        assert driver.store.schedule_times("minutely", 5).wait(PATIENCE) == []

    def test_a_rule_that_is_not_known_here_is_left_to_others(
        self, driver: Driver, clock: ManualClock
    ) -> None:
        declare(driver, schedule(), schedule("strange", rule="at dawn"))
        clock.advance(60)
        assert [time.name for time in fire(driver).times] == ["minutely"]
        assert known(driver)["strange"].next is None

    def test_listeners_are_told_of_what_is_declared_and_resumed(self, driver: Driver) -> None:
        told = threading.Event()

        class Ear(Signals):
            def schedules(self) -> None:
                told.set()

        ear = Ear()
        driver.store.listen(ear)
        try:
            declare(driver, schedule())
            assert told.wait(PATIENCE)
            driver.store.pause_schedule("minutely").wait(PATIENCE)
            driver.store.schedules().wait(PATIENCE)
            told.clear()
            driver.store.resume_schedule("minutely").wait(PATIENCE)
            assert told.wait(PATIENCE)
        finally:
            driver.store.leave(ear)
