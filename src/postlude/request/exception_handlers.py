"""Exception handlers: what they answer is a receipt too.

They are called in three places: around a route, around all routes (errors of other routes and of
middlewares, 404s), and, the one for everything, outside of all middlewares. All of them are found in
the middleware stack of an application, when that is built.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from postlude.compat import exception_handlers, is_async_callable
from postlude.enqueue.port import Port
from postlude.request.receipt import Receipt
from postlude.request.route import SCOPE_KEY

_WATCHED: Final = "postlude_watched"

_MANY: Final = 1000
"""Objects of a middleware stack that are looked at."""

_INSIDE: Final = ("app", "router", "original_router")
"""Where applications, mounts, routers and middlewares keep what is inside them."""

DeskOf = Callable[[Scope], Port | None]


class HandledResponse:
    """A handler's response with its background: jobs, committed before it begins.

    Args:
        port: where they are handed in.
        response: what the handler has returned.
    """

    def __init__(self, port: Port, response: Any) -> None:
        self._port = port
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        receipt = Receipt(self._port, scope, None)
        receipt.response = self._response
        cancelled = True
        try:
            await self._send(receipt, scope, receive, send)
            cancelled = False
        except Exception:
            cancelled = False
            raise
        finally:
            used = receipt.committed or receipt.memory or receipt.own is not None
            if used and not receipt.end_at_once():
                await receipt.end(cancelled=cancelled)

    @staticmethod
    async def _send(receipt: Receipt, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receipt(scope, receive, send)
        except HTTPException as error:
            if receipt.answered:
                raise
            # No handler is asked again: it would answer as it did, and nobody is left to answer for it.
            refusal = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
            await refusal(scope, receive, send)


def watch_handlers(app: Starlette, port: Callable[[], Port]) -> None:
    """Let the handlers of an application, and of those that it mounts, answer with receipts.

    Args:
        app: whose stack may be built or not.
        port: that of its own requests; those of a mounted one are known by their scope.
    """
    for each in _applications(app):
        _watch(each, partial(_desk_of, port if each is app else None))


def _desk_of(own: Callable[[], Port] | None, scope: Scope) -> Port | None:
    port: Port | None = scope.get(SCOPE_KEY)
    return own() if port is None and own is not None else port


def _watch(app: Starlette, desk_of: DeskOf) -> None:
    build = app.build_middleware_stack
    if not hasattr(build, _WATCHED):

        @functools.wraps(build)
        def build_watched() -> Any:
            stack = build()
            _watch_stack(stack, desk_of)
            return stack

        setattr(build_watched, _WATCHED, True)
        app.build_middleware_stack = build_watched  # type: ignore[method-assign]
    if app.middleware_stack is not None:
        _watch_stack(app.middleware_stack, desk_of)


def _watch_stack(stack: Any, desk_of: DeskOf) -> None:
    for node in _stacked(stack):
        if isinstance(node, ServerErrorMiddleware) and node.handler is not None:
            node.handler = _answering(node.handler, desk_of)
        elif isinstance(node, ExceptionMiddleware):
            for known in exception_handlers(node):
                known.update({key: _answering(handler, desk_of) for key, handler in known.items()})


def _answering(handler: Any, desk_of: DeskOf) -> Any:
    """Return a handler that gives a receipt in place of a response that has a background."""
    frameworks = (getattr(handler, "__module__", None) or "").partition(".")[0] in ("starlette", "fastapi")
    if frameworks or hasattr(handler, _WATCHED):
        return handler

    def receipt(connection: Any, response: Any) -> Any:
        if getattr(response, "background", None) is None:
            return response
        port = desk_of(connection.scope)
        return response if port is None else HandledResponse(port, response)

    if is_async_callable(handler):

        async def answering(connection: Any, error: Exception) -> Any:
            return receipt(connection, await handler(connection, error))

    else:

        def answering(connection: Any, error: Exception) -> Any:  # type: ignore[misc]
            return receipt(connection, handler(connection, error))

    functools.update_wrapper(answering, handler)
    setattr(answering, _WATCHED, True)
    return answering


def _stacked(stack: Any) -> Iterator[Any]:
    """Return the middlewares of a stack, from the outside in, whatever holds the one inside."""
    seen: dict[int, Any] = {}
    todo = [stack]
    while todo and len(seen) < _MANY:
        node = todo.pop(0)
        if id(node) in seen or isinstance(node, (Starlette, Router, type)):
            continue
        seen[id(node)] = node
        yield node
        todo += [part for part in _held(node) if callable(part)]


def _held(node: Any) -> Iterator[Any]:
    yield from list(getattr(node, "__dict__", {}).values())
    for cell in getattr(node, "__closure__", None) or ():
        with suppress(ValueError):  # an empty cell
            yield cell.cell_contents


def _applications(app: Any) -> Iterator[Starlette]:
    """Return an application and those that are mounted in it, however deep."""
    seen: dict[int, Any] = {}
    todo = [app]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        if isinstance(node, Starlette):
            yield node
        todo += [part for name in _INSIDE if (part := getattr(node, name, None)) is not None]
        routes = getattr(node, "routes", None)
        if isinstance(routes, (list, tuple)):
            todo += routes
