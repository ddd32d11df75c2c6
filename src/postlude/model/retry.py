"""When a failed attempt is followed by another."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from postlude.clock import SECOND
from postlude.errors import TaskDefinitionError
from postlude.messages.quoting import quoted
from postlude.messages.spelling import spelled
from postlude.model.wait import LONGEST


@spelled
@dataclass(frozen=True, slots=True)
class Exponential:
    """Waits that double.

    Attributes:
        first: bound of the first wait, in seconds.
        most: bound that no wait exceeds, in seconds.
        jitter: draw each wait between nothing and its bound (full jitter), so that jobs that failed
            together do not come back together.
    """

    first: float = 1.0
    most: float = 300.0
    jitter: bool = True

    def __post_init__(self) -> None:
        _check_seconds("Exponential", first=self.first, most=self.most)

    def wait(self, failures: int, rng: random.Random) -> float:
        """Return the seconds to wait after so many failures (1 or more)."""
        return _drawn(min(self.most, self.first * 2.0 ** min(failures - 1, 64)), self.jitter, rng)


@spelled
@dataclass(frozen=True, slots=True)
class Linear:
    """Waits that grow by the same step each time.

    Attributes:
        first: bound of the first wait, in seconds.
        step: what is added to the bound after each failure, in seconds.
        most: bound that no wait exceeds, in seconds.
        jitter: draw each wait between nothing and its bound.
    """

    first: float = 1.0
    step: float = 1.0
    most: float = 300.0
    jitter: bool = True

    def __post_init__(self) -> None:
        _check_seconds("Linear", first=self.first, step=self.step, most=self.most)

    def wait(self, failures: int, rng: random.Random) -> float:
        """Return the seconds to wait after so many failures (1 or more)."""
        return _drawn(min(self.most, self.first + self.step * (failures - 1)), self.jitter, rng)


@spelled
@dataclass(frozen=True, slots=True)
class Fixed:
    """The same wait each time.

    Attributes:
        seconds: the wait, or with `jitter` its bound.
        jitter: draw each wait between nothing and its bound.
    """

    seconds: float = 60.0
    jitter: bool = False

    def __post_init__(self) -> None:
        _check_seconds("Fixed", seconds=self.seconds)

    def wait(self, failures: int, rng: random.Random) -> float:
        """Return the seconds to wait after so many failures (1 or more)."""
        return _drawn(self.seconds, self.jitter, rng)


Backoff = Exponential | Linear | Fixed | Callable[[int], float]
"""How long to wait: one of these, or a function from the number of failures (1 or more) to seconds."""


def _never() -> tuple[type[BaseException], ...]:
    return ()


@spelled
@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job is attempted when it raises, and how long it waits in between.

    Attributes:
        attempts: attempts in all, the first included.
        backoff: the waits in between.
        on: only these exceptions are followed by another attempt.
        unless: these are not.

    Raises:
        TaskDefinitionError: one of them is not what it should be.
    """

    attempts: int = 5
    backoff: Backoff = field(default_factory=Exponential)
    on: type[BaseException] | tuple[type[BaseException], ...] = (BaseException,)
    unless: type[BaseException] | tuple[type[BaseException], ...] = field(default_factory=_never)

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise TaskDefinitionError(
                f"Retry(attempts={quoted(self.attempts)}): give a whole number, 1 or more"
            )
        if not isinstance(self.backoff, Exponential | Linear | Fixed) and not callable(self.backoff):
            raise TaskDefinitionError(
                f"Retry(backoff={quoted(self.backoff)}): give Exponential(), Linear(), Fixed() or a function"
            )
        for name in ("on", "unless"):
            kinds = getattr(self, name)
            kinds = kinds if isinstance(kinds, tuple) else (kinds,)
            if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
                raise TaskDefinitionError(
                    f"Retry({name}={quoted(getattr(self, name))}): give exception classes, in a tuple"
                )
            object.__setattr__(self, name, kinds)

    def covers(self, error: BaseException, within: Sequence[BaseException] = ()) -> bool:
        """Say whether what was raised may be followed by another attempt.

        Args:
            error: what was raised.
            within: the exceptions in it, if it is a group: `on` covers it if it covers all of them, and
                `unless` refuses it if it refuses one.
        """
        all_named = bool(within) and all(isinstance(one, self.on) for one in within)
        named = all_named or isinstance(error, self.on)
        return named and not any(isinstance(one, self.unless) for one in (error, *within))

    def next_due(self, failures: int, now: int, rng: random.Random) -> int | None:
        """Return when the next attempt is due (microseconds, UTC), or None after the last.

        Args:
            failures: attempts used up, this one included.
            now: the time of the failure.
            rng: where the jitter comes from.

        Raises:
            Exception: what a backoff of the task's own raises; `ValueError` if it returns no number.
        """
        if failures >= self.attempts:
            return None
        backoff = self.backoff
        if isinstance(backoff, Exponential | Linear | Fixed):
            seconds = backoff.wait(failures, rng)
        else:
            seconds = _bounded(float(backoff(failures)))
        return now + round(seconds * SECOND)


def _bounded(seconds: float) -> float:
    if math.isnan(seconds):
        raise ValueError("the backoff function returned no number")
    return min(max(0.0, seconds), LONGEST)


def _drawn(bound: float, jitter: bool, rng: random.Random) -> float:
    return rng.uniform(0.0, bound) if jitter else bound


def _check_seconds(kind: str, **values: float) -> None:
    for name, value in values.items():
        if not isinstance(value, int | float) or not 0 <= value <= LONGEST:
            raise TaskDefinitionError(
                f"{kind}({name}={quoted(value)}): give seconds between 0 and {LONGEST:.0f}"
            )


ONCE = Retry(attempts=1)
"""The policy of a plain function: one attempt, as with FastAPI's own background tasks."""
