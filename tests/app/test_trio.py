"""Applications on trio: one clear sentence, where they start or where they first need a journal."""

from typing import Any

import pytest
import trio
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from postlude import BackgroundTask, Postlude, PostludeError
from postlude.starlette import Route
from tests.app.work import note

SENTENCE = "Postlude needs asyncio, and this application runs on trio"


def application(location: str) -> FastAPI:
    app = FastAPI()
    Postlude(app, store=location)

    @app.get("/")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "x")

    @app.get("/nothing")
    async def nothing() -> str:
        return "nothing"

    @app.websocket("/ws")
    async def session(websocket: WebSocket, tasks: BackgroundTasks) -> None:
        await websocket.accept()
        tasks.add_task(note, "x")
        await websocket.close()

    return app


def test_it_does_not_start(location: str) -> None:
    with pytest.raises(PostludeError, match=SENTENCE), TestClient(application(location), backend="trio"):
        pytest.fail("it has started")


def test_the_server_is_told_why_it_does_not_start(location: str) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(PostludeError):
        trio.run(application(location), {"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    (failed,) = sent
    assert failed["type"] == "lifespan.startup.failed"
    assert SENTENCE in failed["message"]


def test_without_a_lifespan_the_request_that_adds_a_task_says_so(location: str, log: list[str]) -> None:
    client = TestClient(application(location), backend="trio")
    assert client.get("/nothing").json() == "nothing"
    with pytest.raises(PostludeError, match=SENTENCE):
        client.get("/")
    assert log == []


def test_a_session_that_adds_a_task_says_so(location: str) -> None:
    client = TestClient(application(location), backend="trio")
    with pytest.raises(PostludeError, match=SENTENCE), client.websocket_connect("/ws") as session:
        session.receive()


def test_starlettes_route_says_so(location: str) -> None:
    async def add(request: Request) -> Response:
        return Response(background=BackgroundTask(note, "x"))

    app = Starlette(routes=[Route("/", add)])
    Postlude(app, store=location)
    with pytest.raises(PostludeError, match=SENTENCE):
        TestClient(app, backend="trio").get("/")


@pytest.mark.parametrize("many", [False, True])
def test_outside_of_requests_too(many: bool, location: str) -> None:
    postlude = Postlude(store=location)

    async def add() -> None:
        await (postlude.add_tasks([lambda: None]) if many else postlude.add_task(note, "x"))

    with pytest.raises(PostludeError, match=SENTENCE):
        trio.run(add)


def test_an_application_whose_journal_is_open_already_says_so(location: str) -> None:
    app = FastAPI()
    postlude = Postlude(app, store=location)
    postlude.blocking.add_task(note, "x")
    with pytest.raises(PostludeError, match=SENTENCE), TestClient(app, backend="trio"):
        pytest.fail("it has started")


def test_off_it_runs(log: list[str]) -> None:
    with TestClient(application("off"), backend="trio") as client:
        assert client.get("/").status_code == 200
    assert log == ["x"]
