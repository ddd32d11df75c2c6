"""What others have put in the place of the framework's methods: mocks of tests, and tools that watch.

A mock is called, and so is whatever an application has written. What tracing packages put there is passed
over: it gives functions of its own in the place of those that were added, which no other process can find.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from postlude.model.event.request import AddTaskWrapped
from postlude.telemetry.process import EVENTS

_FRAMEWORKS: Final = frozenset({"fastapi", "starlette"})

_WATCHERS: Final = frozenset(
    {
        "appsignal", "autodynatrace", "aws_xray_sdk", "bugsnag", "ddtrace", "elasticapm", "highlight_io",
        "honeybadger", "instana", "logfire", "newrelic", "oneagent", "opentelemetry", "rollbar", "scout_apm",
        "sentry_sdk", "skywalking",
    }
)  # fmt: skip
"""Packages that watch what an application does."""

_DEPTH: Final = 4
"""So many functions around another are looked through."""

_SAID: Final[set[str]] = set()
"""Of which wrappers it has been said that jobs run without them."""


def is_mock(method: Any) -> bool:
    """Whether a test has put a mock in a method's place; tools that watch call what they have replaced."""
    return hasattr(method, "assert_called")


def is_replaced(*methods: Any) -> bool:
    """Whether something that is to be called stands in the place of one of the framework's methods."""
    return not all(map(_is_frameworks_own, methods))


def _is_frameworks_own(method: Any) -> bool:
    watched = False
    for layer in _layers(method):
        if is_mock(layer):
            return False
        home = _home(layer)
        if home in _FRAMEWORKS:
            return True
        if home not in _WATCHERS:
            return False
        watched = True
    return watched


def _layers(method: Any) -> Iterator[Any]:
    while method is not None:
        yield method
        method = getattr(method, "__wrapped__", None)


def _home(function: Any) -> str:
    """Return the package that a function is written in. Its `__module__` may be of what it wraps."""
    written = getattr(function, "_self_wrapper", function)  # wrapt's
    written = getattr(written, "__func__", written)
    module = getattr(written, "__globals__", {}).get("__name__") or type(written).__module__
    return str(module).partition(".")[0]


def unwatched(function: Any) -> Any:
    """Return the function that a tracing package has put one of its own around; any other as it is."""
    for _ in range(_DEPTH):
        if not getattr(function, "__closure__", None) or _home(function) not in _WATCHERS:
            break
        inside = [part for part in _held(function) if callable(part)]
        if len(inside) != 1:
            break
        function = inside[0]
    return function


def meant(given: Any, function: Any, methods: tuple[Any, ...]) -> Any:
    """Return the function of a job, of which a replaced method was given one and has added another.

    What stands around a function in one process cannot be found by another.

    Args:
        given: what the method was called with.
        function: what it has added.
        methods: those that may have made the one of the other; what says in `__wrapped__` what it stands
            around means to add to that, and not to do something else.
    """
    function = unwatched(function)
    if function is given or given is None or not _leads_to(function, given):
        return function
    wrapper = next((each for each in methods if hasattr(each, "__wrapped__") and not is_mock(each)), None)
    if wrapper is None:
        return function
    _say(getattr(wrapper, "_self_wrapper", wrapper))
    return given


def _say(wrapper: Callable[..., Any]) -> None:
    name = f"{_home(wrapper)}: {getattr(getattr(wrapper, '__code__', None), 'co_qualname', wrapper)}"
    if name not in _SAID and len(_SAID) < 100:
        _SAID.add(name)
        EVENTS.emit(AddTaskWrapped(name))


def _leads_to(function: Any, wanted: Any) -> bool:
    layer = [function]
    for _ in range(_DEPTH):
        layer = [part for node in layer for part in _held(node)]
        if any(part is wanted for part in layer):
            return True
    return False


def _held(node: Any) -> Iterator[Any]:
    if isinstance(node, functools.partial):
        yield from (node.func, *node.args)
    for cell in getattr(node, "__closure__", None) or ():
        with suppress(ValueError):  # an empty cell
            yield cell.cell_contents
    yield from (part for part in (getattr(node, "__wrapped__", None),) if part is not None)
