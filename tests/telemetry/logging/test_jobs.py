"""What the log says of jobs, beyond the wording of each line."""

import logging

import pytest

from postlude.model.event.jobs import AttemptUnsuccessful
from postlude.model.ids import id_text
from postlude.model.outcome import Cancelled, Failed, Parked, Snoozed
from postlude.model.state import Reason
from postlude.telemetry.logging import logged

ID = bytes(range(16))


def parked(task: str, reason: Reason = Reason.UNKNOWN_TASK) -> AttemptUnsuccessful:
    outcome = Parked(reason, "", "why")
    return AttemptUnsuccessful(ID, task, "default", 1, 1, 1, outcome, None, None)


def test_an_unknown_task_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    events = logged()
    for task in ("a", "a", "b", "a"):
        events.emit(parked(task))
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "WARNING", "DEBUG"]


def test_arguments_that_do_not_fit_are_warned_of_each_time(caplog: pytest.LogCaptureFixture) -> None:
    events = logged()
    for _ in range(2):
        events.emit(parked("a", Reason.INVALID_ARGUMENTS))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_not_all_of_very_many_unknown_tasks_are_remembered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    events = logged()
    for number in range(1001):
        events.emit(parked(str(number)))
    caplog.clear()
    events.emit(parked("999"))
    events.emit(parked("1000"))
    assert [record.levelname for record in caplog.records] == ["DEBUG", "WARNING"]


@pytest.mark.parametrize("outcome", [Cancelled(), Snoozed(5)])
def test_what_has_not_begun_and_what_will_run_again_is_not_worth_a_line(
    outcome: Cancelled | Snoozed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logged().emit(AttemptUnsuccessful(ID, "a", "default", 1, 1, 1, outcome, None, None))
    assert not caplog.records


def test_records_say_whose_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """As those that a job makes itself do (`LogKeeper`), which does not run here."""
    logged().emit(AttemptUnsuccessful(ID, "a", "default", 3, 1, 1, Failed("x", "y"), None, None))
    (record,) = caplog.records
    assert (record.job_id, record.task, record.attempt) == (id_text(ID), "a", 3)  # type: ignore[attr-defined]
