"""What the dependencies of a task's parameters may ask for: other dependencies, and a narrow request.

There is no HTTP request when a task runs. What FastAPI would read from one is refused here, before
a job is stored, by the same rules by which FastAPI reads a signature.
"""

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, NoReturn, get_origin

from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from postlude.tasks.signature import (
    Parameter,
    bare,
    depends_of,
    is_a,
    read_parameters,
    read_signature,
    resolve,
)


class Injected:
    """A default in place of a value: what the annotation's `Depends` gives stands there when the job runs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "injected"

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name!r} of what `Depends` fills in jobs only: a direct call must pass it")


injected: Final[Any] = Injected()
"""The default of a task's parameter whose annotation has a `Depends`, so that calls may leave it out.

FastAPI looks at the annotation alone. Type checkers do not, and take a parameter without a default for
one that must be passed: `session: Annotated[AsyncSession, Depends(get_session)] = injected`.
"""

_FROM_REQUEST: Final = "Path", "Query", "Header", "Cookie", "File", "Form", "Body"
_PASS_IT: Final = "give the task a parameter of its own for it, and depend on something that does not need it"


class Refusal(NamedTuple):
    """Why a task's dependencies cannot be resolved without an HTTP request."""

    place: str
    """Parameters from the task's own down to the one that cannot be filled."""
    reason: str
    unresolved: bool = False
    """An annotation is not known yet: it may be defined further down in its module."""

    def __str__(self) -> str:
        return f"parameter {self.place!r} {self.reason}"


def refusal_of(function: Callable[..., Any]) -> Refusal | None:
    """Return what keeps a declared task's dependencies, or its own parameters, from being filled."""
    parameters = read_parameters(function, read_signature(function))
    if "fastapi.params" not in sys.modules:
        return find_refusal(p for p in parameters if p.default is injected)
    for parameter in parameters:
        reason = _own_reason(parameter)
        if reason is not None:
            return Refusal(parameter.name, reason)
    return find_refusal(parameters)


def find_refusal(parameters: Iterable[Parameter]) -> Refusal | None:
    """Return the first thing that keeps a task's parameters from being filled, if there is one."""
    late: Refusal | None = None
    parameters = tuple(parameters)
    for parameter in parameters:
        if parameter.depends is None:
            if parameter.default is not injected:
                continue
            if parameter.problem is None:
                return Refusal(
                    parameter.name, "has the default `injected`, and its annotation has no Depends"
                )
            late = late or Refusal(parameter.name, parameter.problem, unresolved=True)
            continue
        found = _misplaced(parameter, parameters) or _Walk().into(
            parameter.name, parameter.depends, parameter.annotation, parameter.problem
        )
        if found is not None and not found.unresolved:
            return found
        late = late or found
    return late


def _misplaced(parameter: Parameter, parameters: tuple[Parameter, ...]) -> Refusal | None:
    kinds = inspect.Parameter
    if parameter.kind is kinds.POSITIONAL_ONLY:
        return Refusal(
            parameter.name, "is positional-only, and Depends passes by name; write it behind the `/`"
        )
    rest = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), None)
    if rest is not None and parameter.kind is kinds.POSITIONAL_OR_KEYWORD:
        return Refusal(parameter.name, f"is filled by Depends and stands before `*{rest}`; write it behind")
    return None


def _own_reason(parameter: Parameter) -> str | None:
    """Return why a task's own parameter can be no argument of a job, if FastAPI's habits mislead here."""
    if parameter.depends is not None:
        return None
    if is_a(type(parameter.default), "pydantic.fields", "FieldInfo"):
        return _value((parameter.default,)) if _mark((parameter.default,)) else None
    kind = parameter.annotation
    if not parameter.required or not isinstance(kind, type):
        return None
    if issubclass(kind, HTTPConnection) and not issubclass(kind, WebSocket):
        return "is the request, and a task has none; a dependency may take it, for `.app` and `.state`"
    reason = _reason(kind, None)
    return None if reason == _value(()) else reason


class _Walk:
    """One walk through a tree of dependencies; each callable is looked at once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def into(self, place: str, depends: Any, annotation: Any, problem: str | None) -> Refusal | None:
        """Return what a dependency, or one of those below it, cannot get."""
        if is_a(type(depends), "fastapi.params", "Security"):
            return Refusal(place, _security("is filled by Security"))
        call = depends.dependency
        if call is None:  # `Depends()`: the annotation is the class
            if problem is not None:
                return Refusal(place, problem, unresolved=True)
            call = bare(annotation)
        if id(call) in self._seen:
            return None
        self._seen.add(id(call))
        if is_a(type(call), "fastapi.security.base", "SecurityBase"):
            return Refusal(place, _security(f"is filled by {type(call).__name__}"))
        return self._below(place, call)

    def _below(self, place: str, call: Callable[..., Any]) -> Refusal | None:
        try:
            signature = inspect.signature(call)
        except (TypeError, ValueError) as error:
            return Refusal(place, f"depends on what has no parameters to be read ({error}); write a def")
        hints, problems = resolve(call, signature)
        late: Refusal | None = None
        for name, parameter in signature.parameters.items():
            below = f"{place} -> {name}"
            hint = hints.get(name, parameter.annotation)
            depends = depends_of(parameter.default, hint)
            if depends is not None:
                found = self.into(below, depends, hint, problems.get(name))
            elif name in problems:
                found = Refusal(below, problems[name], unresolved=True)
            else:
                reason = _reason(hint, parameter.default)
                found = None if reason is None else Refusal(below, reason)
            if found is not None and not found.unresolved:
                return found
            late = late or found
        return late


def _reason(hint: Any, default: Any) -> str | None:
    """Return why a parameter of a dependency cannot be filled; None if it can."""
    marks = (default, *getattr(hint, "__metadata__", ()))
    kind = bare(hint)
    if not isinstance(kind, type) or get_origin(kind) is not None:
        return _value(marks)
    if issubclass(kind, WebSocket):
        return "is the WebSocket, and a task has none; let the endpoint talk to it"
    if issubclass(kind, HTTPConnection):
        return None
    if issubclass(kind, Response):
        return "is the response, and a task has none; set headers and cookies in the endpoint"
    if issubclass(kind, BackgroundTasks):
        return "is the BackgroundTasks of a request, and a task has none; add further jobs with `add_task`"
    if is_a(kind, "fastapi.security.oauth2", "SecurityScopes"):
        return _security("is the SecurityScopes of a route")
    return _value(marks)


def _value(marks: tuple[Any, ...]) -> str:
    mark = _mark(marks)
    if mark is not None:
        return f"is filled by {mark}, from a request, and a task has none; {_PASS_IT}"
    return f"is a query parameter or a body to FastAPI, and a task has no request; {_PASS_IT}"


def _mark(marks: tuple[Any, ...]) -> str | None:
    kinds = [type(mark) for mark in marks]
    return next((n for n in _FROM_REQUEST for kind in kinds if is_a(kind, "fastapi.params", n)), None)


def _security(what: str) -> str:
    return (
        f"{what}, and a task has no request to check; check it in the endpoint, "
        f"and pass the task what it needs to know (a user's id, say)"
    )
