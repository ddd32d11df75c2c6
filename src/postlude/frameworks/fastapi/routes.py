"""FastAPI's routes: finding what handles each of them, and making those that came too early anew."""

import functools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from starlette.applications import Starlette
from starlette.routing import Host, Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from postlude.errors import UnsupportedFramework
from postlude.frameworks.fastapi.internals import (
    CONTEXTS,
    ENDPOINTS,
    FRONTENDS,
    INCLUDED,
    MADE,
    MAKERS,
    application_of,
    behind_frontends,
    behind_included,
    handler_in,
    made_of,
)
from postlude.messages.quoting import quoted
from postlude.request.background import CURRENT
from postlude.request.first_byte import FirstByte
from postlude.request.receipt import Receipt
from postlude.request.route import is_tracked, track

_DEPTH: Final = 8
_BREADTH: Final = 64
"""How far wrappers around a route's application are looked through."""


def cover(app: Any) -> None:
    """Make every route of the application, of its routers and of what it mounts give receipts.

    Raises:
        UnsupportedFramework: a route does not, and cannot be made to. The message names it.
    """
    for route, holder, attribute in handlers(app):
        if not _covered(getattr(holder, attribute)) and not _repair(holder, attribute):
            path = getattr(holder, "path", "") or getattr(route, "path", "?")
            raise UnsupportedFramework(
                f"The route {quoted(path)} ({type(route).__module__}.{type(route).__qualname__}) was made "
                "before Postlude was installed and wraps its application in a way that Postlude cannot see "
                "through, so its background tasks would not be stored. Create Postlude() before this route "
                "is made."
            )


def dependants(app: Any) -> Iterator[Any]:
    """Yield what FastAPI found out about the parameters of each route of the application and its mounts."""
    for route, holder, _ in handlers(app):
        dependant = getattr(holder, "dependant", None) or getattr(route, "dependant", None)
        if dependant is not None:
            yield dependant


def handlers(app: Any) -> Iterator[tuple[Any, Any, str]]:
    """Find what handles FastAPI's routes: the route, and the object and attribute that hold its handler."""
    seen: dict[int, Any] = {}
    todo = [app]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        if isinstance(node, ENDPOINTS):
            yield node, node, "app"
        elif isinstance(node, FRONTENDS):
            yield node, node, "handle"
        elif (
            isinstance(node, CONTEXTS)
            and isinstance(node.original_route, MADE)
            and application_of(node) is not None
        ):
            yield node.original_route, node, "app"
        else:
            todo += _children(node)


def _children(node: Any) -> list[Any]:
    """Return what is behind a node that handles no route itself; what is to be looked at first comes last."""
    if isinstance(node, INCLUDED):
        return behind_included(node)
    if isinstance(node, CONTEXTS):
        return [node.starlette_route]
    if isinstance(node, Starlette):
        return [node.router]
    if isinstance(node, Router):
        return [*node.routes, *behind_frontends(node)]
    if isinstance(node, (Mount, Host)):
        return _inside(node.app, (Starlette, Router))
    return []


def _covered(app: Any) -> bool:
    return any(is_tracked(node) for node in _inside(app, ()))


def _inside(app: Any, wanted: tuple[type, ...]) -> list[Any]:
    """Look through an ASGI application's wrappers: attributes, closures, partials.

    Args:
        wanted: return instances of these instead of everything passed; they are not looked into.
    """
    found: list[Any] = []
    layer = [app]
    for _ in range(_DEPTH):
        deeper: list[Any] = []
        for node in layer:
            if not wanted or isinstance(node, wanted):
                found.append(node)
            # What FastAPI made is the end: its closures lead to the handler and back to the application.
            made = getattr(node, "__qualname__", "") in MAKERS
            ends = made or is_tracked(node) or isinstance(node, (Starlette, Router, type))
            # Nor does it say anything of a method of a group of frontends what the group holds now.
            if not ends and not isinstance(node, FRONTENDS):
                deeper += [part for part in _held(node) if callable(part)]
        layer = deeper[:_BREADTH]
    return found


def _held(node: Any) -> Iterator[Any]:
    if isinstance(node, functools.partial):
        yield from (node.func, *node.args, *node.keywords.values())
    yield from getattr(node, "__dict__", {}).values()
    if hasattr(node, "__self__"):
        yield from (node.__self__, node.__func__)
    for cell in getattr(node, "__closure__", None) or ():
        with suppress(ValueError):  # an empty cell
            yield cell.cell_contents


def _repair(holder: Any, attribute: str) -> bool:
    """Make the innermost application of a route anew, keeping what is wrapped around it."""
    app = getattr(holder, attribute)
    while hasattr(app, "app"):
        holder, attribute, app = app, "app", app.app
    group = getattr(app, "__self__", None)
    if isinstance(group, FRONTENDS):
        if not is_tracked(group.handle):
            group.handle = track(_answer_frontend(group.handle), shared=True)
        setattr(holder, attribute, group.handle)
        return True
    made = getattr(app, "__qualname__", "")
    if made not in MAKERS:
        return False
    setattr(holder, attribute, made_of(made, handler_in(app)))
    return True


def _answer_frontend(handle: ASGIApp) -> ASGIApp:
    """Return a frontend's `handle` that commits when its response starts; FastAPI calls that one itself."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        receipt: Receipt | None = CURRENT.get()
        if receipt is None:
            await handle(scope, receive, send)
            return

        await FirstByte(receipt.commit, send).carry(
            handle, scope, receive, receipt.fail, receipt.run_in_memory
        )

    return answering
