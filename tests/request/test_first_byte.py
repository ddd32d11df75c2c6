"""A response that fails before its first byte has failed: what it acknowledges is stored when it begins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import BackgroundTasks, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.background import BackgroundTasks as StarletteTasks
from starlette.types import Receive, Scope, Send

import postlude.fastapi
from tests.request.asgi import call, header, status
from tests.request.calls import audit, note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import PARAMETERS, happened, ran, simple

pytestmark = pytest.mark.anyio


class Broken(Exception): ...


class Failing(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        raise Broken


class Debugging(Response):
    """Sends what is no answer before it fails."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.debug", "info": {}})
        raise Broken


class Stubborn(Response):
    """Catches whatever happens, and answers all the same."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except Exception:
            await JSONResponse({"all": "well"})(scope, receive, send)


class Grouped(Response):
    """Sends from a task group, which wraps what is raised in it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(super().__call__, scope, receive, send)


def missing() -> Any:
    return FileResponse("/nonexistent/file")


def a_folder() -> Any:
    return FileResponse("/tmp")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("make", [missing, a_folder, Failing, Debugging])
async def test_nothing_is_stored_but_what_is_for_failures(
    make: Any, parameter: Any, own: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: parameter) -> Any:
        tasks.add_task(note, "a")
        tasks.add_task(audit, "b")
        response = make()
        if own:
            response.background = StarletteTasks()
            response.background.add_task(note, "own")
            response.background.add_task(audit, "own audit")
        return response

    with pytest.raises((RuntimeError, Broken)):
        await call(app, "/x", log=log)
    assert port.stored == (["b", "own audit"] if own else ["b"])


async def test_a_handler_answers_for_it(install: Install, port: Recorder, log: list[str]) -> None:
    app = simple(install)

    @app.exception_handler(Broken)
    async def handler(request: Request, error: Exception) -> Response:
        return Response(status_code=418)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "a")
        tasks.add_task(note_object, object())
        return Failing()

    assert status(await call(app, "/x", log=log)) == 418
    assert (port.stored, ran(log)) == ([], [])


async def test_what_looks_for_its_file_commits_right_before_it_begins(
    tmp_path: Path, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    (tmp_path / "file").write_text("x")

    @app.get("/x")
    async def endpoint(tasks: postlude.fastapi.BackgroundTasks) -> Any:
        tasks.accepted(tasks.add_task(note, "a"))
        return FileResponse(tmp_path / "file")

    async with port.running():
        sent = await call(app, "/x", log=log)
        assert (status(sent), header(sent, "retry-after")) == (200, "1")
        assert happened(log) == ["commit a", "start", "body", "start a"]


async def streaming(fails_at: int) -> AsyncIterator[bytes]:
    for number in range(2):
        if number == fails_at:
            raise Broken
        yield b"x"


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_one_that_has_begun_is_answered(
    spec_version: str, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "a")
        tasks.add_task(note_object, object())
        return StreamingResponse(streaming(1))

    with pytest.raises((Broken, ExceptionGroup)):  # older versions of Starlette leave it in its group
        await call(app, "/x", log=log, spec_version=spec_version)
    assert port.stored == ["a"]
    assert sorted(ran(log)) == ["ran a", "ran in memory"]


def stream() -> Any:
    return StreamingResponse(streaming(9))


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
@pytest.mark.parametrize("make", [stream, Stubborn, Grouped])
async def test_unavailable_is_503_whatever_the_response_does(
    make: Any, spec_version: str, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.exception_handler(HTTPException)
    async def handler(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"mine": True}, error.status_code, dict(error.headers or {}))

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "a")
        tasks.add_task(note_object, object())
        return make()

    port.unavailable = True
    sent = await call(app, "/x", log=log, spec_version=spec_version)
    assert (status(sent), header(sent, "retry-after"), sent[1]["body"]) == (503, "1", b'{"mine":true}')
    assert len([message for message in sent if message["type"] == "http.response.start"]) == 1
    assert (port.stored, ran(log)) == ([], [])


async def test_a_job_that_the_journal_refuses_is_the_programs_fault(
    install: Install, port: Recorder, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was told 503 would try for ever."""
    app = simple(install)
    prepared: list[Any] = []

    def again(function: Any, args: Any, kwargs: Any) -> Any:
        if not prepared:
            prepared.append(port.host.real.prepare(function, args, kwargs))
        return prepared[0]

    monkeypatch.setattr(port, "prepare", again)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "a")

    async with port.running():
        assert status(await call(app, "/x", log=log)) == 200
        for _ in range(2):
            with pytest.raises(postlude.JobRefused):
                await call(app, "/x", log=log)
        monkeypatch.undo()
        assert status(await call(app, "/x", log=log)) == 200
