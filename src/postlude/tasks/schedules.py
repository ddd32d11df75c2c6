"""The schedules of one application, as its code declares them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from postlude.clock import SECOND
from postlude.errors import NotDurable, TaskDefinitionError
from postlude.messages.quoting import quoted
from postlude.model.cron import BadRule, every, rule_of, zone_of
from postlude.model.schedule import Missed, Schedule, write_terms
from postlude.model.terms import PLAIN
from postlude.tasks.options import Seconds
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task

LEEWAY: Final = 60.0
"""Seconds that a due time may be late by default, and is not missed."""

LONGEST_NAME: Final = 500


class ScheduleBook:
    """What has been declared so far, by name.

    Args:
        registry: where the tasks are.
        application: whose they are, in the journal.
    """

    def __init__(self, registry: Registry, application: str = "") -> None:
        self._registry = registry
        self.application = application
        self._schedules: dict[str, tuple[Task[..., Any], Schedule]] = {}

    @property
    def schedules(self) -> list[Schedule]:
        """All of them."""
        return [schedule for _, schedule in self._schedules.values()]

    def add(
        self,
        function: Any,
        rule: str,
        zone: str,
        missed: Missed,
        leeway: int,
        name: str | None,
        arguments: Mapping[str, Any],
    ) -> Task[..., Any]:
        """Declare one; returns the task, which a plain function becomes.

        Raises:
            TaskDefinitionError: it cannot be scheduled so.
        """
        task = self._task(function)
        known_as = task.name if name is None else name
        self._refuse_twin(known_as, task, named=name is not None)
        payload = _encoded(task, arguments)
        terms = (task.terms(0) or PLAIN)._replace(once=task.once, rated=task.rated)
        terms = terms._replace(concurrency_key=task.concurrency_key(payload))
        schedule = Schedule(
            known_as,
            task.name,
            task.queue,
            rule,
            zone,
            missed.value,
            leeway,
            payload.payload,
            write_terms(terms),
        )
        self._schedules[known_as] = task, schedule
        return task

    def _task(self, function: Any) -> Task[..., Any]:
        if not isinstance(function, Task):
            declared: Task[..., Any] = self._registry.task(function)
            return declared
        try:
            self._registry.of(function)
        except NotDurable as error:
            raise TaskDefinitionError(str(error)) from None
        policy = function.policy
        if policy.moves or policy.at is not None:
            raise TaskDefinitionError(
                f"{function.name}: delay=, at=, expires= and deadline= of using() count from the call, and a "
                f"schedule is no call: declare expires= or deadline= with @postlude.task; the rule says when"
            )
        return function

    def _refuse_twin(self, name: str, task: Task[..., Any], *, named: bool) -> None:
        if not name or len(name) > LONGEST_NAME:
            raise TaskDefinitionError(f"name={quoted(name)}: give 1 to {LONGEST_NAME} characters")
        known = self._schedules.get(name)
        if known is None:
            return
        other, _ = known
        same = (other.base or other).function, (task.base or task).function
        if not named and same[0].__qualname__ == same[1].__qualname__ and same[0] is not same[1]:
            return  # its module is imported again, as a reloader does
        raise TaskDefinitionError(
            f"there is a schedule {quoted(name)} already: give this one name= of its own, as in "
            f'@postlude.cron(..., name="{task.function.__name__} in the evening")'
        )


def _encoded(task: Task[..., Any], arguments: Mapping[str, Any]) -> Any:
    if not isinstance(arguments, Mapping):
        raise TaskDefinitionError(f"arguments={quoted(arguments)}: give them by name, {{'region': 'eu'}}")
    try:
        return task.encode((), dict(arguments))
    except (TypeError, NotDurable) as error:
        raise TaskDefinitionError(
            f"{error}; the arguments of a schedule's jobs are given by arguments={{'name': value}}"
        ) from None


def cron_rule(expression: str, timezone: str | ZoneInfo) -> tuple[str, str]:
    """Return a rule and its zone.

    Raises:
        TaskDefinitionError: they are none.
    """
    if not isinstance(expression, str):
        raise TaskDefinitionError(f"cron({quoted(expression)}): give a text, as in '0 7 * * MON-FRI'")
    zone = timezone.key if isinstance(timezone, ZoneInfo) else timezone
    try:
        if not isinstance(zone, str) or not zone:
            raise BadRule(f"timezone={quoted(timezone)}: give a name as 'Europe/Paris', or 'UTC'")
        zone_of(zone)
        rule_of(expression, zone)
    except BadRule as error:
        raise TaskDefinitionError(str(error)) from None
    return expression, zone


def interval_rule(seconds: Seconds) -> str:
    """Return the rule of an interval.

    Raises:
        TaskDefinitionError: it is none.
    """
    rule = every(_seconds("every", seconds))
    try:
        rule_of(rule, "UTC")
    except BadRule:
        raise TaskDefinitionError(f"every({quoted(seconds)}): give a second at least") from None
    return rule


def checked_missed(missed: str) -> Missed:
    """Return it.

    Raises:
        TaskDefinitionError: it is none.
    """
    if missed not in list(Missed):
        raise TaskDefinitionError(f'missed={quoted(missed)}: give "skip", "once" or "all"')
    return Missed(missed)


def checked_leeway(leeway: Seconds) -> int:
    """Return it in microseconds.

    Raises:
        TaskDefinitionError: it is none.
    """
    return round(_seconds("leeway", leeway) * SECOND)


def _seconds(name: str, given: Seconds) -> float:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
        raise TaskDefinitionError(f"{name}: {quoted(given)} is no time; give seconds, or a timedelta")
    return float(seconds)
