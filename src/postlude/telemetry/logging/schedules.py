"""What the log says of schedules."""

from datetime import UTC, datetime, timedelta
from typing import Final

from postlude.model.event import schedules as event
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, line

POSTLUDE: Final = Log("postlude")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _missed(told: event.TimesMissed) -> None:
    POSTLUDE.warning(
        "schedule %s: due times that passed while no process was there: %d (%s to %s); jobs that make up for "
        "them: %d",
        told.schedule, told.times, _time(told.first), _time(told.last), told.jobs,
    )  # fmt: skip


def _time(moment: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=moment):%Y-%m-%d %H:%M:%SZ}"


LINES: Final[Lines] = {
    event.TimesMissed: _missed,
    event.SchedulesInForce: line(
        POSTLUDE.info,
        "schedules of %s in force, as this release declares them: %d",
        "application",
        "schedules",
    ),
    event.SchedulesSuperseded: line(
        POSTLUDE.info,
        "schedules of %s: those of a newer release are in force, of which processes run; this one's are not",
        "application",
    ),
}
