"""Schedules: each due time once, whoever looks, and only those of the set that is in force."""

from collections.abc import Sequence
from typing import Any

import pytest

from postlude.clock import SECOND, ManualClock
from postlude.errors import KeyTaken
from postlude.model.cron import every
from postlude.model.ids import IdSource
from postlude.model.job import JobFilter
from postlude.model.overrides import read_opts
from postlude.model.schedule import MOST, Missed, Schedule, write_terms
from postlude.model.state import State
from postlude.model.terms import Conflict, Terms
from postlude.stores.protocol import Enlisted
from postlude.stores.scheduling import Fired, ScheduleRecord
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver

MINUTE = 60 * SECOND


def schedule(name: str = "minutely", seconds: float = 60, **other: Any) -> Schedule:
    """Make a schedule of a job in each interval."""
    terms = other.pop("terms", Terms())
    missed, leeway = other.pop("missed", Missed.ONCE), other.pop("leeway", 60.0)
    made = Schedule(
        name, "app:task", "default", every(seconds), "UTC", missed, round(leeway * SECOND),
        b'{"a":[],"k":{}}', write_terms(terms),
    )  # fmt: skip
    return made._replace(**other)


def declare(
    driver: Driver, *schedules: Schedule, runner: Enlisted | None = None, application: str = "shop"
) -> bool:
    number = None if runner is None else runner.runner
    return driver.store.declare_schedules(number, application, schedules).wait(PATIENCE)


def fire(driver: Driver) -> Fired:
    return driver.store.fire().wait(PATIENCE)


