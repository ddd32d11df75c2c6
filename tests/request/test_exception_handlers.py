"""Tasks on the response of an exception handler are jobs: that answer is a receipt too."""

from collections.abc import Callable
from typing import Any

import pytest
import starlette
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.background import BackgroundTask as StarletteTask
from starlette.background import BackgroundTasks as StarletteTasks
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.testclient import WebSocketDenialResponse

import postlude.fastapi
from postlude.request.background import BackgroundTask
from postlude.request.background import BackgroundTasks as OwnTasks
from tests.request.asgi import call, header, status
from tests.request.calls import audit, note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import ORDER, PARAMETERS, happened, ran, simple

pytestmark = pytest.mark.anyio


ANSWERS_SESSIONS = tuple(map(int, starlette.__version__.split(".")[:2])) >= (0, 46)


class Refused(Exception): ...


def several(function: Any, text: str) -> Any:
    tasks = StarletteTasks()
    tasks.add_task(function, text)
    return tasks


KINDS: list[Any] = [StarletteTask, BackgroundTask, several, lambda *call: OwnTasks([BackgroundTask(*call)])]

RAISED: dict[str, tuple[Any, Callable[[], Exception] | None]] = {
    "an exception": (Refused, Refused),
    "an HTTPException": (HTTPException, lambda: HTTPException(403)),
    "a status": (403, lambda: HTTPException(403)),
    "any exception": (Exception, ZeroDivisionError),
    "500": (500, ZeroDivisionError),
    "a validation": (RequestValidationError, None),
}


def answering(app: Any, kind: Any, what: Any, is_async: bool) -> None:
    def answer() -> Response:
        return JSONResponse({}, 418, background=kind(note, "a"))

    async def handler(request: Any, error: Exception) -> Response:
        return answer()

    def handler_sync(request: Any, error: Exception) -> Response:
        return answer()

    app.add_exception_handler(what, handler if is_async else handler_sync)


