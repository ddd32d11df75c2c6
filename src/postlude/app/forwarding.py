"""What a Postlude is asked and a part of it answers: the same parameters, the same text, the same types."""

import functools
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Any, Concatenate, ParamSpec, TypeVar

from postlude.app.lifecycle import Lifespan
from postlude.jobs.control import Control
from postlude.jobs.looks import Looks
from postlude.jobs.queries import JobQueries
from postlude.jobs.schedules import Schedules

P = ParamSpec("P")
R = TypeVar("R")

Asked = Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]
"""A method of `Postlude`."""


def of_control(method: Callable[Concatenate[Control, P], Coroutine[Any, Any, R]]) -> Asked[P, R]:
    """Return a method that its `Control` answers."""
    asked: Asked[P, R] = _asked(method, "components.control")
    return asked


def of_schedules(method: Callable[Concatenate[Schedules, P], Coroutine[Any, Any, R]]) -> Asked[P, R]:
    """Return a method that its `Schedules` answer."""
    asked: Asked[P, R] = _asked(method, "components.schedules")
    return asked


def of_queries(method: Callable[Concatenate[JobQueries, P], Coroutine[Any, Any, R]]) -> Asked[P, R]:
    """Return a method that its `JobQueries` answer."""
    asked: Asked[P, R] = _asked(method, "components.queries")
    return asked


def of_looks(method: Callable[Concatenate[Looks, P], Coroutine[Any, Any, R]]) -> Asked[P, R]:
    """Return a method that its `Looks` answer."""
    asked: Asked[P, R] = _asked(method, "components.looks")
    return asked


def of_lifespan(method: Callable[Concatenate[Lifespan, P], Coroutine[Any, Any, R]]) -> Asked[P, R]:
    """Return a method that the lifespan answers which `Postlude.open` has begun."""
    asked: Asked[P, R] = _asked(method, "_lifespan")
    return asked


def _asked(method: Any, where: str) -> Any:
    part = attrgetter(where)

    @functools.wraps(method)
    def ask(postlude: Any, /, *args: Any, **kwargs: Any) -> Any:
        return method(part(postlude), *args, **kwargs)  # arguments that it has not are refused here and now

    return ask
