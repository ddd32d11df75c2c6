"""The rules of schedules: which moments a text stands for. Pure, so that all processes find the same ones.

A rule is a set of moments. What comes after a moment is the first of them that is later, whichever way it
was come by: no process needs to have seen those before.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from postlude.clock import LATEST, SECOND
from postlude.messages.quoting import quoted

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * SUN",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

EVERY: Final = "@every "
"""Begins the text of an interval, in seconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_WINDOW: Final = 64 * SECOND
_FIELDS: Final = "minute hour day-of-month month day-of-week, as in '0 7 * * MON-FRI'"


class BadRule(ValueError):
    """A text is no rule; says what is wrong with it and what to write."""


class Rule(Protocol):
    """A set of moments (microseconds, UTC)."""

    def after(self, moment: int) -> int | None:
        """Return the first one that is later; None: there is none."""
        ...

    def between(self, after: int, until: int, most: int) -> list[int]:
        """Return the newest `most` of those that are later than one moment, and no later than another."""
        ...


class Interval:
    """Whole multiples of an interval since 1970 in UTC: they do not depend on when anybody was started.

    Args:
        every: microseconds.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def after(self, moment: int) -> int | None:
        """Return the next multiple."""
        due = (moment // self._every + 1) * self._every
        return due if due <= LATEST else None

    def between(self, after: int, until: int, most: int) -> list[int]:
        """Return the last multiples."""
        last = until // self._every
        first = max(after // self._every + 1, last - most + 1)
        return [number * self._every for number in range(first, last + 1)]


class Cron:
    """The moments of a cron expression in a time zone, as Debian's cron has them.

    Where the clock is put forward, what was to happen at a fixed time in the hour that is left out happens
    once, right after it. Where it is put back, what happens at fixed times happens the first time only.
    What is to happen in each hour, or at each such minute (`*` first in one of the two fields), or has
    seconds, follows the clock on the wall: not in the hour that is left out, and in both that are alike.

    Args:
        expression: the text.
        zone: the time zone.

    Raises:
        BadRule: it is no cron expression, or stands for no moment within 50 years.
    """

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self._expression = expression
        self._zone = zone
        try:
            CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise BadRule(_what_is_wrong(expression, str(error))) from None
        if self.after(0) is None:
            raise BadRule(f"{quoted(expression)} stands for no moment: no day within 50 years fits it")

    def after(self, moment: int) -> int | None:
        """Return the first moment that is later."""
        return next(self._from(moment), None)

    def between(self, after: int, until: int, most: int) -> list[int]:
        """Return the last moments; looks back no further than it has to."""
        window = _FIRST_WINDOW
        while True:
            start = max(after, until - window)
            found: list[int] = []
            for due in self._from(start):
                if due > until:
                    break
                found.append(due)
            if start == after or len(found) >= most:
                return found[-most:]
            window *= 8

    def _from(self, moment: int) -> Iterator[int]:
        """Give the moments that are later, in order, each once."""
        last = moment
        try:
            for found in CronSim(self._expression, (_EPOCH + moment * _MICROSECOND).astimezone(self._zone)):
                due = (found.astimezone(UTC) - _EPOCH) // _MICROSECOND
                # Where the clock changes, several times on the wall are one moment, or one that has passed.
                if due > last:
                    last = due
                    yield due
        except OverflowError:  # the year 10000
            return


@lru_cache(maxsize=1000)
def rule_of(text: str, zone: str) -> Rule:
    """Read a rule.

    Args:
        text: a cron expression, one of `NICKNAMES`, or `@every` and seconds.
        zone: the name of a time zone, as in `Europe/Paris`.

    Raises:
        BadRule: one of them is not understood.
    """
    found = zone_of(zone)
    if text.startswith(EVERY):
        return Interval(_interval(text.removeprefix(EVERY)))
    nickname = text.strip().lower()
    if nickname == "@reboot":
        raise BadRule("'@reboot' is no moment: add the job in the application's lifespan instead")
    if nickname.startswith("@") and nickname not in NICKNAMES:
        raise BadRule(f"{quoted(text)} is not known; give one of {', '.join(NICKNAMES)}, or {_FIELDS}")
    return Cron(NICKNAMES.get(nickname, text), found)


def every(seconds: float) -> str:
    """Return the text of an interval."""
    return f"{EVERY}{seconds:.6f}".rstrip("0").rstrip(".")


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        BadRule: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder, or one that is too long
        raise BadRule(
            f"there is no time zone {quoted(name)}; give a name as 'Europe/Paris', or 'UTC'"
        ) from None


def _interval(text: str) -> int:
    try:
        every = round(float(text) * SECOND)
    except (ValueError, OverflowError):
        every = 0
    if every < SECOND:
        raise BadRule(f"{quoted(EVERY + text)} is no interval; give a second at least")
    return every


def _what_is_wrong(expression: str, error: str) -> str:
    fields = len(expression.split())
    if fields not in (5, 6):
        return (
            f"{quoted(expression)} has {fields} fields; give {_FIELDS}; a sixth one, before them, is seconds"
        )
    if error == "Bad day-of-month" and fields == 5:
        *_, day, month, _ = expression.split()
        error = f"Bad day-of-month (month {month} has no day {day}, or it is none)"
    return f"{quoted(expression)}: {error.lower()}; the fields are {_FIELDS}"
