"""Every kind of route gives receipts: whatever was made first, whatever it answers and what is in between."""

from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

import postlude.fastapi
from tests.request.asgi import call, header, status
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import (
    KINDS,
    ORDER,
    PARAMETERS,
    RESPONSES,
    answering,
    happened,
    plain,
    ran,
    returned,
    streaming,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("newly_installed")]


def pairs() -> list[Any]:
    """Each kind with each parameter, and every other two of these together at least once."""
    return [
        pytest.param(kind, parameter, RESPONSES[(i + j) % 4], (i // 2 + j) % 2 == 0)
        for i, kind in enumerate(KINDS)
        for j, parameter in enumerate(PARAMETERS)
    ]


@pytest.mark.parametrize(("kind", "parameter", "response", "is_async"), pairs())
async def test_commit_first_start_last(
    kind: Any, parameter: Any, response: Any, is_async: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app, path = kind(answering(response, parameter, is_async), install)
    async with port.running():
        assert status(await call(app, path, log=log)) == 200
        assert happened(log) == ORDER
        assert (port.commits, port.starts) == (1, 1)
    assert ran(log) == ["ran a"]


class Base(BaseHTTPMiddleware):
    """The middleware that runs the application in a task of its own."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


class Zip(GZipMiddleware):
    """Compresses the smallest answer."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, minimum_size=1)


ENDPOINTS: list[Any] = [
    (plain, True, postlude.fastapi.BackgroundTasks),
    (returned, False, BackgroundTasks),
    (streaming, True, BackgroundTasks),
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("outside", "between"),
    [(True, [Base]), (False, [Zip]), (False, [Base, Base]), (True, [Base, Zip]), (False, [Zip, Base])],
)
async def test_middleware_in_between(
    between: list[Any], outside: bool, endpoint: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    response, is_async, parameter = endpoint
    app = FastAPI()
    if outside:
        install(app)
    for middleware in between:
        app.add_middleware(middleware)
    answering(response, parameter, is_async)(app)
    if not outside:
        install(app)
    async with port.running():
        sent = await call(app, "/x", log=log, headers=((b"accept-encoding", b"gzip"),))
        assert status(sent) == 200
        assert header(sent, "content-encoding") == ("gzip" if Zip in between else None)
        assert happened(log)[0] == "commit a"
        if len(between) == 1:  # two hand over in tasks of their own, in older versions of Starlette
            assert happened(log)[-1] == "start a"
    assert ran(log) == ["ran a"]
