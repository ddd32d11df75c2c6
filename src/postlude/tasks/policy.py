"""A task's policy: what `@postlude.task(...)` declares and `.using(...)` changes for one call."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from postlude.clock import LATEST, SECOND
from postlude.errors import TaskDefinitionError
from postlude.model.job import DEFAULT_QUEUE
from postlude.model.limits import Limit, Rate
from postlude.model.overrides import UNBOUNDED, Opts, from_now, read_opts
from postlude.model.retry import Exponential, Fixed, Linear, Retry
from postlude.model.terms import Conflict, Given, Terms
from postlude.tasks.options import Delivery, OnConflict, checked


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
    owner: str | None = None
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
        values = {name: checked(name, value, allowed) for name, value in options.items()}
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
            said = self.priority or self.owner is not None
            return Terms(priority=self.priority, owner=self.owner) if said else None
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
        return Terms(
            due,
            self.priority,
            owner=self.owner,
            conflict=Conflict(self.on_conflict),
            given=Given(opts.text()),
        )

    def must_start_by(self, opts: Opts, created: int) -> int | None:
        """Return when a job must have started at the latest (microseconds, UTC)."""
        return _until(self.expires, created) if opts.expires is None else opts.expires or None

    def must_end_by(self, opts: Opts, created: int) -> int | None:
        """Return when a job's last attempt must have ended (microseconds, UTC)."""
        return _until(self.deadline, created) if opts.deadline is None else opts.deadline or None

    def attempts(self, opts: str | None) -> int:
        """Return how many attempts a job may have; `opts`: what its call has set, as it is stored."""
        return read_opts(opts).over(self.retry).attempts

    def attempt_within(self, opts: Opts) -> float | None:
        """Return how long an attempt of a job may take (seconds)."""
        return self.timeout if opts.timeout is None else opts.timeout or None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(at: datetime) -> int:
    # `datetime.max` west of Greenwich is later than any date in UTC, which is what everybody is shown.
    return min((at - _EPOCH) // timedelta(microseconds=1), LATEST)


def _until(bound: float | datetime | None, now: int) -> int | None:
    if bound is None:
        return None
    return _moment(bound) if isinstance(bound, datetime) else now + round(bound * SECOND)


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
