"""Whose the jobs of a request are, and who asks about one: what an application says of that."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

from postlude.compat import is_async_callable
from postlude.enqueue.port import Port, Prepared, Turn
from postlude.model.owner import problem_of

AskOwner = Callable[[Scope], Awaitable[str | None]]
"""Says whose a request's jobs are, by its scope."""


def checked(owner: Any, of: str) -> str | None:
    """Return what an application has said of an owner.

    Args:
        owner: the text, or None.
        of: who has said it, for the error.

    Raises:
        TypeError: it is neither a text that can be an owner, nor None.
    """
    problem = problem_of(owner)
    if problem is not None:
        raise TypeError(f"{of} gave {owner!r:.80}: {problem}")
    return owner  # type: ignore[no-any-return]


def takes_request(owner: Callable[..., Any]) -> bool:
    """Whether an application's function takes the request and nothing else, as `lambda request: ...` does.

    FastAPI would take a parameter without an annotation for one of the query.
    """
    parameters = _parameters(owner)
    return len(parameters) == 1 and parameters[0].annotation is inspect.Parameter.empty and takes_one(owner)


def takes_one(owner: Callable[..., Any]) -> bool:
    """Whether it has to be given one thing, which then is the request, however it is annotated."""
    return [each.default for each in _parameters(owner)].count(inspect.Parameter.empty) == 1


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return []


async def ask(owner: Callable[..., Any], *given: Any) -> Any:
    """Call an application's function as FastAPI would: a sync one in a thread."""
    if is_async_callable(owner):
        return await owner(*given)
    return await run_in_threadpool(owner, *given)


async def ask_by_request(owner: Callable[..., Any], scope: Scope) -> Any:
    """Ask a function of the request, also for a WebSocket's session."""
    return await ask(owner, Request({**scope, "type": "http", "method": scope.get("method", "GET")}))


class Owned(Protocol):
    """A request with jobs. Implemented by `postlude.request.receipt.Receipt`."""

    port: Port
    scope: Scope
    owner: str | None
    """Whose its jobs are; not set until that has been asked."""


async def give(request: Owned, items: Sequence[Prepared | Turn]) -> None:
    """Give jobs to the owner of their request, who is asked for once.

    Raises:
        Exception: what the application raises instead of an answer: nothing is to be stored.
    """
    whose = request.port.owner
    if whose is None or all(isinstance(item, Turn) for item in items):
        return
    if not hasattr(request, "owner"):
        request.owner = await whose(request.scope)
    for item in items:
        if not isinstance(item, Turn):
            item.belong_to(request.owner)


async def give_although_failed(request: Owned, items: Sequence[Prepared]) -> None:
    """Give jobs to the owner of their request, which has failed: perhaps because nobody knows whose it is."""
    with suppress(Exception):
        await give(request, items)
