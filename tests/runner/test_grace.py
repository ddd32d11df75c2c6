"""How long an end waits, and what is said of it."""

import asyncio
from collections.abc import Callable

import pytest

from postlude.model.event import Event
from postlude.model.event.runner import Draining, GraceOver, JobName
from postlude.runner.attempt.work import Work
from postlude.runner.grace import wait_within
from postlude.telemetry.events import Events

pytestmark = pytest.mark.anyio

HELD = {1: Work(bytes(16), "app:send", "default", b"", 0)}


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def events(told: list[Event]) -> Events:
    events = Events()
    hear: Callable[[Event], None] = told.append
    events.listen(hear, Draining, GraceOver)
    return events


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_is_waited_for_and_what_is_left_is_said(events: Events, told: list[Event]) -> None:
    await wait_within(0.001, never(), HELD, events)
    names = (JobName(bytes(16), "app:send"),)
    assert told == [Draining(0.001, names), GraceOver(names)]


@pytest.mark.parametrize("grace", [0.0, 0.001])
async def test_where_nothing_is_held_nothing_is_said(events: Events, told: list[Event], grace: float) -> None:
    await wait_within(grace, never(), {}, events)
    assert told == []
