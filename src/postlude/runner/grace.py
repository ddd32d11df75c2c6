"""The grace period: how long an end waits for jobs, and what is said meanwhile."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Final

from postlude.model.event.runner import Draining, GraceOver
from postlude.runner.attempt.work import Work, names_of
from postlude.telemetry.events import Events

STOP_WITHIN: Final = 1.0
"""Seconds that cancelled tasks have to leave; one that swallows its cancellation is left behind."""


async def wait_within(
    grace: float, idle: Coroutine[None, None, None], held: Mapping[int, Work], events: Events
) -> None:
    """Wait until a runner is idle, for so many seconds; say first what is waited for.

    Args:
        grace: seconds.
        idle: returns when nothing is held any more.
        held: what is.
        events: who is told.
    """
    if held and grace:
        events.emit(Draining(grace, names_of(held.values())))
    try:
        await asyncio.wait_for(idle, grace)
    except TimeoutError:
        if not held:
            return  # without a grace period the time is over at once
        events.emit(GraceOver(names_of(held.values())))
