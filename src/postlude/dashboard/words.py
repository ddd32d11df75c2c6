"""Words: times, lengths of time and numbers, as people read them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_LENGTHS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, as a template writes it."""

    iso: str
    """For programs: the script counts on by it."""
    exact: str
    """In UTC, to the millisecond."""
    ago: str
    """`4 min ago`, or `in 4 min`."""


def moment(at: datetime | int | None, now: datetime) -> Moment | None:
    """Return a time of the journal for people.

    Args:
        at: the time; a number is microseconds, UTC.
        now: the journal's time.
    """
    if at is None:
        return None
    time = date_of(at) if isinstance(at, int) else at
    return Moment(
        time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d} UTC",
        ago((now - time).total_seconds()),
    )


def date_of(at: int) -> datetime:
    """Return a time of the journal (microseconds, UTC); one that no date can be, as the nearest that can."""
    try:
        return EPOCH + timedelta(microseconds=at)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if at > 0 else datetime.min.replace(tzinfo=UTC)


def ago(seconds: float) -> str:
    """Say how long ago, or in how long."""
    if abs(seconds) < 1:
        return "now"
    return f"{rough(seconds)} ago" if seconds > 0 else f"in {rough(-seconds)}"


def rough(seconds: float) -> str:
    """Write a length of time in one unit: `4 min`."""
    whole = max(0, round(seconds))
    for unit, length in _LENGTHS:
        if whole >= 2 * length or (whole >= length and unit == "min"):
            return f"{whole // length} {unit}"
    return f"{whole} s"


def length(seconds: float | None) -> str:
    """Write a length of time with three digits: `12 ms`, `1.25 s`, `3 min 20 s`."""
    if seconds is None:
        return ""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0095 else f"{seconds * 1000:.1f} ms"
    if seconds < 99.5:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def counted(count: int, one: str = "job", many: str = "jobs") -> str:
    """Write how many there are of something."""
    return f"{count:,} {one if count == 1 else many}"


def number(value: float) -> str:
    """Write a number that may be a part of one: `1,204`, `3.5`, `0.02`."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def percent(part: float, whole: float) -> str:
    """Write a share: `2.4 %`; empty of nothing."""
    if not whole:
        return ""
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{max(share, 0.1):.1f} %"


def short_name(task: str) -> str:
    """Return what a task's function is called, without its module."""
    return task.rpartition(":")[2] or task


def in_a_row(words: list[str]) -> str:
    """Write words side by side: `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