@pytest.mark.parametrize("serving", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raised", list(RAISED))
async def test_they_are_stored_before_the_answer_and_run_after_it(
    raised: str, kind: Any, is_async: bool, serving: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    what, make = RAISED[raised]
    answering(app, kind, what, is_async)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks, number: int = 0) -> None:
        tasks.add_task(note, "dropped")
        assert make is not None
        raise make()

    async def ask() -> None:
        try:
            assert status(await call(app, "/x", query="number=x" if make is None else "", log=log)) == 418
        except ZeroDivisionError:  # the server sees it, once it has been answered
            assert raised in ("any exception", "500")

    if serving:
        async with port.running():
            await ask()
    else:
        await ask()
    assert port.stored == ["a"]
    assert [entry for entry in happened(log) if entry in ORDER] == ORDER
    assert ran(log) == ["ran a"]


async def test_errors_that_come_from_no_route_of_ours(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    answering(app, StarletteTask, 404, True)
    answering(app, StarletteTask, Refused, True)

    async def plain(request: Request) -> Response:
        raise Refused

    app.add_route("/plain", plain)
    assert status(await call(app, "/nowhere", log=log)) == 418
    assert status(await call(app, "/plain", log=log)) == 418
    assert port.stored == ["a", "a"]


@pytest.mark.parametrize("mount", ["before", "after", "wrapped"])
async def test_handlers_of_a_mounted_application(
    mount: str, install: Install, port: Recorder, log: list[str]
) -> None:
    app, sub = FastAPI(), FastAPI()
    for what in (Refused, 404, Exception):
        answering(sub, StarletteTask, what, True)

    @sub.get("/x")
    async def endpoint() -> None:
        raise Refused

    @sub.get("/any")
    async def fails() -> None:
        raise ZeroDivisionError

    if mount == "before":
        app.mount("/m", sub)
    install(app)
    if mount != "before":
        app.mount("/m", GZipMiddleware(sub) if mount == "wrapped" else sub)
    for path in ("/m/x", "/m/nowhere"):
        assert status(await call(app, path, log=log)) == 418
    with pytest.raises(ZeroDivisionError):
        await call(app, "/m/any", log=log)
    assert port.stored == ["a", "a", "a"]
    await call(sub, "/x", log=log)  # by itself it has no Postlude
    assert port.stored == ["a", "a", "a"]


async def test_a_starlette_application(install: Install, port: Recorder, log: list[str]) -> None:
    async def plain(request: Request) -> Response:
        raise Refused

    app = Starlette(routes=[Mount("/m", routes=[])])
    app.add_route("/x", plain)
    answering(app, StarletteTask, Refused, True)
    install(app)
    assert status(await call(app, "/x", log=log)) == 418
    assert port.stored == ["a"]


HANDED: dict[str, Any] = {
    "itself": lambda tasks: tasks,
    "its tasks": lambda tasks: BackgroundTasks(tasks.tasks),
    "nested": lambda tasks: StarletteTasks([tasks]),
}


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("what", [Refused, Exception])
@pytest.mark.parametrize("way", list(HANDED))
async def test_the_requests_own_tasks_handed_on(
    way: str, what: Any, parameter: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.exception_handler(what)
    async def handler(request: Request, error: Exception) -> Response:
        return JSONResponse({}, 401, background=HANDED[way](request.state.tasks))

    @app.get("/x")
    async def endpoint(request: Request, tasks: parameter) -> None:
        request.state.tasks = tasks
        tasks.add_task(note, "a")
        tasks.add_task(audit, "b")
        raise Refused

    try:
        assert status(await call(app, "/x", log=log)) == 401
    except Refused:
        assert what is Exception
    assert sorted(port.stored) == ["a", "b"]
    assert sorted(ran(log)) == ["ran a", "ran b"]


async def test_the_handle_that_was_told_is_that_of_the_job(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    ids: list[str] = []

    @app.exception_handler(Refused)
    async def handler(request: Request, error: Exception) -> Response:
        ids.append(error.args[0].add_task(note, "a").id)
        return JSONResponse({}, 401, background=error.args[0])

    @app.get("/x")
    async def endpoint(tasks: postlude.fastapi.BackgroundTasks) -> None:
        raise Refused(tasks)

    async with port.running():
        await call(app, "/x", log=log)
        assert (await port.host.components.queries.find(ids[0])).id == ids[0]


async def test_what_has_no_durable_form_runs_in_memory(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.exception_handler(Refused)
    async def handler(request: Request, error: Exception) -> Response:
        return Response(status_code=418, background=StarletteTask(note_object, object()))

    @app.get("/x")
    async def endpoint() -> None:
        raise Refused

    assert status(await call(app, "/x", log=log)) == 418
    assert (port.in_memory_calls, ran(log)) == (["note_object"], ["ran in memory"])


@pytest.mark.parametrize("what", [Refused, HTTPException, Exception])
async def test_unavailable_is_503(what: Any, install: Install, port: Recorder, log: list[str]) -> None:
    app = simple(install)
    for each in (what, HTTPException):
        answering(app, StarletteTask, each, True)

    @app.get("/x")
    async def endpoint() -> None:
        raise HTTPException(403) if what is HTTPException else Refused

    port.unavailable = True
    sent: list[Any] = []
    try:
        await call(app, "/x", log=log, on_send=sent.append)
    except Refused:
        assert what is Exception
    assert (status(sent), header(sent, "retry-after")) == (503, "1")
    assert (port.stored, ran(log)) == ([], [])


async def test_requests_of_other_applications_are_left_alone(
    install: Install, port: Recorder, log: list[str]
) -> None:
    other = FastAPI()
    answering(other, StarletteTask, Refused, True)

    @other.get("/x")
    async def endpoint() -> None:
        raise Refused

    simple(install)
    await call(other, "/x", log=log)
    assert (port.stored, ran(log)) == ([], ["ran a"])


@pytest.mark.skipif(not ANSWERS_SESSIONS, reason="this Starlette drops what handlers return to WebSockets")
def test_a_websocket_that_is_denied(install: Install, port: Recorder, log: list[str]) -> None:
    app = simple(install)
    answering(app, StarletteTask, Refused, True)

    @app.websocket("/ws")
    async def session(websocket: WebSocket) -> None:
        raise Refused

    with TestClient(app) as client, pytest.raises(WebSocketDenialResponse) as denied:
        client.websocket_connect("/ws").__enter__()
    assert denied.value.status_code == 418
    assert port.stored == ["a"]
    assert ran(log) == ["ran a"]
