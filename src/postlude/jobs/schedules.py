"""Schedules, for people: looking at them, and acting on them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

from postlude.errors import ScheduleNotFound
from postlude.jobs.handle import Enquiries, Job
from postlude.messages.quoting import cut, quoted
from postlude.model.ids import IdSource, id_text
from postlude.model.state import State
from postlude.stores.protocol import Store
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PastTime:
    """A due time that has been."""

    due: datetime
    ran: bool
    """Whether it became a job; else it was missed, or another job had its key."""
    job: str | None
    """The id of that job, while it is kept."""
    state: State | None

    @classmethod
    def of(cls, time: ScheduleTime) -> "PastTime":
        """Read one as the journal gave it."""
        return cls(moment(time.due), time.ran, None if time.job is None else id_text(time.job), time.state)


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A schedule that is in force. Times are UTC."""

    name: str
    task: str
    queue: str
    rule: str
    """The cron expression, or `@every` and seconds."""
    timezone: str
    missed: str
    leeway: float
    """Seconds."""
    application: str
    next: datetime | None
    """Its next due time; None while it is paused, and if there is none."""
    paused: datetime | None
    """Since when it is paused."""
    last: PastTime | None

    @classmethod
    def of(cls, record: ScheduleRecord) -> "ScheduleStatus":
        """Read one as the journal gave it."""
        one = record.schedule
        return cls(
            one.name, one.task, one.queue, one.rule, one.zone, one.missed, one.leeway / 1_000_000,
            record.application,
            None if record.next is None else moment(record.next),
            None if record.paused is None else moment(record.paused),
            None if record.last is None else PastTime.of(record.last),
        )  # fmt: skip


def moment(at: int) -> datetime:
    """Return a time of the journal as a date."""
    return _EPOCH + timedelta(microseconds=at)


class Schedules:
    """The schedules of a journal.

    Args:
        store: the journal.
        opened: opens it if nobody has.
        enquiries: answers what the handles of jobs ask.
    """

    def __init__(self, store: Store, opened: Callable[[], Awaitable[None]], enquiries: Enquiries) -> None:
        self._store = store
        self._opened = opened
        self._enquiries = enquiries
        self._ids: IdSource | None = None

    async def schedules(self) -> list[ScheduleStatus]:
        """Return the schedules that are in force, by name.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        return [ScheduleStatus.of(record) for record in await self._records()]

    async def pause_schedule(self, name: str) -> bool:
        """Add no jobs of a schedule until `resume_schedule`; False if it is paused already.

        It holds for all processes, over restarts and deploys.

        Args:
            name: the schedule's; the task's, if it was declared without one.

        Raises:
            ScheduleNotFound: none of this name is in force.
            JournalUnavailable: the journal cannot be written now.
        """
        await self._find(name)
        return await self._store.pause_schedule(name)

    async def resume_schedule(self, name: str) -> bool:
        """Undo `pause_schedule`; False if it is not paused. What was due meanwhile is passed over.

        Raises:
            ScheduleNotFound: none of this name is in force.
            JournalUnavailable: the journal cannot be written now.
        """
        await self._find(name)
        return await self._store.resume_schedule(name)

    async def run_schedule(self, name: str) -> Job[Any]:
        """Add a job of a schedule now, also while it is paused; its due times stay as they are.

        Raises:
            ScheduleNotFound: none of this name is in force.
            KeyTaken: another job has its key, and it says `on_conflict="raise"`.
            JournalUnavailable: the journal cannot be written now.
        """
        record = await self._find(name)
        if self._ids is None:
            self._ids = IdSource()
        id = self._ids.new(self._store.now())
        if await self._store.run_schedule(name, id) is None:
            raise not_found(name, await self._records())
        return Job(id, record.schedule.task, record.schedule.queue, self._enquiries)

    async def _records(self) -> list[ScheduleRecord]:
        await self._opened()
        return await self._store.schedules()

    async def _find(self, name: str) -> ScheduleRecord:
        records = await self._records()
        for record in records:
            if record.schedule.name == name:
                return record
        raise not_found(name, records)


def not_found(name: object, records: list[ScheduleRecord]) -> ScheduleNotFound:
    """Return the error for a name that no schedule in force has."""
    names = [record.schedule.name for record in records]
    near = get_close_matches(str(name), names)
    told = ", ".join(map(cut, near or names[:10])) or "none; an application declares its own when it starts"
    return ScheduleNotFound(
        f"no schedule {quoted(name)} is in force; {'near to it' if near else 'in force'}: {told}"
    )
