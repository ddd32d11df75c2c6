"""How an attempt has ended, in one word, and of what class its error is."""

from dataclasses import replace

import pytest

from postlude.errors import Discard
from postlude.model.event.jobs import AttemptEnded, AttemptStarted, AttemptUnsuccessful
from postlude.model.history import word_of
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Snoozed
from postlude.model.state import Reason
from postlude.runner.attempt.outcome import own_frames
from postlude.runner.executors.process.failures import ChildFailed
from postlude.telemetry.carrying import LATER
from postlude.telemetry.outcomes import error_type, reason_of, waited

FAILED = Failed("smtplib.SMTPException: full", "Traceback")
EVENT = AttemptUnsuccessful(bytes(16), "app:f", "default", 1, 1, 2, FAILED, None, None)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (SUCCEEDED, "succeeded"),
        (FAILED, "failed"),
        (FAILED._replace(reason=Reason.TIMED_OUT), "timed_out"),
        (FAILED._replace(retry_at=5), "retried"),
        (Snoozed(5), "snoozed"),
        (Cancelled(), "cancelled"),
        (Cancelled(Reason.DISCARDED, "Discard: "), "discarded"),
        (Parked(Reason.UNKNOWN_TASK, ""), "parked"),
    ],
)
def test_its_word(outcome: Outcome, word: str) -> None:
    assert word_of(outcome) == word


def test_why_where_there_is_more_to_say() -> None:
    assert [reason_of(outcome) for outcome in (FAILED, Parked(Reason.UNKNOWN_TASK, ""), SUCCEEDED)] == [
        None, Reason.UNKNOWN_TASK.value, None,
    ]  # fmt: skip


def raised(error: Exception) -> AttemptUnsuccessful:
    try:
        raise error
    except Exception:
        return replace(EVENT, error=error, frames=own_frames(error))


def test_the_class_of_what_was_raised() -> None:
    assert error_type(raised(ValueError("no"))) == "ValueError"
    assert error_type(raised(Discard("no"))) == "postlude.errors.Discard"


def test_of_what_comes_as_text_or_was_never_raised_the_text_says_it() -> None:
    assert error_type(EVENT) == "smtplib.SMTPException"
    assert error_type(replace(EVENT, error=ChildFailed("x", "", True))) == "smtplib.SMTPException"


def test_what_has_not_failed_has_none() -> None:
    assert error_type(replace(EVENT, outcome=Cancelled())) is None
    assert error_type(AttemptEnded(bytes(16), "app:f", "default", 1, 1, 2, SUCCEEDED)) is None


@pytest.mark.parametrize(
    ("started", "first", "texts", "seconds"),
    [
        (5_000_000, True, {}, 3.0),
        (5_000_000, True, {LATER: "4500000"}, 0.5),
        (5_000_000, True, {LATER: "soon"}, 3.0),
        (5_000_000, False, {}, None),
        (1_000_000, True, {}, 0.0),  # another host's clock is ahead
    ],
)
def test_how_long_a_first_attempt_has_waited(
    started: int, first: bool, texts: dict[str, str], seconds: float | None
) -> None:
    event = AttemptStarted(bytes(16), "app:f", "default", 1, 2_000_000, started, first)
    assert waited(event, texts) == seconds
