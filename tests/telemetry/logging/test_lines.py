"""The log has a line for each event, as readable as a person needs it; or none, on purpose."""

import logging

import pytest

from postlude.model.event import Event, OfJob
from postlude.model.event.jobs import (
    AttemptEnded,
    AttemptInterrupted,
    AttemptStarted,
    CancelAsked,
    EndsWritten,
    JobRetried,
    JobsAdded,
    JobsClaimed,
    JobsRefused,
    JobsReleased,
    Paused,
    ProgressTold,
    ProgressWritten,
    Resumed,
)
from postlude.model.event.journal import OfJournal
from postlude.model.event.request import NobodyRuns
from postlude.model.event.runner import LeaseLost
from postlude.model.event.schedules import SchedulesFired
from postlude.telemetry.logging import logged
from tests.telemetry.logging import examples

QUIET = frozenset(
    {
        Event, OfJob, OfJournal, JobsAdded, JobsRefused, JobsClaimed, JobsReleased, AttemptStarted,
        AttemptEnded, AttemptInterrupted, EndsWritten, ProgressTold, ProgressWritten, CancelAsked, JobRetried,
        Paused, Resumed, SchedulesFired,
    }
)  # fmt: skip
"""What happens for every job, what somebody has asked for, and beginnings of kinds."""


def kinds() -> set[type[Event]]:
    found, waiting = set[type[Event]](), [Event]
    while waiting:
        found.add(kind := waiting.pop())
        waiting += kind.__subclasses__()
    return found


def test_what_happens_for_every_job_is_made_into_nothing_for_the_log() -> None:
    assert not logged().heard.keys() & QUIET


def test_every_other_kind_has_an_example_here() -> None:
    assert {type(event) for event, *_ in examples.ALL} == kinds() - QUIET


@pytest.mark.parametrize(
    ("event", "logger", "level", "text"),
    examples.ALL,
    ids=lambda value: type(value).__name__ if isinstance(value, Event) else "",
)
def test_its_line(event: Event, logger: str, level: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logged().emit(event)
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (logger, level, text)
    ]


def test_a_record_says_where_it_happened_and_not_where_it_was_worded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def happens() -> None:
        logged().emit(LeaseLost())
        logged().emit(NobodyRuns("memory"))

    happens()
    assert [(record.pathname, record.funcName) for record in caplog.records] == [(__file__, "happens")] * 2


@pytest.mark.parametrize("event", [event for event, *_ in examples.ALL if hasattr(event, "frames")])
def test_a_traceback_is_that_of_the_event(event: Event, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logged().emit(event)
    for record in caplog.records:
        if record.exc_info is not None:
            assert record.exc_info[1] is event.error  # type: ignore[attr-defined]
