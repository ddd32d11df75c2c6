"""Starlette: our Route, and the classes by hand with and without a Postlude."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask as StarletteTask
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute
from starlette.testclient import TestClient

from postlude.errors import NotDurable, PostludeError
from postlude.fastapi import BackgroundTasks as Parameter
from postlude.request.background import BackgroundTask, BackgroundTasks
from postlude.starlette import Route
from tests.request.asgi import call, status
from tests.request.calls import fails, note, note_object, note_sync
from tests.request.conftest import Install
from tests.request.recorder import Recorder

pytestmark = pytest.mark.anyio


def respond() -> Response:
    tasks = BackgroundTasks()
    tasks.add_task(note, "a")
    tasks.add_task(note_sync, "b")
    return JSONResponse({}, background=tasks)


async def endpoint(request: Request) -> Response:
    return respond()


def endpoint_sync(request: Request) -> Response:
    return respond()


class Endpoint(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return respond()


class EndpointSync(HTTPEndpoint):
    def get(self, request: Request) -> Response:
        return respond()


ENDPOINTS: list[Any] = [endpoint, endpoint_sync, Endpoint, EndpointSync, functools.partial(endpoint)]


@pytest.mark.parametrize("mounted", [True, False])
@pytest.mark.parametrize("function", ENDPOINTS)
async def test_a_response_of_our_route_is_a_receipt(
    function: Any, mounted: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    route = Route("/x", function, methods=["GET"])
    app = Starlette(routes=[Mount("/m", routes=[route])] if mounted else [route])
    install(app)
    assert status(await call(app, "/m/x" if mounted else "/x", log=log)) == 200
    assert port.stored == ["a", "b"]
    assert port.commits == 1
    assert log[1:5] == ["commit a", "commit b", "start", "body"]
    assert log[-2:] == ["ran a", "ran b"]


@pytest.mark.parametrize("function", ENDPOINTS)
async def test_without_a_postlude_it_is_starlettes(function: Any, log: list[str]) -> None:
    app = Starlette(routes=[Route("/x", function)])
    assert status(await call(app, "/x", log=log)) == 200
    assert log == ["start", "body", "ran a", "ran b"]


@pytest.mark.parametrize("function", [endpoint, Endpoint])
def test_a_route_is_known_by_what_it_was_given(function: Any) -> None:
    ours, theirs = Route("/x", function), StarletteRoute("/x", function)
    assert (ours.name, ours.endpoint, ours.methods) == (theirs.name, theirs.endpoint, theirs.methods)
    assert Route("/x", function, name="mine").name == "mine"


async def test_route_middleware_and_methods_are_kept(
    install: Install, port: Recorder, log: list[str]
) -> None:
    zips = [Middleware(GZipMiddleware, minimum_size=1)]
    app = Starlette(routes=[Route("/x", endpoint, middleware=zips)])
    install(app)
    sent = await call(app, "/x", log=log, headers=((b"accept-encoding", b"gzip"),))
    assert (b"content-encoding", b"gzip") in sent[0]["headers"]
    assert status(await call(app, "/x", "POST", log=log)) == 405
    assert port.stored == ["a", "b"]


async def test_a_plain_route_runs_in_memory(install: Install, port: Recorder, log: list[str]) -> None:
    app = Starlette(routes=[StarletteRoute("/x", endpoint)])
    install(app)
    await call(app, "/x", log=log)
    assert port.stored == []
    assert log[1:] == ["start", "body", "ran a", "ran b"]


async def test_unavailable(install: Install, port: Recorder, log: list[str]) -> None:
    app = Starlette(routes=[Route("/x", endpoint), Route("/c", Endpoint)])
    install(app)
    port.unavailable = True
    assert status(await call(app, "/x", log=log)) == 503
    assert status(await call(app, "/c", log=log)) == 503


async def test_a_failed_handler_stores_nothing(install: Install, port: Recorder, log: list[str]) -> None:
    async def bad(request: Request) -> Response:
        respond()
        raise HTTPException(418)

    app = Starlette(routes=[Route("/x", bad)])
    install(app)
    assert status(await call(app, "/x", log=log)) == 418
    assert port.stored == []


@pytest.mark.parametrize("make", [BackgroundTask, lambda f, *a: BackgroundTasks().add_task(f, *a)])
async def test_ours_by_hand_is_strict_on_its_line(
    make: Callable[..., Any], install: Install, log: list[str]
) -> None:
    async def strict(request: Request) -> Response:
        with pytest.raises(NotDurable):
            make(note_object, object())
        log.append("raised")
        return Response()

    app = Starlette(routes=[Route("/x", strict)])
    install(app)
    await call(app, "/x", log=log)
    assert "raised" in log


async def test_starlettes_by_hand_is_lenient(install: Install, port: Recorder, log: list[str]) -> None:
    async def lenient(request: Request) -> Response:
        return Response(background=StarletteTask(note_object, object()))

    app = Starlette(routes=[Route("/x", lenient)])
    install(app)
    await call(app, "/x", log=log)
    assert port.in_memory_calls == ["note_object"]
    assert log[-2:] == ["body", "ran in memory"] or log[-2:] == ["start", "ran in memory"]


async def test_arguments_are_what_they_were_when_the_task_was_made(
    install: Install, port: Recorder, log: list[str]
) -> None:
    async def twice(request: Request) -> Response:
        task = BackgroundTask(note, "a")
        kept.append(task)
        return Response(background=kept[0])

    kept: list[BackgroundTask] = []
    app = Starlette(routes=[Route("/x", twice)])
    install(app)
    await call(app, "/x", log=log)
    await call(app, "/x", log=log)
    assert port.stored == ["a", "a"], "a task that is returned again is another job"


class TestByHandWithoutPostlude:
    """Starlette's documented examples."""

    def test_a_task_on_a_response(self, log: list[str]) -> None:
        async def signup(request: Request) -> Response:
            return JSONResponse({"status": "ok"}, background=BackgroundTask(note, text="mail"))

        client = TestClient(Starlette(routes=[StarletteRoute("/signup", signup, methods=["POST"])]))
        assert client.post("/signup").json() == {"status": "ok"}
        assert log == ["ran mail"]

    def test_tasks_run_in_order_and_the_first_error_stops_them(self, log: list[str]) -> None:
        async def signup(request: Request) -> Response:
            tasks = BackgroundTasks()
            tasks.add_task(note_sync, "1")
            tasks.add_task(fails, "2")
            tasks.add_task(note, text="3")
            return JSONResponse({}, background=tasks)

        client = TestClient(Starlette(routes=[StarletteRoute("/x", signup)]))
        with pytest.raises(ValueError, match="2"):
            client.get("/x")
        assert log == ["ran 1", "ran 2"]

    async def test_a_list_of_tasks(self, log: list[str]) -> None:
        await BackgroundTasks([BackgroundTask(note, "1"), StarletteTask(note, "2")])()
        assert log == ["ran 1", "ran 2"]

    def test_the_parameter_type_says_how_it_is_used(self) -> None:
        with pytest.raises(PostludeError, match=r"use postlude\.BackgroundTasks"):
            Parameter().add_task(note, "a")
