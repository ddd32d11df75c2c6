"""Metrics for Prometheus: an ASGI application that answers with what the journal knows of all processes.

The text is written here: a client library's registry counts in one process, and what is counted here
stands in the journal.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from postlude.app.components import Components
from postlude.app.exposition import MEDIA_TYPE, text_of
from postlude.app.measures import metrics_of
from postlude.app.measuring import measured
from postlude.errors import JournalUnavailable

Auth = Callable[[Request], bool | Awaitable[bool]]
"""Says whether a request may see the metrics. What it raises is the application's to answer."""


class MetricsApp:
    """The application.

    Args:
        components: which journal, and what opens it.
        auth: who may see it; None: everybody.
    """

    def __init__(self, components: Callable[[], Components], auth: Auth | None) -> None:
        self._components = components
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> PlainTextResponse:
        if self._auth is not None:
            allowed = self._auth(request)
            if not (await allowed if isawaitable(allowed) else allowed):
                return PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET, HEAD"})
        components = self._components()
        try:
            await components.opened()
            measures = await measured(components)
        except JournalUnavailable:
            return PlainTextResponse("Service Unavailable", 503)
        return PlainTextResponse(text_of(metrics_of(measures)), media_type=MEDIA_TYPE)


def metrics_app(postlude: "HasComponents", *, auth: Auth | None = None) -> MetricsApp:
    """Return an ASGI application that answers Prometheus.

    For `app.mount("/metrics", postlude.metrics(auth=...))`. Each process of a service gives the same answer,
    and no counter falls, also when jobs are pruned or a process is killed.

    Args:
        postlude: whose journal.
        auth: says of a request whether it may see them, or awaitably so; None: who can reach it sees them.
    """
    return MetricsApp(lambda: postlude.components, auth)


class HasComponents(Protocol):
    """A `Postlude`."""

    @property
    def components(self) -> Components:
        """Its journal, and what works with it."""
        ...
