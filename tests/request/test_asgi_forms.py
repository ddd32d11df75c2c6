"""What middlewares of others take our ASGI applications for: ASGI 3, however they ask."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from postlude import BackgroundTask, Postlude
from postlude.request.middleware import PassthroughMiddleware, PostludeMiddleware
from postlude.starlette import Route
from tests.request.calls import note

Sniff = Callable[[Any], bool]


def by_its_call(app: Any) -> bool:
    """How Sentry asks."""
    return asyncio.iscoroutinefunction(app if inspect.isfunction(app) else app.__call__)


def by_its_flags(app: Any) -> bool:
    """How uvicorn asks."""
    return inspect.iscoroutinefunction(app if inspect.isfunction(app) else app.__call__)


def by_either(app: Any) -> bool:
    """How asgiref asks, and with it OpenTelemetry and Datadog."""
    if inspect.isclass(app):
        return False
    return asyncio.iscoroutinefunction(app.__call__) or asyncio.iscoroutinefunction(app)


SNIFFS: list[Sniff] = [by_its_call, by_its_flags, by_either]


class Sniffing:
    """A middleware that still serves ASGI 2."""

    def __init__(self, app: Any, sniff: Sniff) -> None:
        self._app = app
        self._single = sniff(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._single:
            await self._app(scope, receive, send)
        else:
            await self._app(scope)(receive, send)


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def index(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "x")

    @app.websocket("/ws")
    async def session(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    return app


def starlette_app() -> Starlette:
    async def index(request: Request) -> Response:
        return Response(background=BackgroundTask(note, "x"))

    return Starlette(routes=[Route("/", index)])


@pytest.mark.parametrize("sniff", SNIFFS)
@pytest.mark.parametrize("store", ["memory", "off"])
@pytest.mark.parametrize("make", [fastapi_app, starlette_app])
def test_a_middleware_around_ours_calls_it_as_asgi_3(
    sniff: Sniff, store: str, make: Callable[[], Any], log: list[str]
) -> None:
    app = make()
    Postlude(app, store=store)
    app.add_middleware(Sniffing, sniff=sniff)
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
    assert log == ["ran x"]


def asgi_applications() -> Iterator[tuple[str, ASGIApp]]:
    """What a router, a middleware or a server gets from us to call."""
    app = fastapi_app()
    postlude = Postlude(app, store="memory")
    app.include_router(postlude.router(prefix="/jobs"))
    for route in app.routes:
        yield f"route {getattr(route, 'path', route)}", getattr(route, "app", route)
    yield "Starlette's route", Route("/", Response).app
    behind = app.router
    yield "the middleware", PostludeMiddleware(behind, postlude)
    yield "the middleware that is off", PassthroughMiddleware(behind, Any, print, print, print)  # type: ignore[arg-type]


@pytest.mark.parametrize("sniff", SNIFFS)
def test_every_application_of_ours_is_asgi_3(sniff: Sniff) -> None:
    for name, app in asgi_applications():
        assert sniff(app), name
