"""Whether a job is of a call that a test has in mind: by its task and by its arguments as they are stored."""

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final, NamedTuple
from unittest.mock import ANY

from pydantic_core import from_json

from postlude.errors import UnknownTask
from postlude.messages.quoting import cut
from postlude.model.job import JobRecord
from postlude.model.state import State
from postlude.tasks.codec.parameter import Field
from postlude.tasks.codec.payload import Limits
from postlude.tasks.codec.precheck import Refused
from postlude.tasks.names import called
from postlude.tasks.registry import Registry
from postlude.tasks.signature import read_parameters, read_signature, without_injected
from postlude.tasks.task import Task
from postlude.testing.records import call_text

NOT_YET: Final = "; a plain function has one when it has been added: give the function, or 'module:name'"
HINT: Final = "; did you mean "
"""What an error says that knows a name near to the one that was given."""

_LIMITS: Final = Limits(1 << 30, 180)
_MISSING: Final = inspect.Parameter.empty
_NOWHERE: Final = object()


class Expected(NamedTuple):
    """An argument that a test has in mind."""

    field: Field
    value: Any


class WantedCall:
    """A call that a test has in mind.

    Args:
        registry: where functions are tasks.
        function: what is called; a text is the name of a task, or of its function alone.
        args: its arguments. Without any, every call is meant; `...` and `mock.ANY` match anything.
        kwargs: likewise.

    Raises:
        NotDurable: no job can be of this function.
        UnknownTask: no task has this name, or several have.
        TypeError: the function cannot be called so.
    """

    def __init__(
        self, registry: Registry, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if isinstance(function, str):
            self.task: Task[..., Any] = _task_called(registry, function)
        else:
            self.task, args, kwargs = registry.call(function, args, kwargs)
        self.args, self.kwargs = args, kwargs
        self._any = not args and not kwargs
        signature = read_signature(self.task.function)
        parameters = read_parameters(self.task.function, signature)
        self._signature = without_injected(signature, parameters)
        self._fields = {p.name: Field(p) for p in parameters if p.depends is None}
        self._expected = {} if self._any else dict(self._labelled(args, kwargs))

    def __str__(self) -> str:
        if self._any:
            return self.task.name
        return call_text(self.task.name, self.args, self.kwargs)

    def differences(self, record: JobRecord) -> list[str] | None:
        """Return in what a job of the task differs, in words; None if the job is of another task."""
        if record.task != self.task.name:
            return None
        different = [] if self.task.base is None else list(self._other_options(record))
        if self._any:
            return different
        stored = dict(self._stored(from_json(record.payload)))
        for label in dict.fromkeys([*self._expected, *stored]):
            expected = self._expected.get(label)
            if expected is None:  # one of `*args` or `**kwargs`: all others are expected by default
                different.append(f"{label} is {stored[label]!r}, and was not asked for")
            elif not self._matches(label, expected, stored.get(label, _NOWHERE)):
                was = "not given" if label not in stored else repr(stored[label])
                different.append(f"{label} is {was}, not {expected.value!r}")
        return different

    def _labelled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Expected]]:
        """Name each argument, given or by default."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.task.name}: {error}; pass ... for what may be anything") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            field = self._fields[name]
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                yield from ((f"{name}[{place}]", Expected(field, one)) for place, one in enumerate(value))
            elif kind is inspect.Parameter.VAR_KEYWORD:
                yield from ((label, Expected(field, one)) for label, one in value.items())
            else:
                yield name, Expected(field, value)

    def _stored(self, document: Any) -> Iterator[tuple[str, Any]]:
        parameters = self._signature.parameters.values()
        unnamed = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        rest = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL), "")
        for place, value in enumerate(document["a"]):
            yield unnamed[place] if place < len(unnamed) else f"{rest}[{place - len(unnamed)}]", value
        yield from document["k"].items()

    def _matches(self, label: str, expected: Expected, stored: Any) -> bool:
        if expected.value is ... or expected.value is ANY:
            return True
        if stored is _NOWHERE:
            return self._defaults_to(label, expected)
        return _same(expected, stored)

    def _defaults_to(self, label: str, expected: Expected) -> bool:
        parameter = self._signature.parameters.get(label)
        if parameter is None or parameter.default is _MISSING:
            return False
        default = parameter.default
        if default is expected.value:
            return True
        try:
            stored = from_json(expected.field.encode(default, _LIMITS)[0])
        except Refused:
            return bool(default == expected.value)
        return _same(expected, stored)

    def _other_options(self, record: JobRecord) -> Iterator[str]:
        """Tell in what the options that `using` has set differ from those of a job."""
        chosen = self.task.policy.set_by_call
        if "queue" in chosen and record.queue != self.task.queue:
            yield f"queue is {record.queue!r}, not {self.task.queue!r}"
        terms = self.task.terms(record.created)
        if terms is None:
            return
        if "priority" in chosen and record.priority != terms.priority:
            yield f"priority is {record.priority}, not {terms.priority}"
        if terms.key is not None and record.key != terms.key:
            yield f"key is {record.key!r}, not {terms.key!r}"
        waits = record.state is State.QUEUED and not record.failures
        if waits and terms.due is not None and record.due != terms.due:
            yield "it is due at another time"
        opts, stored = terms.given.opts, record.given.opts
        if opts is not None and stored != opts:
            yield f"options are {stored or 'the default'}, not {opts or 'the default'}"


def _task_called(registry: Registry, name: str) -> Task[..., Any]:
    try:
        return registry.resolve(name)
    except UnknownTask as unknown:
        tasks = {registry.resolve(whole): whole for whole in called(name, registry.names)}
        if len(tasks) > 1:
            raise UnknownTask(
                f"several tasks are called {name}; give one of {', '.join(sorted(tasks.values()))}"
            ) from None
        if not tasks:
            near = get_close_matches(cut(name), [each.rpartition(":")[2] for each in registry.names])
            hint = f"{HINT}{near[0]!r}?" if near else "" if ":" in name else NOT_YET
            raise UnknownTask(f"{unknown}{hint}") from None
        return next(iter(tasks))


def _same(expected: Expected, stored: Any) -> bool:
    """Whether a value would be stored so; what cannot be stored, a matcher, is asked by `==`."""
    try:
        text, _ = expected.field.encode(expected.value, _LIMITS)
    except Refused:
        refused = True
    else:
        refused = False
        if _identical(from_json(text), stored):
            return True
    try:
        value = expected.field.decode(stored)
    except Refused:
        return False
    return (refused or type(value) is type(expected.value)) and bool(expected.value == value)


def _identical(one: Any, other: Any) -> bool:
    """Compare values of JSON; unlike `==`, true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_identical(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_identical, one, other))
    return (type(one) is bool) == (type(other) is bool) and bool(one == other)