def due(driver: Driver) -> list[int]:
    """Fire, and return the due times that became jobs, in seconds from the beginning of the case."""
    return [time.due // SECOND % 1_000_000 for time in fire(driver).times if time.job is not None]


def known(driver: Driver) -> dict[str, ScheduleRecord]:
    return {one.schedule.name: one for one in driver.store.schedules().wait(PATIENCE)}


def jobs(driver: Driver) -> Sequence[bytes]:
    return [job.id for job in reversed(driver.store.page(JobFilter(limit=5000)).wait(PATIENCE))]


class ScheduleCases(Cases):
    """What `Scheduling` and `LookingAtSchedules` promise."""

    def test_nothing_is_due_without_schedules(self, driver: Driver) -> None:
        assert fire(driver) == Fired([], None)
        assert driver.store.schedules().wait(PATIENCE) == []

    def test_the_first_due_time_is_after_the_declaration(self, driver: Driver, clock: ManualClock) -> None:
        clock.advance(30)
        assert declare(driver, schedule())
        assert fire(driver) == Fired([], clock.now() + 30 * SECOND)
        clock.advance(30)
        fired = fire(driver)
        ((name, due, job, missed),) = fired.times
        assert (name, due, missed) == ("minutely", clock.now(), False)
        assert fired.next == clock.now() + MINUTE
        assert jobs(driver) == [job]

    def test_the_job_of_a_due_time_is_as_any_other(self, driver: Driver, clock: ManualClock) -> None:
        terms = Terms(priority=3, owner="ada")
        declare(driver, schedule(queue="mail", payload=b'{"a":[],"k":{"n":7}}', terms=terms))
        clock.advance(61)
        due = clock.now() - SECOND
        fire(driver)
        claim = driver.claim_one(driver.enlist())
        assert (claim.task, claim.queue, claim.payload) == ("app:task", "mail", b'{"a":[],"k":{"n":7}}')
        opts = read_opts(claim.given.opts)
        assert (opts.schedule, opts.scheduled_for) == ("minutely", due)
        record = driver.store.get(claim.id).wait(PATIENCE)
        assert record is not None
        assert (record.priority, record.owner, record.created) == (3, "ada", clock.now())
        assert driver.finish(claim)
        (time,) = driver.store.schedule_times("minutely", 5).wait(PATIENCE)
        assert time == (due, True, claim.id, State.SUCCEEDED)
        assert known(driver)["minutely"].last == time

    def test_a_due_time_is_fired_once(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule())
        clock.advance(60)
        assert len(due(driver)) == 1
        assert due(driver) == []
        assert len(jobs(driver)) == 1

    def test_a_due_time_is_fired_once_by_all_processes(
        self, driver: Driver, elsewhere: Driver, clock: ManualClock
    ) -> None:
        declare(driver, schedule(seconds=1))
        seen = []
        for number in range(10):
            clock.advance(1)
            first, second = (driver, elsewhere) if number % 2 else (elsewhere, driver)
            replies = [first.store.fire(), second.store.fire()]
            seen += [time.due for reply in replies for time in reply.wait(PATIENCE).times]
        assert seen == sorted(set(seen))
        assert len(seen) == len(jobs(driver)) == 10

    def test_old_times_are_forgotten_but_for_the_last_hundred(
        self, driver: Driver, clock: ManualClock
    ) -> None:
        declare(driver, schedule(missed=Missed.SKIP), schedule("rare", seconds=86_400, missed=Missed.SKIP))
        for _ in range(3):
            clock.advance(24 * 3600)
            while (upcoming := fire(driver).next) is not None and upcoming <= clock.now():
                pass
        times = driver.store.schedule_times("minutely", 10_000).wait(PATIENCE)
        assert 1000 <= len(times) <= 2 * 24 * 60 + 1
        assert len(driver.store.schedule_times("rare", 10_000).wait(PATIENCE)) == 3

    def test_hundreds_may_be_due_at_one_moment(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, *(schedule(f"s{number}") for number in range(300)))
        clock.advance(60)
        assert len({time.name for time in fire(driver).times}) == 300
        assert len(jobs(driver)) == 300

    def test_what_is_too_much_for_one_call_is_left_to_the_next(
        self, driver: Driver, clock: ManualClock
    ) -> None:
        declare(driver, *(schedule(name, seconds=2, missed=Missed.ALL) for name in ("one", "two", "three")))
        clock.advance(1200)
        times, calls = [], 0
        while (fired := fire(driver)).next is not None and (calls := calls + 1) < 10:
            times += [time[:2] for time in fired.times]
            if fired.next > clock.now():
                break
        assert len(times) == len(set(times)) == 3 * 600
        assert len(jobs(driver)) == 3 * 600

    def test_a_clock_that_is_set_back_repeats_nothing(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule())
        clock.advance(180)
        assert len(due(driver)) == 2  # one that is missed by a minute and more is made up for by these
        clock.set(-120)
        declare(driver, schedule())  # an application that is started then
        clock.advance(180)
        assert len(due(driver)) == 1
        assert len(jobs(driver)) == 3

    def test_a_clock_that_was_far_ahead_leaves_no_silence(self, driver: Driver, clock: ManualClock) -> None:
        clock.set(10_000_000)
        declare(driver, schedule())
        clock.set(-10_000_000)
        declare(driver, schedule())
        clock.advance(60)
        assert len(due(driver)) == 1

    @pytest.mark.parametrize("missed, number", [(Missed.SKIP, 0), (Missed.ONCE, 1), (Missed.ALL, 10)])
    def test_missed_times(self, driver: Driver, clock: ManualClock, missed: Missed, number: int) -> None:
        declare(driver, schedule(missed=missed, leeway=5))
        clock.advance(10 * 60 + 30)
        fired = fire(driver).times
        assert len(fired) == 10
        assert all(time.missed for time in fired)
        ran = [time.due for time in fired if time.job is not None]
        assert ran == [time.due for time in fired][10 - number :]
        assert len(jobs(driver)) == number
        assert [time.ran for time in driver.store.schedule_times("minutely", 3).wait(PATIENCE)] == [
            number > 0, number > 1, number > 2,
        ]  # fmt: skip

    @pytest.mark.parametrize("missed", list(Missed))
    def test_times_within_the_leeway_are_never_missed(
        self, driver: Driver, clock: ManualClock, missed: Missed
    ) -> None:
        declare(driver, schedule(seconds=1, missed=missed, leeway=60))
        clock.advance(10)
        fired = fire(driver).times
        assert [time.missed for time in fired] == [False] * 10
        assert len(jobs(driver)) == 10

    def test_one_that_is_in_time_stands_for_those_that_were_missed(
        self, driver: Driver, clock: ManualClock
    ) -> None:
        declare(driver, schedule(missed=Missed.ONCE, leeway=5))
        clock.advance(10 * 60 + 3)
        fired = fire(driver).times
        assert [time.missed for time in fired] == [True] * 9 + [False]
        assert [time.job is not None for time in fired] == [False] * 9 + [True]

    def test_what_was_missed_is_bounded(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(seconds=1, missed=Missed.ALL))
        clock.advance(MOST + 5000)
        fired = fire(driver)
        assert [time.due for time in fired.times] == [
            clock.now() - (MOST - 1 - n) * SECOND for n in range(MOST)
        ]
        assert fired.next == clock.now() + SECOND

    def test_a_key_that_is_taken_stands_for_the_due_time(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(terms=Terms(key="k")))
        clock.advance(60)
        fire(driver)
        clock.advance(60)
        (time,) = fire(driver).times
        assert len(jobs(driver)) == 1
        assert time.job is not None
        found = driver.store.get(time.job).wait(PATIENCE)
        assert found is not None
        assert [found.id] == jobs(driver)

    def test_a_key_that_raises_leaves_the_due_time_without_a_job(
        self, driver: Driver, clock: ManualClock
    ) -> None:
        declare(driver, schedule(terms=Terms(key="k", conflict=Conflict.RAISE)))
        clock.advance(60)
        fire(driver)
        clock.advance(60)
        assert fire(driver).times == [("minutely", clock.now(), None, False)]
        assert len(jobs(driver)) == 1
        with pytest.raises(KeyTaken, match="k"):
            driver.store.run_schedule("minutely", IdSource().new(clock.now())).wait(PATIENCE)

    def test_schedules_outlive_their_process(self, driver: Driver, clock: ManualClock) -> None:
        declare(driver, schedule(missed=Missed.ALL))
        clock.advance(60)
        fire(driver)
        driver.reopen()
        assert due(driver) == []
        clock.advance(120)
        assert len(due(driver)) == 2
        assert len(jobs(driver)) == 3

    @pytest.mark.parametrize("how", ["stored", "gone"])
    def test_a_commit_that_is_lost_loses_and_repeats_nothing(
        self, driver: Driver, clock: ManualClock, how: str
    ) -> None:
        declare(driver, schedule())
        clock.advance(60)
        driver.bench.lose_commit(driver.store, how)
        fire(driver)
        fire(driver)
        assert len(jobs(driver)) == 1
        assert len(driver.store.schedule_times("minutely", 5).wait(PATIENCE)) == 1
