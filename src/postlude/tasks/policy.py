"""A task's policy: what `@postlude.task(...)` declares and `.using(...)` changes for one call."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypedDict

from postlude.clock import SECOND
from postlude.errors import TaskDefinitionError
from postlude.model.job import DEFAULT_QUEUE, Conflict
from postlude.model.opts import UNBOUNDED, Opts, from_now
from postlude.model.policy import Limit, Rate
from postlude.model.retry import Exponential, Fixed, Linear, Retry

Seconds = float | timedelta
Delivery = Literal["at_least_once", "at_most_once"]
OnConflict = Literal["keep", "replace", "raise"]


class CallOptions(TypedDict, total=False):
    """What one call can set, by `task.using(...)`."""

    queue: str
    """The queue that it waits under."""
    retry: Retry
    """Only attempts and the waits in between, as they are stored with the job."""
    timeout: Seconds | None
    """How long an attempt may take."""
    expires: Seconds | datetime | None
    """It must not start later than this (from now on)."""
    deadline: Seconds | datetime | None
    """All of its attempts must end within this (from now on)."""
    priority: int
    """Lower runs first; 0 by default."""
    delivery: Delivery
    on_failure: bool
    """Store it although the request that adds it fails."""
    delay: Seconds | None
    """It starts so much later at the earliest; None: at once."""
    at: datetime | None
    """It starts then at the earliest; None: at once."""
    key: str | None
    """No other job of the task with this key waits, is parked or runs; None: there may be others."""
    on_conflict: OnConflict
    """What a call does whose key is taken."""


class TaskOptions(TypedDict, total=False):
    """What a task can declare, by `@postlude.task(...)`."""

    name: str | None
    """What the journal knows it by; `module:qualname` by default."""
    aliases: Sequence[str]
    """Names that it had: jobs that wait under them are its own."""
    queue: str
    retry: Retry
    timeout: Seconds | None
    expires: Seconds | None
    """A job must not start later than this after it was added."""
    deadline: Seconds | None
    """All attempts of a job must end within this after it was added."""
    priority: int
    delivery: Delivery
    on_failure: bool
    limit: Limit | None
    rate: Rate | None
    run: Literal["process"] | None
    """`"process"`: in a process of its own pool, for work that keeps a processor busy."""


class Terms(NamedTuple):
    """What one call's job is stored with, beside its arguments."""

    due: int | None
    priority: int
    key: str | None
    conflict: Conflict
    opts: str | None


USUAL: Final = Terms(None, 0, None, Conflict.KEEP, None)
"""The terms of a call that sets nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How the jobs of a task are run. Times are in seconds."""

    queue: str = DEFAULT_QUEUE
    retry: Retry = field(default_factory=Retry)
    timeout: float | None = None
    expires: float | datetime | None = None
    deadline: float | datetime | None = None
    priority: int = 0
    delivery: Delivery = "at_least_once"
    on_failure: bool = False
    limit: Limit | None = None
    rate: Rate | None = None
    run: Literal["process"] | None = None
    delay: float | None = None
    at: datetime | None = None
    on_conflict: OnConflict = "keep"
    set_by_call: frozenset[str] = frozenset()
    """The options that one call has set; only these are stored with its job."""

    def with_options(self, options: Mapping[str, Any], allowed: type, *, of_call: bool) -> "Policy":
        """Return a policy with other options.

        Args:
            options: by name.
            allowed: the TypedDict that names those which may be set here.
            of_call: they are one call's, and are stored with its job.

        Raises:
            TaskDefinitionError: one of them is unknown, is not what it should be, or contradicts another.
        """
        values = {name: _checked(name, value, allowed) for name, value in options.items()}
        if of_call:
            delayed, dated = values.get("delay") is not None, values.get("at") is not None
            if delayed and dated:
                raise TaskDefinitionError("delay= and at= both say when it starts; give one of them")
            if "retry" in values:
                values["retry"] = _storable(values["retry"], self.retry)
            dropped = {"delay": None} if dated else {"at": None} if delayed else {}
            values = {**values, **dropped, "set_by_call": self.set_by_call | values.keys()}
        return replace(self, **values)

    @property
    def moves(self) -> bool:
        """Whether the terms of a call depend on when it is made."""
        chosen = self.set_by_call
        return self.delay is not None or "expires" in chosen or "deadline" in chosen

    def terms(self, now: int) -> Terms | None:
        """Return what a call made now is stored with; None if all of it is as by default.

        Args:
            now: the time (microseconds, UTC).
        """
        chosen = self.set_by_call
        if not chosen:
            return USUAL._replace(priority=self.priority) if self.priority else None
        due: int | None = None
        if self.at is not None:
            due = _moment(self.at)
        elif self.delay is not None:
            due = from_now(self.delay, now)
        opts = Opts(
            timeout=self.timeout or UNBOUNDED if "timeout" in chosen else None,
            expires=_until(self.expires, now) or UNBOUNDED if "expires" in chosen else None,
            deadline=_until(self.deadline, now) or UNBOUNDED if "deadline" in chosen else None,
            attempts=self.retry.attempts if "retry" in chosen else None,
            backoff=self.retry.backoff if "retry" in chosen else None,  # type: ignore[arg-type]
        )
        return Terms(due, self.priority, None, Conflict(self.on_conflict), opts.text())

    def must_start_by(self, opts: Opts, created: int) -> int | None:
        """Return when a job must have started at the latest (microseconds, UTC)."""
        return _until(self.expires, created) if opts.expires is None else opts.expires or None

    def must_end_by(self, opts: Opts, created: int) -> int | None:
        """Return when a job's last attempt must have ended (microseconds, UTC)."""
        return _until(self.deadline, created) if opts.deadline is None else opts.deadline or None

    def attempt_within(self, opts: Opts) -> float | None:
        """Return how long an attempt of a job may take (seconds)."""
        return self.timeout if opts.timeout is None else opts.timeout or None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _until(bound: float | datetime | None, now: int) -> int | None:
    if bound is None:
        return None
    return _moment(bound) if isinstance(bound, datetime) else now + round(bound * SECOND)


