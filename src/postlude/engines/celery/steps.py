"""The parts that Celery's worker gets from us: bootsteps, as Celery calls them."""

from collections.abc import Callable
from typing import Any, Final

from celery import bootsteps

BEAT_EVERY: Final = 0.5
"""Seconds between the times that the worker tells how many messages it has."""


def end_step(signals_set: Callable[[Any], None]) -> type:
    """Return the part of the worker that hears that it is to end; it begins after Celery hears signals.

    Args:
        signals_set: called then, with the worker.
    """

    class End(bootsteps.StartStopStep):  # type: ignore[misc]  # it has no types
        def start(self, parent: Any) -> None:
            signals_set(parent)

    return End


def beat_step(beat: Callable[[int], None]) -> type:
    """Return the part of the worker's consumer that tells, from time to time, how it is.

    Args:
        beat: called in the worker's loop, with how many calls run at once.
    """

    class Beat(bootsteps.StartStopStep):  # type: ignore[misc]  # it has no types
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._entry: Any = None

        def start(self, parent: Any) -> None:
            room = int(parent.controller.concurrency or 1)
            beat(room)
            self._entry = parent.timer.call_repeatedly(BEAT_EVERY, beat, (room,))

        def stop(self, parent: Any) -> None:
            entry, self._entry = self._entry, None
            if entry is not None:
                entry.cancel()

    return Beat
