"""Tasks that have dependencies and run in memory: the frameworks' own background tasks call them.

So it is while Postlude is off, and where a call has no durable form. Those call a function with what it
was added with, and `Depends` must be filled in between. Only they are told from a direct call, which
passes it all.
"""

import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from postlude.tasks.signature import read_parameters, read_signature, without_injected

Fill = Callable[[Any, tuple[Any, ...], dict[str, Any]], Awaitable[Any]]
"""Calls a task with its arguments and with what its dependencies give."""

_CALLS: Any = inspect.unwrap(BackgroundTask.__call__)  # a tracer may have wrapped it


def in_background() -> bool:
    """Whether Starlette's background task has made the call of the function that asks."""
    return sys._getframe(2).f_code is _CALLS.__code__


def without_filled(
    function: Callable[..., Any],
    injected: frozenset[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return a call's arguments as those of a job are: by name, where they have one.

    None if it is not called as a job is: it passes what `Depends` would fill, or does not fit.
    """
    if not injected.isdisjoint(kwargs):
        return None
    signature = read_signature(function)
    kept = without_injected(signature, read_parameters(function, signature))
    try:
        bound = kept.bind(*args, **kwargs).arguments
    except TypeError:
        return None
    kinds = {name: kept.parameters[name].kind for name in bound}
    rest = inspect.Parameter.VAR_POSITIONAL in kinds.values()
    unnamed: list[Any] = []
    named: dict[str, Any] = {}
    for name, value in bound.items():
        match kinds[name]:
            case inspect.Parameter.VAR_POSITIONAL:
                unnamed += value
            case inspect.Parameter.VAR_KEYWORD:
                named |= value
            case inspect.Parameter.POSITIONAL_ONLY:
                unnamed.append(value)
            case inspect.Parameter.POSITIONAL_OR_KEYWORD if rest:  # what follows must be passed by position
                unnamed.append(value)
            case _:
                named[name] = value
    return tuple(unnamed), named


async def called(
    function: Callable[..., Any], is_async: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function as Starlette's background tasks do: awaited, or in a thread."""
    if is_async:
        return await function(*args, **kwargs)
    return await run_in_threadpool(function, *args, **kwargs)
