"""The door for Starlette: a route whose responses are receipts."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from starlette import routing
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request

from postlude.request.route import answer, track

__all__ = ["Route"]

_METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "query")


class Route(routing.Route):
    """Starlette's ``Route``, in which a response's background tasks become jobs.

    They are stored before the response leaves and start after it. Endpoints are functions, sync or
    async, or `HTTPEndpoint` classes; other ASGI applications are left as they are. In an
    application without a Postlude it is Starlette's own.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["name"] = options.get("name") or routing.get_name(endpoint)
        super().__init__(path, _with_receipts(endpoint), **options)
        self.endpoint = endpoint
        self.app = track(self.app)


def _with_receipts(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    inner = endpoint
    while isinstance(inner, functools.partial):
        inner = inner.func
    if inspect.isfunction(inner) or inspect.ismethod(inner):
        return answer(endpoint)
    if isinstance(endpoint, type) and issubclass(endpoint, HTTPEndpoint):
        methods = {name: _method(getattr(endpoint, name)) for name in _METHODS if hasattr(endpoint, name)}
        return type(endpoint.__name__, (endpoint,), {"__module__": endpoint.__module__, **methods})
    return endpoint


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    async def method(self: HTTPEndpoint, request: Request) -> Any:
        return await answer(functools.partial(function, self))(request)

    return method
