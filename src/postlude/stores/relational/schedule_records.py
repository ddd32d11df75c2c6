"""Rows of schedules as records for people, whatever stands in them."""

from collections.abc import Sequence
from typing import Any

from postlude.model.schedule import Schedule
from postlude.stores.relational.cells import Cells
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime


def schedule_record(row: Sequence[Any]) -> ScheduleRecord:
    """Read a row of the statement `schedules`."""
    name, task, queue, rule, zone, missed, leeway, args, terms, application, upcoming, paused, *last = row
    cells = Cells()
    schedule = Schedule(
        cells.text("name", name),
        cells.text("task", task),
        cells.text("queue", queue),
        cells.text("rule", rule),
        cells.text("zone", zone),
        cells.text("missed", missed),
        cells.whole("leeway", leeway),
        cells.raw("args", args),
        cells.text("terms", terms),
    )
    return ScheduleRecord(
        schedule,
        cells.text("application", application),
        cells.maybe_whole("next", upcoming),
        cells.maybe_whole("paused", paused),
        None if last[0] is None else schedule_time(*last),
    )


def schedule_time(due: Any, seq: Any, id: Any, state: Any) -> ScheduleTime:
    """Read a row of the statement `schedule_times`."""
    cells = Cells()
    return ScheduleTime(
        cells.whole("due", due),
        seq is not None,
        None if id is None else cells.id("id", id),
        None if state is None else cells.stored(state).public,
    )
