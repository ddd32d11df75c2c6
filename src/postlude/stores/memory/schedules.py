"""The schedules of a memory store: its verbs about them, under its lock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from postlude.clock import Clock
from postlude.errors import PostludeError
from postlude.model.cron import BadRule
from postlude.model.job import Added, NewJob
from postlude.model.schedule import DueTime, Schedule, digest_of, due_times, job_of, next_after
from postlude.stores.audit import numbers_of
from postlude.stores.memory.add import Intake
from postlude.stores.memory.lock import TellingLock
from postlude.stores.memory.runners import Runners
from postlude.stores.memory.shelves import Shelves
from postlude.stores.reply import Reply
from postlude.stores.scheduling import Fired, FiredTime, ScheduleRecord, ScheduleTime
from postlude.stores.values import Deed

T = TypeVar("T")

KEPT: Final = 1000
"""Due times that are shown of each schedule."""


@dataclass(slots=True)
class _Row:
    """A schedule that is, or was, in force."""

    schedule: Schedule
    application: str
    done: int
    next: int | None
    paused: int | None = None
    removed: bool = False
    times: dict[int, int | None] = field(default_factory=dict)
    """Due times that are dealt with, each with its job's place, if it has one."""


class ScheduleVerbs:
    """What a memory store does with schedules."""

    _clock: Clock
    _lock: TellingLock
    _shelves: Shelves
    _intake: Intake
    _runners: Runners

    def __init__(self) -> None:
        self._schedules: dict[str, _Row] = {}
        self._sets: dict[str, dict[str, int]] = {}
        """By application, when each of its sets was declared for the first time."""
        self._declarers: dict[tuple[str, int], str] = {}

    def declare_schedules(
        self, runner: int | None, application: str, schedules: Sequence[Schedule]
    ) -> Reply[bool]:
        with self._lock:
            digest, known = digest_of(schedules), self._sets.setdefault(application, {})
            if digest not in known:
                if not schedules and not known:
                    return Reply.of(True)
                known[digest] = max(self._clock.now(), *(first + 1 for first in known.values()), 0)
            if runner is not None:
                self._declarers[application, runner] = digest
            self._declarers = {
                key: each for key, each in self._declarers.items() if self._runners.get(key[1]) is not None
            }
            living = [each for (of, _), each in self._declarers.items() if of == application]
            if known[digest] < max((known[each] for each in living), default=0):
                return Reply.of(False)
            self._take_over(application, schedules)
            return Reply.of(True)

    def _take_over(self, application: str, schedules: Sequence[Schedule]) -> None:
        now = self._clock.now()
        for new in schedules:
            row = self._schedules.get(new.name)
            if row is None:
                self._schedules[new.name] = _Row(new, application, now, next_after(new, now))
            else:
                old = row.schedule
                stays = not row.removed and (old.rule, old.zone) == (new.rule, new.zone) and row.done <= now
                row.schedule, row.application, row.removed = new, application, False
                if not stays:
                    row.done = now
                    row.next = next_after(new, now) if row.paused is None else None
        names = {one.name for one in schedules}
        for name, row in self._schedules.items():
            if row.application == application and name not in names:
                row.removed, row.next = True, None
        self._shelves.said.schedules = True

    def fire(self) -> Reply[Fired]:
        with self._lock:
            now = self._clock.now()
            times: list[FiredTime] = []
            rows = [row for row in self._schedules.values() if row.next is not None and row.next <= now]
            for row in sorted(rows, key=lambda row: (row.next, row.schedule.name)):
                try:
                    due = due_times(row.schedule, row.done, now)
                except BadRule:
                    continue
                times += self._fire(row, due, now)
                row.done, row.next = now, next_after(row.schedule, now)
            upcoming = [
                row.next for row in self._schedules.values() if row.next is not None and row.next > now
            ]
            return Reply.of(Fired(times, min(upcoming, default=None)))

    def _fire(self, row: _Row, times: Sequence[DueTime], now: int) -> list[FiredTime]:
        fired: list[FiredTime] = []
        for due, runs, missed in times:
            if due in row.times:
                continue
            job = job_of(row.schedule, now, due=due) if runs else None
            added = None if job is None else self._add_scheduled(job, now)
            stored = isinstance(added, Added)
            row.times[due] = added.seq if isinstance(added, Added) else None
            fired.append(FiredTime(row.schedule.name, due, job.id if job and stored else None, missed))
        for old in sorted(row.times)[:-KEPT]:
            del row.times[old]
        return fired

    def _add_scheduled(self, job: NewJob, now: int) -> Added | PostludeError:
        refused = self._intake.refusal([job])
        return refused if refused is not None else self._intake.queue([job], now)[0]

    def pause_schedule(self, name: str, by: Deed | None = None) -> Reply[bool]:
        with self._lock:
            row = self._in_force(name)
            if paused := row is not None and row.paused is None:
                row.paused, row.next = self._clock.now(), None
            return Reply.of(self._noted(by, paused))

    def resume_schedule(self, name: str, by: Deed | None = None) -> Reply[bool]:
        with self._lock:
            row = self._in_force(name)
            if resumed := row is not None and row.paused is not None:
                row.paused, row.done = None, self._clock.now()
                row.next = next_after(row.schedule, row.done)
                self._shelves.said.schedules = True
            return Reply.of(self._noted(by, resumed))

    def run_schedule(self, name: str, id: bytes, by: Deed | None = None) -> Reply[Added | None]:
        with self._lock:
            row, now = self._in_force(name), self._clock.now()
            if row is None:
                return Reply.of(self._noted(by, None))
            added = self._add_scheduled(job_of(row.schedule, now, id=id), now)
            return (
                Reply.failed(added) if isinstance(added, PostludeError) else Reply.of(self._noted(by, added))
            )

    def _noted(self, by: Deed | None, answer: T) -> T:
        if by is not None:
            self._shelves.acts.note(by, self._clock.now(), numbers_of(answer))
        return answer

    def schedules(self) -> Reply[list[ScheduleRecord]]:
        with self._lock:
            rows = [row for name, row in sorted(self._schedules.items()) if not row.removed]
            return Reply.of([self._schedule_record(row) for row in rows])

    def schedule_times(self, name: str, limit: int) -> Reply[list[ScheduleTime]]:
        with self._lock:
            row = self._schedules.get(name)
            times = [] if row is None else sorted(row.times, reverse=True)[:limit]
            return Reply.of([self._schedule_time(row, due) for due in times if row is not None])

    def _in_force(self, name: str) -> _Row | None:
        row = self._schedules.get(name)
        return None if row is None or row.removed else row

    def _schedule_record(self, row: _Row) -> ScheduleRecord:
        last = max(row.times, default=None)
        shown = None if last is None else self._schedule_time(row, last)
        return ScheduleRecord(row.schedule, row.application, row.next, row.paused, shown)

    def _schedule_time(self, row: _Row, due: int) -> ScheduleTime:
        seq = row.times[due]
        job = None if seq is None else self._shelves.rows.get(seq)
        if job is None:
            return ScheduleTime(due, seq is not None, None, None)
        return ScheduleTime(due, True, job.job.id, job.stored.public)
