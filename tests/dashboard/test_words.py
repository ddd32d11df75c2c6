"""Times and numbers, as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from postlude.dashboard.words import ago, length, moment, number, percent, rough

NOW = datetime(2026, 11, 29, 8, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "seconds, told",
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "60 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_roughly(seconds: float, told: str) -> None:
    assert rough(seconds) == told


@pytest.mark.parametrize(
    "seconds, told",
    [
        (None, ""),
        (0.0004, "0.4 ms"),
        (0.012, "12 ms"),
        (0.25, "0.25 s"),
        (1.254, "1.25 s"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (400_000, "4 d 15 h"),
    ],
)
def test_a_length(seconds: float | None, told: str) -> None:
    assert length(seconds) == told


def test_ago() -> None:
    assert [ago(0.4), ago(38), ago(-38)] == ["now", "38 s ago", "in 38 s"]


def test_a_moment() -> None:
    found = moment(NOW - timedelta(minutes=4), NOW)
    assert found is not None
    assert (found.iso, found.exact, found.ago) == (
        "2026-11-29T08:01:00.000Z",
        "2026-11-29 08:01:00.000 UTC",
        "4 min ago",
    )
    assert moment(None, NOW) is None
    assert moment(2**62, NOW) is not None


def test_numbers() -> None:
    assert [number(0), number(0.02), number(3.5), number(1204.4)] == ["0", "0.02", "3.5", "1,204"]
    assert [percent(0, 0), percent(1, 1000), percent(1, 4)] == ["", "0.1 %", "25 %"]
