"""The dispatcher: who hears what, and that nobody is harmed by a listener."""

import logging
from threading import Thread

import pytest

from postlude.model.event import Event
from postlude.model.event.jobs import ArgumentsChanged, AttemptEnded, AttemptUnsuccessful
from postlude.model.event.runner import LeaseLost, NoLifespan
from postlude.model.outcome import SUCCEEDED, Snoozed
from postlude.telemetry.events import Events

ENDED = AttemptEnded(bytes(16), "app:f", "default", 1, 1, 2, SUCCEEDED)
SNOOZED = AttemptUnsuccessful(bytes(16), "app:f", "default", 1, 1, 2, Snoozed(3), None, None)


def heard_of(events: Events, *kinds: type[Event]) -> list[Event]:
    heard = list[Event]()
    events.listen(heard.append, *kinds)
    return heard


def test_each_hears_what_it_listens_for() -> None:
    events = Events()
    one, both, none = (
        heard_of(events, LeaseLost),
        heard_of(events, LeaseLost, NoLifespan),
        heard_of(events),
    )
    events.emit(LeaseLost())
    events.emit(NoLifespan())
    assert (one, both, none) == ([LeaseLost()], [LeaseLost(), NoLifespan()], [])


def test_a_kind_is_heard_with_those_that_are_made_of_it() -> None:
    events = Events()
    ends, unsuccessful = heard_of(events, AttemptEnded), heard_of(events, AttemptUnsuccessful)
    everything = heard_of(events, Event)
    events.emit(ENDED)
    events.emit(SNOOZED)
    assert (ends, unsuccessful) == ([ENDED, SNOOZED], [SNOOZED])
    assert everything == [ENDED, SNOOZED]


def test_who_listens_twice_hears_once() -> None:
    events, heard = Events(), list[Event]()
    for _ in range(2):
        events.listen(heard.append, LeaseLost, Event)
    events.emit(LeaseLost())
    assert heard == [LeaseLost()]


def test_who_has_left_hears_nothing_and_kinds_without_listeners_are_not_heard() -> None:
    events, stays, leaves = Events(), list[Event](), list[Event]()
    events.listen(stays.append, LeaseLost)
    events.listen(leaves.append, LeaseLost, NoLifespan)
    events.leave(leaves.append)
    events.emit(LeaseLost())
    assert (stays, leaves) == ([LeaseLost()], [])
    assert set(events.heard) == {LeaseLost}


class Holder:
    def __init__(self) -> None:
        self.heard = list[Event]()

    def hear(self, event: Event) -> None:
        self.heard.append(event)


def test_a_method_leaves_as_it_came() -> None:
    """Each look at a method gives another object."""
    events, holder = Events(), Holder()
    events.listen(holder.hear, LeaseLost)
    events.leave(holder.hear)
    events.emit(LeaseLost())
    assert not holder.heard


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3), KeyboardInterrupt()])
def test_one_that_raises_harms_nobody_and_is_said_once(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events()

    def breaks(event: Event) -> None:
        raise error

    before = heard_of(events, LeaseLost)
    events.listen(breaks, LeaseLost)
    after = heard_of(events, LeaseLost)
    for _ in range(3):
        events.emit(LeaseLost())
    assert len(before) == len(after) == 3
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("postlude", logging.ERROR)
    assert "breaks" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_one_that_comes_back_is_said_again(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()

    def breaks(event: Event) -> None:
        raise ValueError("mine")

    for _ in range(2):
        events.listen(breaks, LeaseLost)
        events.emit(LeaseLost())
        events.leave(breaks)
    assert len(caplog.records) == 2


def test_each_that_raises_is_said(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()
    for _ in range(2):
        events.listen(lambda event: event.no_such_field, LeaseLost)
    events.emit(LeaseLost())
    assert len(caplog.records) == 2


def test_whether_somebody_cares_now() -> None:
    events, cares = Events(), False
    assert not events.wanted(ArgumentsChanged)
    listener = list[Event]().append
    events.listen(listener, ArgumentsChanged, when=lambda: cares)
    assert not events.wanted(ArgumentsChanged)
    cares = True
    assert events.wanted(ArgumentsChanged)
    events.leave(listener)
    assert not events.wanted(ArgumentsChanged)
    heard_of(events, ArgumentsChanged)
    assert events.wanted(ArgumentsChanged)


def test_one_that_comes_back_without_a_condition_cares_always() -> None:
    events, heard = Events(), list[Event]()
    events.listen(heard.append, ArgumentsChanged, when=lambda: False)
    listener = next(iter(events.heard[ArgumentsChanged]))
    events.leave(listener)
    events.listen(listener, ArgumentsChanged)
    assert events.wanted(ArgumentsChanged)


def test_they_come_and_go_while_others_hear() -> None:
    events = Events()
    heard = heard_of(events, LeaseLost)

    def come_and_go() -> None:
        for _ in range(300):
            listener = list[Event]().append
            events.listen(listener, Event)
            events.leave(listener)

    threads = [Thread(target=come_and_go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        events.emit(LeaseLost())
    for thread in threads:
        thread.join(10)
    assert len(heard) == 300
    assert set(events.heard) == {LeaseLost}


def test_they_are_values() -> None:
    waiting: list[type[Event]] = [Event]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
    assert LeaseLost() == LeaseLost()
