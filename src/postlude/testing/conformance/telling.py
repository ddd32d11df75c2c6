"""Where a store tells what happens to it, and those who work with it do."""

from postlude.model.event import Event
from postlude.model.event.jobs import AttemptStarted, JobsAdded
from postlude.model.event.runner import LeaseLost
from postlude.testing.conformance.bench import Cases, Driver


class TellingCases(Cases):
    def test_who_listens_at_its_dispatcher_hears(self, driver: Driver) -> None:
        heard = list[Event]()
        driver.store.events.listen(heard.append, LeaseLost)
        driver.store.events.emit(LeaseLost())
        driver.store.events.leave(heard.append)
        driver.store.events.emit(LeaseLost())
        assert heard == [LeaseLost()]

    def test_the_log_listens_where_nobody_was_asked_to(self, driver: Driver) -> None:
        assert LeaseLost in driver.store.events.heard

    def test_nothing_is_made_of_what_happens_for_every_job(self, driver: Driver) -> None:
        assert not driver.store.events.heard.keys() & {JobsAdded, AttemptStarted}
