"""What fails again and again while a journal is away does not fill the log."""

import logging

import pytest

from postlude.errors import JournalUnavailable
from postlude.model.event.runner import ClaimsFailed, DutyFailed, EndsRefused
from postlude.telemetry.logging import logged
from postlude.telemetry.logging.lines import AGAIN_AFTER, Seldom


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def test_a_text_is_written_at_once_and_then_once_in_a_while() -> None:
    clock, written = Clock(), list[str]()
    seldom = Seldom(clock)
    for _ in range(50):
        seldom(written.append, "away")
    seldom(written.append, "full")
    assert written == ["away", "full"]
    clock.now += AGAIN_AFTER
    for _ in range(3):
        seldom(written.append, "away")
    assert written[2:] == ["away (49 times more since this was said)"]
    clock.now += AGAIN_AFTER
    seldom(written.append, "away")
    assert written[3:] == ["away (2 times more since this was said)"]


def test_a_key_says_which_texts_count_as_the_same() -> None:
    written = list[str]()
    seldom = Seldom(Clock())
    for text, key in (
        ("1 end", "ends"),
        ("2 ends", "ends"),
        ("failed", "a"),
        ("failed", "b"),
        ("failed", "a"),
    ):
        seldom(written.append, text, key)
    assert written == ["1 end", "failed", "failed"]


def test_not_all_of_very_many_texts_are_kept() -> None:
    written = list[str]()
    seldom = Seldom(Clock())
    for number in range(101):
        seldom(written.append, str(number))
    seldom(written.append, "0")
    assert len(written) == 102


def test_of_an_outage_each_kind_of_line_is_there_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    events, down = logged(), JournalUnavailable("nobody there")
    for number in range(1, 10):
        events.emit(EndsRefused(number, down))
        events.emit(DutyFailed(down))
        events.emit(ClaimsFailed(down))
        events.emit(DutyFailed(ZeroDivisionError("own")))
    assert [record.getMessage() for record in caplog.records] == [
        "1 ends of jobs were not written; they are offered again: nobody there",
        "the journal cannot be looked after now: nobody there",
        "no jobs could be claimed: nobody there",
        "housekeeping met an error of its own; it goes on",
    ]
    events.emit(DutyFailed(KeyError("another")))
    assert len(caplog.records) == 5, "each error of its own has its traceback"
    logged().emit(DutyFailed(down))
    assert len(caplog.records) == 6, "each application for itself"
