"""The receipt by how a request ends, in full over the kinds of routes."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from fastapi import BackgroundTasks, HTTPException, Response
from fastapi.exceptions import ResponseValidationError

from tests.request.asgi import call, header, status
from tests.request.calls import audit, note
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import KINDS, Router, function_scoped, happened, ran

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("newly_installed")]

KEPT = ["commit b", "start", "body", "start b"]


class Broken(Exception):
    """Raised by handlers and dependencies."""


def ending(how: str) -> Callable[[Router], None]:
    """Return what adds a route that adds two tasks, one of them for failures too, and ends so."""

    async def dependency() -> AsyncIterator[None]:
        yield
        if how == "dependency":
            raise Broken

    def add(router: Router) -> None:
        @router.get("/x", dependencies=[function_scoped(dependency)])
        async def endpoint(tasks: BackgroundTasks, response: Response) -> int:
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")
            if how == "http":
                raise HTTPException(418)
            if how == "error":
                raise Broken
            return "no number" if how == "model" else 1  # type: ignore[return-value]

    return add


@pytest.mark.parametrize("kind", KINDS)
async def test_success(kind: Any, install: Install, port: Recorder, log: list[str]) -> None:
    app, path = kind(ending("success"), install)
    async with port.running():
        assert status(await call(app, path, log=log)) == 200
        assert happened(log) == ["commit a", "commit b", "start", "body", "start a", "start b"]
        assert port.commits == 1
    assert sorted(ran(log)) == ["ran a", "ran b"]


@pytest.mark.parametrize("kind", KINDS)
async def test_http_exception(kind: Any, install: Install, port: Recorder, log: list[str]) -> None:
    app, path = kind(ending("http"), install)
    async with port.running():
        assert status(await call(app, path, log=log)) == 418
        assert happened(log) == KEPT
    assert ran(log) == ["ran b"]


@pytest.mark.parametrize("how", ["error", "model", "dependency"])
@pytest.mark.parametrize("kind", KINDS)
async def test_unhandled_error(kind: Any, how: str, install: Install, port: Recorder, log: list[str]) -> None:
    app, path = kind(ending(how), install)
    async with port.running():
        with pytest.raises(ResponseValidationError if how == "model" else Broken):
            await call(app, path, log=log)
        # Here the server's 500 comes last, because Starlette sends it from the outermost place.
        assert [entry for entry in happened(log) if entry not in ("start", "body")] == ["commit b", "start b"]
    assert ran(log) == ["ran b"]


@pytest.mark.parametrize("how", ["success", "http"])
@pytest.mark.parametrize("kind", KINDS)
async def test_journal_unavailable(
    kind: Any, how: str, install: Install, port: Recorder, log: list[str]
) -> None:
    app, path = kind(ending(how), install)
    async with port.running():
        port.unavailable = True
        sent = await call(app, path, log=log)
        assert status(sent) == (418 if how == "http" else 503)
        assert header(sent, "retry-after") == (None if how == "http" else "1")
        assert happened(log) == ["start", "body"]
        port.unavailable = False
        assert status(await call(app, path, log=log)) == (418 if how == "http" else 200)
        assert port.stored == (["b"] if how == "http" else ["a", "b"])


@pytest.mark.parametrize("kind", KINDS)
async def test_client_gone(kind: Any, install: Install, port: Recorder, log: list[str]) -> None:
    def on_send(message: Any) -> None:
        raise OSError("the connection is closed")

    app, path = kind(ending("success"), install)
    async with port.running():
        # Whether the server hears of it depends on the middleware in between.
        with suppress(Exception):
            await call(app, path, log=log, on_send=on_send)
        assert happened(log) == ["commit a", "commit b", "start a", "start b"]
    assert sorted(ran(log)) == ["ran a", "ran b"]
