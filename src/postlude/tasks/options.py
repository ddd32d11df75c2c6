"""The options of a task and of one call: their names, and what each may be."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypedDict

from postlude.errors import TaskDefinitionError
from postlude.messages.quoting import cut, quoted
from postlude.messages.spelling import near, option_here
from postlude.model.limits import Limit, Rate
from postlude.model.owner import problem_of
from postlude.model.retry import Retry

Seconds = float | timedelta
Delivery = Literal["at_least_once", "at_most_once"]
OnConflict = Literal["keep", "replace", "raise"]


class CallOptions(TypedDict, total=False):
    """What one call can set, by `task.using(...)`. None lifts what can be None."""

    queue: str
    """The name that it waits under."""
    retry: Retry
    """How often it is attempted, and the waits in between; `on` and `unless` stay those of the task."""
    timeout: Seconds | None
    """How long an attempt may take. Seconds, or a timedelta."""
    expires: Seconds | datetime | None
    """It must not start later than this. Seconds from now, a timedelta, or a moment."""
    deadline: Seconds | datetime | None
    """All of its attempts must end within this. Seconds from now, a timedelta, or a moment."""
    priority: int
    """Lower runs first; 0 by default."""
    delivery: Delivery
    """`"at_least_once"`, or `"at_most_once"`: it must not run again when its process dies."""
    on_failure: bool
    """Store it although the request that adds it fails."""
    delay: Seconds | None
    """It starts so much later at the earliest. Seconds, or a timedelta."""
    at: datetime | None
    """It starts then at the earliest; with a timezone."""
    key: str | None
    """No other job of the task with this key waits, is parked or runs."""
    on_conflict: OnConflict
    """What a call does whose key is taken: `"keep"` (by default), `"replace"` or `"raise"`."""
    owner: str | None
    """Whose the job is, whoever the request's are (`Postlude(owner=...)`); None: nobody's."""


class TaskOptions(TypedDict, total=False):
    """What a task can declare, by `@postlude.task(...)`."""

    name: str | None
    """What the journal knows it by; `module:qualname` by default."""
    aliases: Sequence[str]
    """Names that it had: jobs that wait under them are its own."""
    queue: str
    """The name that its jobs wait under; `"default"` by default."""
    retry: Retry
    """How often a job is attempted, and the waits in between; five attempts by default."""
    timeout: Seconds | None
    """How long an attempt may take. Seconds, or a timedelta; for ever by default."""
    expires: Seconds | None
    """A job must not start later than this after it was added. Seconds, or a timedelta."""
    deadline: Seconds | None
    """All attempts of a job must end within this after it was added. Seconds, or a timedelta."""
    priority: int
    """Lower runs first; 0 by default."""
    delivery: Delivery
    """`"at_least_once"`, or `"at_most_once"`: a job must not run again when its process dies."""
    on_failure: bool
    """Store a job although the request that adds it fails."""
    limit: Limit | None
    """How many of its jobs run at once."""
    rate: Rate | None
    """How many of its jobs start in a time."""
    owner: str | None
    """Whose its jobs are, whoever adds them."""
    run: Literal["process"] | None
    """`"process"`: in a process of its own pool, for work that keeps a processor busy."""


def checked(name: str, value: Any, allowed: type) -> Any:
    """Return the value of an option as a policy has it.

    Args:
        name: the option's.
        value: what was given.
        allowed: the TypedDict that names those which may be set here.

    Raises:
        TaskDefinitionError: the option is unknown, or the value is not what it should be.
    """
    known = allowed.__annotations__
    if name not in known:
        meant, here = near(name, known), option_here(name, value)
        hint = f"; did you mean {meant}=?" if meant else f"; there are {', '.join(sorted(known))}"
        if name in (TaskOptions if allowed is CallOptions else CallOptions).__annotations__:
            where = "@postlude.task(...)" if allowed is CallOptions else "task.using(...)"
            hint = f"; it belongs to {where}"
        elif here is not None:
            hint = f"; {here}"
        raise TaskDefinitionError(f"{cut(name)}= is no option here{hint}")
    problem = _CHECKS[name](value)
    if problem is not None:
        raise TaskDefinitionError(f"{name}={quoted(value)}: {problem}")
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
    if value.utcoffset() is None:
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
    if key is None:
        return
    if not isinstance(key, str) or not 0 < len(key) <= 500:
        raise TaskDefinitionError(f"key={quoted(key)}: give a text of 1 to 500 characters")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise TaskDefinitionError(
            f"key={quoted(key)}: holds a lone surrogate, which UTF-8 cannot write"
        ) from None


def _of(kind: type, first: str) -> Any:
    """Return the check of an option whose values are of a class; `first` is its first parameter."""

    def check(value: Any) -> str | None:
        if isinstance(value, kind):
            return None
        name = kind.__name__
        number = 1 if kind is Retry and value in (None, False, 0) else value
        line = f": write {name.lower()}={name}({first}={quoted(number)})"
        return f"give {name}(...)" + (line if type(number) is int and number > 0 else "")

    return check


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
    "retry": _of(Retry, "attempts"),
    "timeout": _some_seconds,
    "expires": _bound,
    "deadline": _bound,
    "priority": _priority,
    "delivery": _one_of("at_least_once", "at_most_once"),
    "on_failure": _one_of(True, False),
    "limit": _optional(_of(Limit, "concurrent")),
    "rate": _optional(_of(Rate, "count")),
    "owner": problem_of,
    "run": _one_of("process", None),
    "delay": _optional(_seconds),
    "at": _optional(_aware),
    "on_conflict": _one_of("keep", "replace", "raise"),
}


def meant_by(kwargs: dict[str, Any], named: frozenset[str]) -> str:
    """Say what was meant by arguments that the function does not have."""
    for name in sorted(kwargs.keys() - named):
        if name in CallOptions.__annotations__:
            return f"; an option of the job is set by using: task.using({name}=...)"
        if name in ("args", "kwargs"):
            return "; the function's arguments follow it as they are: add_task(function, 7, to=...)"
        here = option_here(name, kwargs[name])
        if here is not None:
            return f"; {here}"
    left = sorted(named - kwargs.keys())
    for name in sorted(kwargs.keys() - named):
        meant = near(name, left)
        if meant is not None:
            return f"; by {quoted(name)}, did you mean {meant}?"
    return ""
