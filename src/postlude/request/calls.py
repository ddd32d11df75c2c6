"""The calls of an endpoint that one request makes, and which of them its response is of.

Usually there is one. A route class of the application's own may catch what the endpoint raises and
answer itself, call it again, or change the response; tasks belong to the call whose response is sent.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from enum import Enum, auto
from types import CellType
from typing import Any, Final, NamedTuple

from starlette.applications import Starlette
from starlette.routing import Router

from postlude.request.background import CURRENT

_NOTED: Final = "postlude_noted"
_DEPTH: Final = 8
_BREADTH: Final = 64
"""How far a route's own handler is looked through."""

Handler = Callable[[Any], Awaitable[Any]]


class Around(Enum):
    """What stands between a route and the calls of its endpoint."""

    NOTHING = auto()
    NOTED = auto()
    """A handler of the application's own, whose calls are noted."""
    UNSEEN = auto()
    """One whose calls were not found."""


class Call(NamedTuple):
    """A call of an endpoint that has returned."""

    response: Any
    background: Any
    """What the response's background was then."""
    injected: Any
    """The background tasks that its parameters held."""


def begin(receipt: Any) -> None:
    """The endpoint is about to be called, perhaps again: its parameters hold tasks of their own."""
    if receipt.injected is not None:
        receipt.dropped = [*(receipt.dropped or ()), receipt.injected]
        receipt.injected = None


def choose(receipt: Any, response: Any) -> None:
    """A route is about to send this: keep the tasks that belong to it, and drop those of failed calls."""
    every = [each for each in (*(receipt.dropped or ()), receipt.injected) if each is not None]
    receipt.injected, receipt.dropped = chosen_of(response, receipt.calls, every)


class Chosen(NamedTuple):
    """What a response makes of the background tasks of a request."""

    injected: Any
    """Those that belong to it, if any do."""
    failed: list[Any] | None
    """Those of calls that have failed."""


def chosen_of(response: Any, calls: list[Call] | None, every: list[Any]) -> Chosen:
    """Return what belongs to a response that is about to be sent.

    Args:
        calls: those of the endpoint that have returned; None if nothing tells.
        every: all background tasks that parameters of the request held, in order.
    """
    chosen = _belonging(response, calls, every)
    done = [chosen, *(call.injected for call in calls or ())]
    failed = [each for each in every if not any(each is one for one in done)]
    return Chosen(chosen, failed or None)


def _belonging(response: Any, calls: list[Call] | None, every: list[Any]) -> Any:
    last = every[-1] if every else None
    if not hasattr(response, "background"):
        return last  # it stands around the endpoint's response
    own = response.background
    for injected in every:
        if own is injected:
            return injected
    if own is None:  # as with FastAPI, for whoever has taken it away
        return None
    for call in reversed(calls or ()):
        if response is call.response or own is call.background:
            return call.injected
    return last if calls is None else None  # it may be the endpoint's own response: nothing is dropped


def noted(endpoint: Handler) -> Handler:
    """Return what the framework makes of an endpoint, so that its calls are noted, whoever makes them."""
    return endpoint if hasattr(endpoint, _NOTED) else _noting(endpoint)


def direct(handler: Any) -> Any:
    """Return the handler of a route that calls its endpoint once: of that call, nothing is to be noted."""
    return handler.__wrapped__ if hasattr(handler, _NOTED) else handler


def note(handler: Any, endpoint: str) -> Around:
    """Let the calls be noted that a route's own handler makes of the endpoint.

    Args:
        handler: of the route.
        endpoint: the qualified name of what the framework makes of an endpoint.
    """
    if hasattr(handler, _NOTED) or getattr(handler, "__qualname__", "") == endpoint:
        return Around.NOTHING
    found = False
    for holder, name, inner in list(_endpoints(handler, endpoint)):
        found = True
        if not hasattr(inner, _NOTED):
            if isinstance(holder, CellType):
                holder.cell_contents = _noting(inner)
            else:
                holder[name] = _noting(inner)
    return Around.NOTED if found else Around.UNSEEN


def _noting(endpoint: Handler) -> Handler:
    @functools.wraps(endpoint)
    async def call(request: Any) -> Any:
        receipt = CURRENT.get()
        if receipt is None:
            return await endpoint(request)
        begin(receipt)
        if receipt.calls is None:  # the route makes its handler while it handles the request
            receipt.calls = []
        response = await endpoint(request)
        receipt.calls.append(Call(response, getattr(response, "background", None), receipt.injected))
        return response

    setattr(call, _NOTED, True)
    return call


def _endpoints(handler: Any, endpoint: str) -> Iterator[tuple[Any, Any, Any]]:
    """Find where a handler holds what FastAPI made of the endpoint: the cell or dict, and the key in it."""
    seen: set[int] = set()
    layer = [handler]
    for _ in range(_DEPTH):
        deeper: list[Any] = []
        for node in layer:
            if id(node) in seen:
                continue
            seen.add(id(node))
            for holder, name, part in _held(node):
                if getattr(part, "__qualname__", "") == endpoint:
                    if holder is not None:
                        yield holder, name, part
                elif callable(part) and not isinstance(part, (type, Starlette, Router)):
                    deeper.append(part)
        layer = deeper[:_BREADTH]


def _held(node: Any) -> Iterator[tuple[Any, Any, Any]]:
    for cell in getattr(node, "__closure__", None) or ():
        with suppress(ValueError):  # an empty cell
            yield cell, None, cell.cell_contents
    if isinstance(node, functools.partial):
        yield None, None, node.func
        yield from ((node.keywords, name, part) for name, part in list(node.keywords.items()))
    owner = getattr(node, "__self__", None)
    for holder in (getattr(node, "__dict__", None), getattr(owner, "__dict__", None)):
        if isinstance(holder, dict):
            yield from ((holder, name, part) for name, part in list(holder.items()))