def _checked(name: str, value: Any, allowed: type) -> Any:
    known = allowed.__annotations__
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}=?" if near else f"; there are {', '.join(sorted(known))}"
        if name in (TaskOptions if allowed is CallOptions else CallOptions).__annotations__:
            where = "@postlude.task(...)" if allowed is CallOptions else "task.using(...)"
            hint = f"; it belongs to {where}"
        raise TaskDefinitionError(f"{name}= is no option here{hint}")
    problem = _CHECKS[name](value)
    if problem is not None:
        raise TaskDefinitionError(f"{name}={value!r}: {problem}")
    return value.total_seconds() if isinstance(value, timedelta) else value


def _seconds(value: Any) -> str | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e10:
        return "give seconds (0 or more) or a timedelta"
    return None


def _some_seconds(value: Any) -> str | None:
    if value is None:
        return None
    if _seconds(value) is not None or not value:
        return "give seconds (more than 0) or a timedelta"
    return None


def _aware(value: Any) -> str | None:
    if not isinstance(value, datetime):
        return "give a datetime"
    if value.tzinfo is None:
        return "give a datetime with a timezone (datetime.now(UTC), say)"
    return None


def _bound(value: Any) -> str | None:
    return _aware(value) if isinstance(value, datetime) else _some_seconds(value)


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        return "give a short printable text"
    return None


def check_key(key: Any) -> None:
    """Make sure that a call's key can be one.

    Raises:
        TaskDefinitionError: it cannot.
    """
    if not isinstance(key, str) or not 0 < len(key) <= 500:
        raise TaskDefinitionError(f"key={key!r}: give a text of 1 to 500 characters")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise TaskDefinitionError(f"key={key!r}: holds a lone surrogate, which UTF-8 cannot write") from None


def _of(kind: type, what: str) -> Any:
    return lambda value: None if value is None or isinstance(value, kind) else f"give {what}"


def _optional(check: Callable[[Any], str | None]) -> Any:
    return lambda value: None if value is None else check(value)


def _one_of(*values: Any) -> Any:
    return lambda value: (
        None if value in values else f"give {' or '.join(repr(v) for v in values if v is not None)}"
    )


def _priority(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1_000_000_000:
        return "give a whole number; lower runs first"
    return None


_CHECKS: Final[dict[str, Any]] = {
    "queue": _text,
    "retry": lambda value: None if isinstance(value, Retry) else "give Retry(...)",
    "timeout": _some_seconds,
    "expires": _bound,
    "deadline": _bound,
    "priority": _priority,
    "delivery": _one_of("at_least_once", "at_most_once"),
    "on_failure": _one_of(True, False),
    "limit": _of(Limit, "Limit(...)"),
    "rate": _of(Rate, "Rate(...)"),
    "run": _one_of("process", None),
    "delay": _optional(_seconds),
    "at": _optional(_aware),
    "on_conflict": _one_of("keep", "replace", "raise"),
}


def _storable(retry: Retry, declared: Retry) -> Retry:
    """Return one call's retry, with what the task declares of what cannot be stored with a job.

    Exceptions and functions are found by the task's code only.
    """
    if type(retry.backoff) not in (Exponential, Linear, Fixed):
        raise TaskDefinitionError(
            "retry= of one call is stored with its job, and a function is not: give Exponential(), Linear() "
            "or Fixed() here, or declare the function with @postlude.task(retry=...)"
        )
    if retry.on != Retry().on or retry.unless:
        raise TaskDefinitionError(
            "retry= of one call is stored with its job, and exception classes are not: declare on= and "
            "unless= with @postlude.task(retry=...); they hold for its calls too"
        )
    return replace(retry, on=declared.on, unless=declared.unless)
