"""How long a task wants its job to wait: as a number, as a header says it, or until a moment."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from postlude.clock import LATEST, SECOND
from postlude.messages.quoting import quoted

LONGEST: Final = 366 * 86_400.0
"""Seconds that no wait exceeds; one that was asked for is cut to this."""

When = float | str | timedelta | datetime | None
"""Seconds from now, 0 or more; their text; a timedelta; an HTTP date; a datetime with its timezone."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LONGEST_DATE: Final = 100
"""Characters that a date has at most; reading a megabyte as one takes minutes."""


class Wait(NamedTuple):
    """From the end of an attempt to the next one: seconds, or until a moment; one of the two is set."""

    seconds: float | None = None
    until: int | None = None
    """Microseconds, UTC. One that is past means at once."""

    def due(self, now: int) -> int:
        """Return when it is over (microseconds, UTC)."""
        if self.until is not None:
            return min(max(self.until, now), now + round(LONGEST * SECOND))
        return now + round((self.seconds or 0.0) * SECOND)


def wait_of(given: Any) -> tuple[Wait | None, str]:
    """Return the wait that a value stands for, and how an error says it. Raises nothing.

    An HTTP date has any of the forms of RFC 9110. A wait of more than 366 days is cut to that.

    Args:
        given: a `When`, or anything else, which is no wait.
    """
    try:
        wait = _read(given)
        if wait is None:
            return None, _refusal(given)
        if wait.until is not None:
            return wait, f"again at {(_EPOCH + wait.until * _MICROSECOND).isoformat(' ', 'seconds')[:-6]}Z"
        return wait, f"again in {wait.seconds:g} s"
    except Exception:  # of the value's own code
        return None, f"again later: what was given, of type {type(given).__name__}, says no time"


def _read(given: Any) -> Wait | None:
    if isinstance(given, timedelta):
        return _in_seconds(given.total_seconds())
    if isinstance(given, datetime):
        return _until(given)
    if isinstance(given, bytes):
        given = given.decode("latin-1")
    try:
        return _in_seconds(float(given))
    except OverflowError:  # a whole number beyond all floats
        return _in_seconds(math.inf if given > 0 else -1.0)
    except (TypeError, ValueError):
        pass
    if not isinstance(given, str) or len(given) > _LONGEST_DATE:
        return None
    try:
        date = parsedate_to_datetime(given)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    # The oldest of the three forms names no zone; all are in GMT.
    return _until(date if date.tzinfo is not None else date.replace(tzinfo=UTC))


def _in_seconds(seconds: float) -> Wait | None:
    return Wait(seconds=min(seconds, LONGEST)) if seconds >= 0 else None  # not a number: neither


def _until(moment: datetime) -> Wait | None:
    if moment.utcoffset() is None:
        return None
    return Wait(until=min((moment - _EPOCH) // _MICROSECOND, LATEST))


def _refusal(given: Any) -> str:
    if given is None:
        return "again later"
    if isinstance(given, datetime):
        return f"again later: {given.isoformat(' ')} has no timezone, so it says no time"
    return f"again later: {quoted(given)} is neither seconds, 0 or more, nor a date"
