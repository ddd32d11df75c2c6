"""WebSockets: stored when the handler ends."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient

import postlude.fastapi
from tests.request.calls import audit, note
from tests.request.conftest import Install
from tests.request.recorder import Recorder

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("newly_installed")]


class TestWebSocket:
    """Stored when the handler ends."""

    @pytest.mark.parametrize("parameter", [BackgroundTasks, postlude.fastapi.BackgroundTasks])
    @pytest.mark.parametrize("kind", ["before", "after", "router", "mount"])
    @pytest.mark.parametrize("end", ["return", "disconnect", "error"])
    def test_ends(
        self, end: str, kind: str, parameter: Any, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app, router, sub = FastAPI(), APIRouter(), FastAPI()
        if kind == "after":
            install(app)
        targets: dict[str, FastAPI | APIRouter] = {"router": router, "mount": sub}
        target = targets.get(kind, app)

        async def dependency(tasks: parameter) -> AsyncIterator[None]:
            tasks.add_task(note, "dependency")
            try:
                yield
            finally:
                log.append("left")

        scope: Any = {"scope": "function"} if "scope" in Depends.__code__.co_varnames else {}

        @target.websocket("/x", dependencies=[Depends(dependency, **scope)])
        async def endpoint(websocket: WebSocket, tasks: parameter) -> None:
            await websocket.accept()
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")
            await websocket.send_text("hello")
            if end == "disconnect":
                await websocket.receive_text()
            elif end == "error":
                raise ZeroDivisionError
            await websocket.close()

        app.include_router(router)
        app.mount("/m", sub)
        if kind != "after":
            install(app)
        path = "/m/x" if kind == "mount" else "/x"
        raises: AbstractContextManager[Any] = (
            pytest.raises(ZeroDivisionError) if end == "error" else suppress(WebSocketDisconnect)
        )
        with raises, TestClient(app).websocket_connect(path) as client:
            assert client.receive_text() == "hello"
            if end != "disconnect":
                client.receive()
        assert port.stored == (["b"] if end == "error" else ["dependency", "a", "b"])
        assert log.index("left") < log.index("commit b") < log.index("start b") < log.index("ran b")

    @pytest.mark.skipif("scope" not in Depends.__code__.co_varnames, reason="no function scope")
    def test_a_function_scoped_dependency_that_fails_in_its_exit(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = FastAPI()

        async def dependency() -> AsyncIterator[None]:
            yield
            raise ZeroDivisionError

        @app.websocket("/x", dependencies=[Depends(dependency, scope="function")])
        async def endpoint(websocket: WebSocket, tasks: BackgroundTasks) -> None:
            await websocket.accept()
            tasks.add_task(note, "a")
            await websocket.close()

        install(app)
        with pytest.raises(ZeroDivisionError), TestClient(app).websocket_connect("/x") as client:
            client.receive()
        assert port.stored == []
