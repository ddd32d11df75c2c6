"""What happens to schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from postlude.model.event import Event


class Time(Protocol):
    """A due time; see `postlude.stores.scheduling.FiredTime`."""

    @property
    def name(self) -> str: ...

    @property
    def due(self) -> int: ...

    @property
    def job(self) -> bytes | None: ...

    @property
    def missed(self) -> bool: ...


@dataclass(frozen=True)
class SchedulesFired(Event):
    """This process has dealt with due times of schedules (`times`): added their jobs, or passed them over."""

    times: Sequence[Time]


@dataclass(frozen=True)
class TimesMissed(Event):
    """Due times of a schedule passed (`first` to `last`) while nobody was there; `jobs` make up for them."""

    schedule: str
    times: int
    first: int
    last: int
    jobs: int


@dataclass(frozen=True)
class SchedulesInForce(Event):
    """So many schedules of this release of an application are in force from now on."""

    application: str
    schedules: int


@dataclass(frozen=True)
class SchedulesSuperseded(Event):
    """Those of a newer release of it are in force, of which processes run; this one's are not."""

    application: str
