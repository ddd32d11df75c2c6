"""How long a task wants its job to wait."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest

from postlude.clock import SECOND
from postlude.errors import RetryLater, Snooze
from postlude.model.wait import LONGEST, wait_of

MOMENT = datetime(2026, 11, 6, 8, 49, 37, tzinfo=UTC)
NOW = round((MOMENT - timedelta(minutes=2)).timestamp()) * SECOND


def due_in(given: Any) -> float | None:
    wait, told = wait_of(given)
    assert told.startswith("again")
    return None if wait is None else (wait.due(NOW) - NOW) / SECOND


@pytest.mark.parametrize(
    "given",
    [
        120, 120.0, "120", " 120 ", b"120", "120.0", Decimal(120), timedelta(minutes=2),
        MOMENT, MOMENT.astimezone(timezone(timedelta(hours=-8))),
        "Fri, 06 Nov 2026 08:49:37 GMT", format_datetime(MOMENT, usegmt=True), format_datetime(MOMENT),
        "Friday, 06-Nov-26 08:49:37 GMT", "Fri Nov  6 08:49:37 2026", b"Fri, 06 Nov 2026 08:49:37 GMT",
        "Fri, 06 Nov 2026 10:49:37 +0200",
    ],
    ids=repr,
)  # fmt: skip
def test_seconds_and_moments_in_all_their_forms(given: Any) -> None:
    assert due_in(given) == 120


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0),
        (0.25, 0.25),
        (MOMENT - timedelta(days=1), 0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        (datetime.min.replace(tzinfo=UTC), 0),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-9))), LONGEST),
        (math.inf, LONGEST),
        ("inf", LONGEST),
        (1e300, LONGEST),
        (10**400, LONGEST),
        (timedelta.max, LONGEST),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
    ],
    ids=repr,
)
def test_what_is_past_means_at_once_and_what_is_too_far_is_cut(given: Any, seconds: float) -> None:
    assert due_in(given) == seconds


NAIVE = datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None)


class Odd:
    def __float__(self) -> float:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "given",
    [
        None, "", "soon", -1, "-1", math.nan, "nan", -math.inf, -(10**400), timedelta(seconds=-1), object(),
        Odd(), [], NAIVE, "Fri, 99 Nov 2026 08:49:37 GMT", "Fri, 06 Nov 26", b"\xff", 1j, "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_wait_says_so_and_raises_nothing(given: Any) -> None:
    assert due_in(given) is None
    for kind in (Snooze, RetryLater):
        error = kind(given)
        assert error.wait is None
        assert error.seconds is None
        assert str(error).startswith("again later")


def test_errors_say_when() -> None:
    assert str(Snooze(90)) == "again in 90 s"
    assert str(RetryLater("Fri, 06 Nov 2026 08:49:37 GMT")) == "again at 2026-11-06 08:49:37Z"
    assert str(RetryLater("soon")) == "again later: 'soon' is neither seconds, 0 or more, nor a date"
    assert str(RetryLater(None)) == "again later"
    assert str(Snooze(NAIVE)).endswith("has no timezone, so it says no time")
    assert str(RetryLater("soon", "busy")) == "busy"
