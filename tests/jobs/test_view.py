"""What clients are told of a job, as a value."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from postlude.jobs.inspector import Arguments, JobProgress, JobStatus
from postlude.jobs.view import Shown, Viewer
from postlude.model.state import Reason, State

ID = "01a22656-0320-7000-95b4-7cea49a57d8f"
MERGED = "01a22656-0320-7000-95b4-7cea49a57d90"
CREATED = datetime(2026, 11, 29, 8, tzinfo=UTC)
LATER = datetime(2026, 11, 29, 9, tzinfo=UTC)


def status(**fields: Any) -> JobStatus:
    plain: dict[str, Any] = {
        "id": ID, "seq": 1, "task": "shop:send", "queue": "mail", "priority": 0, "state": State.QUEUED,
        "scheduled": False, "retrying": False, "attempt": 1, "max_attempts": 5, "deaths": 0, "reason": None,
        "note": None, "created": CREATED, "due": None, "started": None, "finished": None, "error": None,
        "arguments": Arguments(positional=[7], named={}), "attempts": (), "owner": None, "call_owner": None,
        "key": None, "cancel_asked": False, "progress": None, "result": None, "logs": (),
    }  # fmt: skip
    return JobStatus(**(plain | fields))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"scheduled": True}, True),
        ({"retrying": True}, True),
        ({"reason": Reason.RATE}, True),
        ({"reason": Reason.LIMIT}, False),
        ({}, False),
    ],
)
def test_when_it_runs_next_is_told_of_what_waits_for_that(fields: dict[str, Any], told: bool) -> None:
    """A job that follows another one has a due time too: until when it does so at most."""
    seen = Viewer().view(status(due=LATER, **fields), ID)
    assert seen.next_run == (LATER if told else None)


@pytest.mark.parametrize(
    ("done", "total", "percent"), [(0.5, 1, 50.0), (0.25, 0.5, 50.0), (1, 0, None), (3, 2, 100.0)]
)
def test_percents_of_small_totals(done: float, total: float, percent: float | None) -> None:
    said = JobProgress(done=done, total=total, message=None, at=LATER)
    progress = Viewer().view(status(progress=said), ID).progress
    assert progress is not None
    assert progress.percent == percent


def test_a_merged_call_is_told_all_that_is_not_the_others() -> None:
    viewer = Viewer(show=get_args(Shown))
    own, merged = (viewer.view(status(), id).model_dump() for id in (ID, MERGED))
    assert (own["task"], own["queue"], own["arguments"]) == (
        "shop:send",
        "mail",
        {"positional": [7], "named": {}},
    )
    assert (merged["task"], merged["queue"], merged["arguments"]) == ("shop:send", "mail", None)


def test_an_attempt_that_has_ended_is_no_end_of_its_job() -> None:
    waits = Viewer().view(status(retrying=True, finished=LATER), ID)
    ended = Viewer().view(status(state=State.SUCCEEDED, finished=LATER), ID)
    assert (waits.finished, ended.finished) == (None, LATER)
