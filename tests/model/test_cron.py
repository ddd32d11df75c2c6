"""The moments of rules, beside a slow way to find them: each minute of two days is looked at."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlude.clock import LATEST, SECOND
from postlude.model.cron import BadRule, Cron, every, rule_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60 * SECOND
DAYS = 1

CHANGES = [
    ("Europe/Paris", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
]


def micro(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


class Field(NamedTuple):
    """One field of an expression: its text, and the numbers that it stands for."""

    text: str
    numbers: frozenset[int]


@st.composite
def fields(draw: st.DrawFn, least: int, most: int) -> Field:
    numbers = range(least, most + 1)
    kind = draw(st.sampled_from(["*", "*/n", "few", "range"]))
    if kind == "*":
        return Field("*", frozenset(numbers))
    if kind == "*/n":
        step = draw(st.integers(2, 30))
        return Field(f"*/{step}", frozenset(numbers[::step]))
    if kind == "few":
        few = draw(st.sets(st.sampled_from(numbers), min_size=1, max_size=4))
        return Field(",".join(map(str, sorted(few))), frozenset(few))
    first = draw(st.sampled_from(numbers))
    last = draw(st.sampled_from(range(first, most + 1)))
    return Field(f"{first}-{last}", frozenset(range(first, last + 1)))


class Expression(NamedTuple):
    minute: Field
    hour: Field

    @property
    def text(self) -> str:
        return f"{self.minute.text} {self.hour.text} * * *"

    @property
    def at_fixed_times(self) -> bool:
        return not (self.minute.text.startswith("*") or self.hour.text.startswith("*"))

    def fits(self, wall: datetime) -> bool:
        return wall.minute in self.minute.numbers and wall.hour in self.hour.numbers


# The hours in which clocks change more often than others.
HOURS = st.one_of(
    fields(0, 23),
    st.sets(st.integers(0, 4), min_size=1).map(lambda few: Field(",".join(map(str, few)), frozenset(few))),
)
EXPRESSIONS = st.builds(Expression, fields(0, 59), HOURS)


@cache
def minutes_of(zone: str, change: datetime) -> list[tuple[int, datetime]]:
    """Each minute of the days around a change of the clock, and what a clock on the wall shows then."""
    start = change - timedelta(days=DAYS)
    moments = (start + timedelta(minutes=number) for number in range(2 * DAYS * 24 * 60))
    return [(micro(moment), moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for moment in moments]


def slowly(expression: Expression, zone: str, change: datetime) -> list[int]:
    """Find the moments as the documentation says them."""
    seen = minutes_of(zone, change)
    if not expression.at_fixed_times:
        return [moment for moment, wall in seen if expression.fits(wall)]
    first: dict[datetime, int] = {}
    for moment, wall in seen:
        first.setdefault(wall, moment)  # what the clock shows twice counts once
    found: set[int] = set()
    wall, last = seen[0][1], seen[-1][1]
    while wall <= last:
        if expression.fits(wall):
            shown = wall
            while shown not in first:  # the clock does not show it: right after what is left out
                shown += timedelta(minutes=1)
            found.add(first[shown])
        wall += timedelta(minutes=1)
    return sorted(found)


@pytest.mark.parametrize("zone, change", CHANGES)
@settings(deadline=None)
@given(
    expression=EXPRESSIONS,
    minutes=st.integers(-DAYS * 24 * 60, DAYS * 24 * 60 - 1),
    seconds=st.integers(0, 59),
)
def test_no_time_is_lost_or_doubled_where_clocks_change(
    zone: str, change: datetime, expression: Expression, minutes: int, seconds: int
) -> None:
    rule = Cron(expression.text, ZoneInfo(zone))
    expected = slowly(expression, zone, change)
    end = minutes_of(zone, change)[-1][0]
    asked = micro(change) + minutes * MINUTE + seconds * SECOND
    later = [moment for moment in expected if moment > asked]
    # Whoever begins anywhere finds what those find who have been there all the time.
    assert rule.between(asked, end, 100_000) == later
    found = rule.after(asked)
    assert found is not None
    assert found == later[0] if later else found > end
    begin = micro(change) - 5 * 60 * MINUTE
    chain = [begin]
    while (step := rule.after(chain[-1])) is not None and step <= begin + 10 * 60 * MINUTE:
        assert step > chain[-1]
        chain.append(step)
    assert chain[1:] == [moment for moment in expected if begin < moment <= begin + 10 * 60 * MINUTE]


@pytest.mark.parametrize("zone, change", CHANGES)
@settings(deadline=None)
@given(expression=EXPRESSIONS, most=st.integers(1, 20), minutes=st.integers(-100, 500))
def test_the_newest_are_the_last_of_all(
    zone: str, change: datetime, expression: Expression, most: int, minutes: int
) -> None:
    rule = Cron(expression.text, ZoneInfo(zone))
    until = micro(change) + minutes * MINUTE
    everything = rule.between(micro(change) - 2 * 24 * 60 * MINUTE, until, 100_000)
    assert rule.between(micro(change) - 2 * 24 * 60 * MINUTE, until, most) == everything[-most:]


def at(zone: str, *moment: int, fold: int = 0) -> int:
    return micro(datetime(*moment, tzinfo=ZoneInfo(zone), fold=fold))  # type: ignore[misc, arg-type]


def test_a_fixed_time_that_the_clock_leaves_out_comes_right_after() -> None:
    rule = rule_of("30 2 * * *", "Europe/Paris")
    before = at("Europe/Paris", 2026, 3, 28, 2, 30)
    assert rule.after(before) == at("Europe/Paris", 2026, 3, 29, 3, 0)
    assert rule.after(at("Europe/Paris", 2026, 3, 29, 3, 0)) == at("Europe/Paris", 2026, 3, 30, 2, 30)


def test_several_of_them_come_once() -> None:
    rule = rule_of("0,15,30 2 * * *", "Europe/Paris")
    before = at("Europe/Paris", 2026, 3, 28, 12)
    until = at("Europe/Paris", 2026, 3, 29, 12)
    assert rule.between(before, until, 10) == [at("Europe/Paris", 2026, 3, 29, 3)]


def test_a_fixed_time_that_the_clock_shows_twice_comes_the_first_time() -> None:
    rule = rule_of("30 2 * * *", "Europe/Paris")
    first = at("Europe/Paris", 2026, 10, 25, 2, 30)
    assert rule.after(at("Europe/Paris", 2026, 10, 24, 12)) == first
    assert rule.after(first) == at("Europe/Paris", 2026, 10, 26, 2, 30)
    # Also for whoever asks in the second of the two hours, before that half is over.
    assert rule.after(at("Europe/Paris", 2026, 10, 25, 2, 10, fold=1)) == at(
        "Europe/Paris", 2026, 10, 26, 2, 30
    )


def test_what_comes_in_each_hour_comes_in_both_that_are_alike() -> None:
    rule = rule_of("0 * * * *", "America/New_York")
    first = at("America/New_York", 2026, 11, 1, 1)
    assert rule.after(first) == first + 60 * MINUTE == at("America/New_York", 2026, 11, 1, 1, fold=1)


@given(seconds=st.integers(1, 10**7), moment=st.integers(0, 4 * 10**15))
def test_intervals_are_multiples_since_1970_whenever_anybody_asks(seconds: int, moment: int) -> None:
    rule = rule_of(every(seconds), "UTC")
    due = rule.after(moment)
    assert due is not None
    assert due % (seconds * SECOND) == 0
    assert moment < due <= moment + seconds * SECOND
    assert rule.between(moment, due, 5) == [due]
    assert rule.between(moment, due - 1, 5) == []


def test_an_interval_of_parts_of_a_second_is_exact() -> None:
    rule = rule_of(every(1.5), "UTC")
    assert rule.between(0, 6 * SECOND, 10) == [1_500_000, 3_000_000, 4_500_000, 6_000_000]


def test_there_is_an_end_to_all_dates() -> None:
    assert rule_of(every(60), "UTC").after(LATEST) is None
    assert rule_of("* * * * *", "UTC").after(LATEST - SECOND) is None


def test_nicknames_are_what_they_are_for_cron() -> None:
    noon = at("UTC", 2026, 6, 3, 12)
    assert rule_of("@daily", "UTC").after(noon) == at("UTC", 2026, 6, 4)
    assert rule_of("@Hourly", "UTC").after(noon) == at("UTC", 2026, 6, 3, 13)
    assert rule_of("@weekly", "UTC").after(noon) == at("UTC", 2026, 6, 7)


def test_seconds_come_first() -> None:
    noon = at("UTC", 2026, 6, 3, 12)
    assert rule_of("*/20 * * * * *", "UTC").between(noon, noon + MINUTE, 10) == [
        noon + 20 * SECOND, noon + 40 * SECOND, noon + MINUTE
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text, zone, words",
    [
        ("0 7 * *", "UTC", r"'0 7 \* \*' has 4 fields; give minute hour .* '0 7 \* \* MON-FRI'"),
        ("61 * * * *", "UTC", "bad minute; the fields are minute hour"),
        ("0 24 * * *", "UTC", "bad hour"),
        ("0 0 31 4 *", "UTC", r"bad day-of-month \(month 4 has no day 31"),
        ("* * */20 * 1L", "UTC", "stands for no moment: no day within 50 years fits it"),
        ("@reboot", "UTC", "add the job in the application's lifespan"),
        ("@often", "UTC", "'@often' is not known; give one of @yearly, .*@hourly"),
        ("@every 0.5", "UTC", "give a second at least"),
        ("@every soon", "UTC", "give a second at least"),
        ("@every inf", "UTC", "give a second at least"),
        (
            "0 7 * * *",
            "Europe/Pariss",
            "there is no time zone 'Europe/Pariss'; give a name as 'Europe/Paris'",
        ),
        ("0 7 * * *", "../etc", "there is no time zone"),
    ],
)
def test_what_is_no_rule_is_told_with_what_to_write(text: str, zone: str, words: str) -> None:
    with pytest.raises(BadRule, match=words):
        rule_of(text, zone)
