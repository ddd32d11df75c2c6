"""Schedules: each process says which its release has, and adds the jobs of those in force that are due."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from postlude.model.event.schedules import SchedulesFired, SchedulesInForce, SchedulesSuperseded, TimesMissed
from postlude.model.schedule import Schedule
from postlude.runner.duties.hearing import Hearing
from postlude.runner.runner import Runner
from postlude.stores.protocol import FiredTime, Store

DECLARE_EVERY: Final = 5.0
"""Seconds between the times that a process asks whether its release's schedules are in force."""


class Declared(Protocol):
    """The schedules of a release."""

    @property
    def application(self) -> str:
        """Whose they are, in the journal."""
        ...

    @property
    def schedules(self) -> Sequence[Schedule]:
        """All that have been declared so far."""
        ...


class Scheduling:
    """The two duties.

    Args:
        runner: as whom the schedules are declared.
        store: the journal.
        declared: what this release has.
        hearing: knows when the next is due.
        again: in how long to look again after an error (microseconds).
    """

    def __init__(
        self,
        runner: Runner,
        store: Store,
        declared: Declared,
        hearing: Hearing,
        now: Callable[[], int],
        again: int,
    ) -> None:
        self._runner = runner
        self._store = store
        self._declared = declared
        self._hearing = hearing
        self._now = now
        self._again = again
        self._in_force: bool | None = None
        self._said = 0

    def may_declare(self) -> bool:
        """Say whether there is anything to declare, or to take back."""
        return bool(self._declared.schedules) or not self._in_force

    async def declare(self) -> None:
        """Say which schedules this release has."""
        schedules = self._declared.schedules
        in_force = await self._store.declare_schedules(
            self._runner.number, self._declared.application, schedules
        )
        if (in_force, len(schedules)) != (self._in_force, self._said):
            self._in_force, self._said = in_force, len(schedules)
            if not in_force:
                self._store.events.emit(SchedulesSuperseded(self._declared.application))
            elif schedules:
                self._store.events.emit(SchedulesInForce(self._declared.application, len(schedules)))

    async def fire(self) -> None:
        """Add the jobs of what is due."""
        hearing = self._hearing
        hearing.next_fire = None  # what is told meanwhile is not lost
        try:
            fired = await self._store.fire()
        except BaseException:
            hearing.fires_at(self._now() + self._again)
            raise
        if fired.next is not None:
            hearing.fires_at(fired.next)
        if fired.times:
            self._store.events.emit(SchedulesFired(fired.times))
            for name, times in _missed(fired.times).items():
                jobs = sum(time.job is not None for time in times)
                told = TimesMissed(name, len(times), times[0].due, times[-1].due, jobs)
                self._store.events.emit(told)


def _missed(times: Sequence[FiredTime]) -> dict[str, list[FiredTime]]:
    found: dict[str, list[FiredTime]] = {}
    for time in times:
        if time.missed:
            found.setdefault(time.name, []).append(time)
    return found
