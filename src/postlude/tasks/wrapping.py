"""How a task looks like the function that it wraps, to `inspect` and to frameworks."""

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

from postlude.compat import marks_of_coroutine_functions

_OF_FUNCTIONS: Final = (*functools.WRAPPER_ASSIGNMENTS, "__code__", "__defaults__", "__kwdefaults__")


def gives_awaitable(function: Callable[..., Any]) -> bool:
    """Whether calling a callable gives an awaitable, as far as it tells."""
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    call = getattr(inner, "__call__", None)  # noqa: B004
    return _is_coroutine_function(inner) or _is_coroutine_function(call)


def _is_coroutine_function(function: Any) -> bool:
    if sys.version_info >= (3, 12):
        return inspect.iscoroutinefunction(function)
    return asyncio.iscoroutinefunction(function)


def function_like(function: Any, is_async: bool) -> dict[str, Any]:
    """Return the attributes by which `inspect` and frameworks see what a task wraps.

    Without them Starlette would call an async task in a thread and never await what it gives.
    """
    attributes = dict(getattr(function, "__dict__", {}))
    attributes.update({name: getattr(function, name) for name in _OF_FUNCTIONS if hasattr(function, name)})
    attributes["__wrapped__"] = function
    if is_async:
        attributes.update(marks_of_coroutine_functions())
    if is_async and sys.version_info < (3, 12):
        code = attributes.get("__code__")  # which older versions of Starlette look at instead
        if isinstance(code, CodeType) and not code.co_flags & inspect.CO_COROUTINE:
            attributes["__code__"] = code.replace(co_flags=code.co_flags | inspect.CO_COROUTINE)
    return attributes
