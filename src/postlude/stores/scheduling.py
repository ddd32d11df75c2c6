"""The role of a store that keeps schedules; see `postlude.stores.protocol` for what holds of all of them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from postlude.model.job import Added
from postlude.model.schedule import Schedule
from postlude.model.state import State
from postlude.stores.reply import Reply
from postlude.stores.values import Deed


class ScheduleSet(NamedTuple):
    """One call of `Scheduling.declare_schedules`."""

    runner: int | None
    application: str
    schedules: Sequence[Schedule]


class RunCall(NamedTuple):
    """One call of `Scheduling.run_schedule`."""

    name: str
    id: bytes


class FiredTime(NamedTuple):
    """A due time that was dealt with."""

    name: str
    """The schedule's."""
    due: int
    """Microseconds, UTC."""
    job: bytes | None
    """The id of its job; None: it has none, because it was missed, or another job has its key."""
    missed: bool
    """Whether nobody was there at the time."""


class Fired(NamedTuple):
    """What a look at schedules found."""

    times: list[FiredTime]
    next: int | None
    """When there will be more (microseconds, UTC)."""


class ScheduleTime(NamedTuple):
    """A due time that has been, as people see it."""

    due: int
    """Microseconds, UTC."""
    ran: bool
    """Whether a job was added for it."""
    job: bytes | None
    """The id of that job, while it is kept."""
    state: State | None


class ScheduleRecord(NamedTuple):
    """A schedule as the journal has it."""

    schedule: Schedule
    application: str
    """Whose it is."""
    next: int | None
    """Its next due time (microseconds, UTC); None while it is paused, and if there is none."""
    paused: int | None
    """Since when it is paused (microseconds, UTC)."""
    last: ScheduleTime | None


class LookingAtSchedules(Protocol):
    """Looking at schedules. Never waits for a writer."""

    def schedules(self) -> Reply[list[ScheduleRecord]]:
        """Return the schedules that are in force, by name."""
        ...

    def schedule_times(self, name: str, limit: int) -> Reply[list[ScheduleTime]]:
        """Return the last due times of a schedule, newest first."""
        ...


class Scheduling(Protocol):
    """Schedules: declared by releases, kept by the journal, fired by whoever comes first."""

    def declare_schedules(
        self, runner: int | None, application: str, schedules: Sequence[Schedule]
    ) -> Reply[bool]:
        """Say which schedules a release of an application has; False: another release's are in force.

        Of the sets that the application's living runners declare, that one is in force which was declared for
        the first time last; when its last runner has gone, the next one that is declared (again) can be. What
        is in force and is in the set no more is removed. So a release that is rolled out takes over with its
        first process, an old one's that starts once more changes nothing, and one that is rolled back takes
        over when the new one's last process has gone.

        Due times are those after the moment at which a schedule, or another rule or zone of it, comes into
        force. Paused ones stay paused.

        Args:
            runner: whoever declares; None: it lives for this call.
            application: whose the set is; those of other applications are left alone, but for equal names.
            schedules: all that it has.
        """
        ...

    def fire(self) -> Reply[Fired]:
        """Add the jobs of the due times that have come: in one transaction with the note that they have.

        Each due time is noted once, by its schedule's name and itself, so it has one job at most, however
        many processes look. That job's `created` is the moment of this, and its key, concurrency key and
        limits are met as those of any job: where its key is taken, `KEEP` leaves the due time to the job that
        has it, and `RAISE` leaves it without one.
        """
        ...

    def pause_schedule(self, name: str, by: Deed | None = None) -> Reply[bool]:
        """Add no jobs of a schedule until `resume_schedule`; False: there is none, or it is paused."""
        ...

    def resume_schedule(self, name: str, by: Deed | None = None) -> Reply[bool]:
        """Undo that; False: there is none, or it is not paused. What was due meanwhile is passed over."""
        ...

    def run_schedule(self, name: str, id: bytes, by: Deed | None = None) -> Reply[Added | None]:
        """Add a job of a schedule now, whatever its times, also while it is paused; None: there is none.

        Its key is met as that of any job: the answer is `KeyTaken` for one that says so.
        """
        ...
