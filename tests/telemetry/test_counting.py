"""What a process counts that no job's row tells of, and what becomes of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from postlude.clock import ManualClock
from postlude.errors import JournalUnavailable, KeyTaken
from postlude.model.counted import (
    ADD,
    ADDS_REFUSED,
    ADDS_TIME,
    ADDS_TIMED,
    ENDS_STALE,
    LEASES_LOST,
    LOOP_STALLS,
    MEMORY_ONLY,
    PROCESSES_DIED,
    TIMES_MISSED,
    Counted,
    counted_of,
    key_of,
)
from postlude.model.event import Event
from postlude.model.event.jobs import EndStale, JobsRefused
from postlude.model.event.runner import LeaseLost, LoopStalled, RunnersBuried
from postlude.model.event.schedules import TimesMissed
from postlude.model.job import NewJob
from postlude.runner.duties.counts import CountsTold
from postlude.stores.memory import MemoryStore
from postlude.telemetry import counting
from postlude.telemetry.counting import OTHER, Counting
from postlude.telemetry.events import Events

JOBS = [NewJob(bytes([n]) * 16, "t", "q", b"", 1) for n in range(2)]


def missed(name: str) -> Event:
    return TimesMissed(name, 3, 1, 2, 1)


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (JobsRefused(JOBS, JournalUnavailable("full")), Counted(ADDS_REFUSED, "unavailable", 2)),
        (JobsRefused(JOBS[:1], KeyTaken("k")), Counted(ADDS_REFUSED, "key_taken", 1)),
        (EndStale(bytes(16), "t", "q", 1), Counted(ENDS_STALE, "", 1)),
        (LeaseLost(), Counted(LEASES_LOST, "", 1)),
        (LoopStalled(3.0, None, 0, ""), Counted(LOOP_STALLS, "", 1)),
        (RunnersBuried(2, 5, 0), Counted(PROCESSES_DIED, "", 2)),
        (missed("nightly"), Counted(TIMES_MISSED, "nightly", 3)),
    ],
)
def test_what_is_rare_is_heard(event: Event, counted: Counted) -> None:
    events = Events()
    one = Counting(events)
    events.emit(event)
    assert one.take() == [counted]
    assert one.take() == []


def test_what_is_counted_elsewhere_is_told_once() -> None:
    one = Counting(Events())
    calls = {"b": 1, "a": 2}
    one.in_memory = lambda: calls
    one.adds.counts[3] += 2
    one.adds.total += 0.25
    assert one.take() == [
        Counted(ADDS_TIME, "", 250_000), Counted(ADDS_TIMED, "3", 2), Counted(MEMORY_ONLY, "a", 2),
        Counted(MEMORY_ONLY, "b", 1),
    ]  # fmt: skip
    calls["a"] = 5
    one.adds.counts[len(ADD)] += 1
    assert one.take() == [Counted(ADDS_TIMED, "13", 1), Counted(MEMORY_ONLY, "a", 3)]


def test_what_is_given_back_is_told_again() -> None:
    one = Counting(Events())
    one.in_memory = lambda: {"a": 1}
    one.note(LEASES_LOST)
    told = one.take()
    one.give_back(told)
    one.note(LEASES_LOST, n=2)
    assert one.take() == [Counted(LEASES_LOST, "", 3), Counted(MEMORY_ONLY, "a", 1)]


def test_so_many_names_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_LABELS", 2)
    events = Events()
    one = Counting(events)
    for name in "abcad":
        events.emit(missed(name))
    assert one.take() == [
        Counted(TIMES_MISSED, "a", 6), Counted(TIMES_MISSED, "b", 3), Counted(TIMES_MISSED, OTHER, 6)
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["", "shop:mail", "a name with spaces", "count it"])
def test_a_key_says_what_it_is_of(label: str) -> None:
    counted = Counted(MEMORY_ONLY, label, 7)
    assert counted_of(key_of(counted), 7) == counted


def test_the_journal_is_told_and_asked_no_more_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(ManualClock())
    one = Counting(store.events)
    told = CountsTold(store, one)
    asked: list[Any] = []
    count: Callable[..., Any] = store.count

    def noted(counted: Any) -> Any:
        asked.append(counted)
        return count(counted)

    monkeypatch.setattr(store, "count", noted)

    async def twice() -> None:
        await told.tell()
        assert asked == []
        one.note(LEASES_LOST)
        await told.tell()
        await told.tell()

    asyncio.run(twice())
    assert len(asked) == 1
    assert store.counted().wait(1) == [Counted(LEASES_LOST, "", 1)]


def test_what_the_journal_does_not_take_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(ManualClock())
    one = Counting(store.events)
    one.note(LEASES_LOST)

    async def refused(counted: Any) -> None:
        raise JournalUnavailable("full")

    with monkeypatch.context() as down:
        down.setattr(store, "count", refused)
        with pytest.raises(JournalUnavailable):
            asyncio.run(CountsTold(store, one).tell())
    asyncio.run(CountsTold(store, one).tell())
    assert store.counted().wait(1) == [Counted(LEASES_LOST, "", 1)]
