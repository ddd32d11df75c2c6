"""A handler that returns a response with its own background tasks."""

from typing import Any

import pytest
from fastapi import BackgroundTasks
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask as StarletteTask
from starlette.background import BackgroundTasks as StarletteTasks

from postlude.request.background import BackgroundTask
from postlude.request.background import BackgroundTasks as OwnTasks
from tests.request.asgi import call, status
from tests.request.calls import note
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import PARAMETERS, simple

pytestmark = pytest.mark.anyio


class TestOwnBackground:
    """A handler that returns a response with its own background tasks."""

    @pytest.mark.parametrize(
        ("parameter", "own"),
        [
            *((parameter, StarletteTask) for parameter in (None, *PARAMETERS)),
            *((BackgroundTasks, own) for own in (BackgroundTask, "starlette", "ours", "fastapi")),
            *((None, own) for own in (BackgroundTask, "starlette", "ours", "fastapi")),
        ],
    )
    async def test_both_run_injected_first(
        self, parameter: Any, own: Any, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        def background() -> Any:
            if isinstance(own, type):
                return own(note, "own")
            tasks = {"starlette": StarletteTasks, "ours": OwnTasks, "fastapi": BackgroundTasks}[own]()
            tasks.add_task(note, "own")
            return tasks

        if parameter is None:

            @app.get("/x")
            async def alone() -> Any:
                return JSONResponse({}, background=background())
        else:

            @app.get("/x")
            async def endpoint(tasks: parameter) -> Any:
                tasks.add_task(note, "a")
                return JSONResponse({}, background=background())

        assert status(await call(app, "/x", log=log)) == 200
        expected = ["own"] if parameter is None else ["a", "own"]
        assert port.stored == expected
        assert [entry for entry in log if entry.startswith("ran")] == [f"ran {name}" for name in expected]
        assert log.index("commit own") < log.index("start")

    @pytest.mark.parametrize("own", [StarletteTask, BackgroundTask])
    async def test_what_an_instrumentation_has_wrapped_is_a_job_all_the_same(
        self, own: Any, install: Install, port: Recorder, log: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = StarletteTask.__call__

        async def traced(self: Any) -> None:
            await original(self)

        monkeypatch.setattr(StarletteTask, "__call__", traced)
        traced.__module__ = "instrumentation"
        app = simple(install)

        @app.get("/x")
        async def endpoint() -> Any:
            return JSONResponse({}, background=own(note, "own"))

        await call(app, "/x", log=log)
        assert port.stored == ["own"]
        assert port.in_memory_calls == []

    async def test_the_injected_object_returned_by_hand_is_not_run_twice(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")
            return JSONResponse({}, background=tasks)

        await call(app, "/x", log=log)
        assert port.stored == ["a"]
        assert log.count("ran a") == 1

    async def test_an_unknown_callable_runs_in_memory_after_the_response(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def own() -> None:
            log.append("ran own")

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")
            return JSONResponse({}, background=own)  # type: ignore[arg-type]

        await call(app, "/x", log=log)
        assert port.stored == ["a"]
        assert log.index("body") < log.index("ran own")

    async def test_a_response_object_that_is_returned_twice_keeps_its_background(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)
        shared = JSONResponse({}, background=StarletteTask(note, "own"))

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")
            return shared

        await call(app, "/x", log=log)
        await call(app, "/x", log=log)
        assert port.stored == ["a", "own", "a", "own"]
