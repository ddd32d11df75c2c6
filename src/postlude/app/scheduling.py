"""`Postlude.cron` and `Postlude.every`: jobs that are added at their times."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeVar
from zoneinfo import ZoneInfo

from postlude.config import Config
from postlude.errors import PostludeError
from postlude.messages.quoting import quoted
from postlude.tasks.options import Seconds
from postlude.tasks.schedules import (
    LEEWAY,
    ScheduleBook,
    checked_leeway,
    checked_missed,
    cron_rule,
    interval_rule,
)
from postlude.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")

VARIABLE: Final = "POSTLUDE_SCHEDULES"
"""`off`: this process declares no schedules and adds no jobs of theirs, whatever its `Config` says."""


class Scheduled(Protocol):
    """Whose schedules they are. Implemented by `postlude.app.postlude.Postlude`."""

    book: ScheduleBook


def cron(
    self: Scheduled,
    expression: str,
    *,
    timezone: str | ZoneInfo = "UTC",
    missed: Literal["skip", "once", "all"] = "once",
    leeway: Seconds = LEEWAY,
    name: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Add a job of a task at the moments that a cron expression says: a decorator, above `@postlude.task`.

    Each due time becomes a job once, however many processes there are. A plain function becomes a task.

    Args:
        expression: minute, hour, day of the month, month, day of the week, as in `"0 7 * * MON-FRI"`; with a
            sixth field before them, the second. Or `"@hourly"`, `"@daily"`, `"@weekly"`, `"@monthly"`,
            `"@yearly"`.
        timezone: the time zone that it is meant in, as in `"Europe/Paris"`.
        missed: what becomes of due times at which no process was there: `"skip"`: nothing; `"once"`: one job
            stands for them; `"all"`: each has its own, 1,000 at most.
        leeway: how late a due time may be and is not missed. Seconds, or a timedelta; 60 by default.
        name: what the schedule is called; the task's name by default.
        arguments: what its jobs are called with, by name.

    Raises:
        TaskDefinitionError: one of them cannot be meant.
    """
    rule, zone = cron_rule(expression, timezone)
    return _declaring(self, rule, zone, missed, leeway, name, arguments)


def every(
    self: Scheduled,
    interval: Seconds,
    *,
    missed: Literal["skip", "once", "all"] = "once",
    leeway: Seconds = LEEWAY,
    name: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Add a job of a task in each interval: a decorator, above `@postlude.task`.

    Due times are whole multiples of the interval since 1970 in UTC: `every(3600)` is each full hour. They do
    not depend on when a process was started, so a deploy shifts none.

    Args:
        interval: seconds, or a timedelta; a second at least.
        missed: as in `cron`.
        leeway: as in `cron`.
        name: what the schedule is called; the task's name by default.
        arguments: what its jobs are called with, by name.

    Raises:
        TaskDefinitionError: one of them cannot be meant.
    """
    return _declaring(self, interval_rule(interval), "UTC", missed, leeway, name, arguments)


def _declaring(
    of: Scheduled,
    rule: str,
    zone: str,
    missed: str,
    leeway: Seconds,
    name: str | None,
    arguments: Mapping[str, Any] | None,
) -> Callable[[Callable[P, R]], Task[P, R]]:
    how, late = checked_missed(missed), checked_leeway(leeway)

    def declare(function: Callable[P, R]) -> Task[P, R]:
        task: Any = of.book.add(function, rule, zone, how, late, name, arguments or {})
        return task  # type: ignore[no-any-return]

    return declare


def schedules_run(config: Config) -> bool:
    """Say whether this process has to do with schedules.

    Raises:
        PostludeError: the variable says neither.
    """
    said = os.environ.get(VARIABLE, "").strip().lower()
    if said not in ("", "on", "off"):
        raise PostludeError(f"the variable {VARIABLE} is {quoted(said)}: give on or off")
    return config.schedules if not said else said == "on"
