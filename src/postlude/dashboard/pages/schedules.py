"""Schedules: by which rules jobs are added, when they were, and when they will be."""

from dataclasses import dataclass
from datetime import UTC
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from starlette.responses import Response

from postlude.dashboard.site import Visit
from postlude.dashboard.words import EPOCH, Moment, date_of, length, short_name
from postlude.jobs.schedules import PastTime, ScheduleStatus
from postlude.model.cron import EVERY, NICKNAMES
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime

DOTS: Final = 24
"""Past times that are shown."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A due time that has been."""

    kind: str
    """`succeeded`, `failed`, `missed` ..."""
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule."""

    name: str
    shown: str
    task: str
    function: str
    """Empty: the schedule has no name of its own."""
    task_href: str
    rule: str
    """In words, where that is easy."""
    raw: str
    zone: str
    next: Moment | None
    next_there: str
    """In its own zone; empty: that is UTC."""
    paused: Moment | None
    last: Dot | None
    last_at: Moment | None
    dots: tuple[Dot, ...]
    application: str


@dataclass(frozen=True, slots=True)
class SchedulesPage:
    """What the page shows."""

    rows: tuple[ScheduleRow, ...]
    may_run: bool
    may_pause: bool


async def page(visit: Visit) -> Response:
    """Answer with the list."""
    store = visit.desk.store
    records: list[ScheduleRecord] = await visit.kept("schedules", store.schedules)
    rows: list[ScheduleRow] = []
    for record in records:
        name = record.schedule.name
        times = await _times(visit, name)
        rows.append(_row(visit, ScheduleStatus.of(record), times))
    shown = SchedulesPage(tuple(rows), "run_schedule" in visit.access.act, "pause" in visit.access.act)
    return await visit.page("schedules.html", "Schedules", "schedules", page=shown)


async def _times(visit: Visit, name: str) -> list[ScheduleTime]:
    found: list[ScheduleTime] = await visit.kept(
        ("times", name), lambda: visit.desk.store.schedule_times(name, DOTS)
    )
    return found


def _row(visit: Visit, one: ScheduleStatus, times: list[ScheduleTime]) -> ScheduleRow:
    there = ""
    if one.next is not None and one.timezone not in ("UTC", "Etc/UTC"):
        try:
            there = f"{one.next.astimezone(ZoneInfo(one.timezone)):%a %H:%M} {one.timezone}"
        except (ZoneInfoNotFoundError, ValueError):
            there = ""
    dots = [_dot(visit, PastTime.of(time)) for time in reversed(times)]
    return ScheduleRow(
        name=one.name,
        shown=short_name(one.task) if one.name == one.task else one.name,
        task=one.task,
        function="" if one.name == one.task else short_name(one.task),
        task_href=visit.url("tasks/one", name=one.task),
        rule=rule_in_words(one.rule),
        raw=one.rule,
        zone=one.timezone,
        next=visit.moment(one.next),
        next_there=there,
        paused=visit.moment(one.paused),
        last=dots[-1] if dots else None,
        last_at=visit.moment(date_of(times[0].due)) if times else None,
        dots=tuple(dots),
        application=one.application,
    )


def _dot(visit: Visit, time: PastTime) -> Dot:
    if not time.ran:
        kind, text = "missed", "missed, or another job stood for it"
    elif time.state is None:
        kind, text = "gone", "ran; its job is not kept any more"
    else:
        kind = text = time.state.value
    href = "" if time.job is None else visit.url(f"jobs/{time.job}")
    return Dot(kind, f"{time.due.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {text}", href)


def rule_in_words(rule: str) -> str:
    """Return a rule in words; as it is, where there are none for it."""
    if rule.startswith(EVERY):
        return f"Every {length(float(rule.removeprefix(EVERY)))}"
    try:
        return CronSim(NICKNAMES.get(rule, rule), EPOCH).explain()
    except CronSimError:
        return rule
