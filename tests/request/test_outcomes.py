"""What each end of a request means for its jobs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from tests.request.asgi import call, header, status
from tests.request.calls import audit, fails, note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import ORDER, PARAMETERS, SCOPED, function_scoped, happened, ran, simple

pytestmark = pytest.mark.anyio


class TestOutcomes:
    """What each end of a request means for its jobs."""

    @pytest.mark.parametrize("parameter", PARAMETERS)
    async def test_unhandled_error(
        self, parameter: Any, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: parameter) -> None:
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await call(app, "/x", log=log)
        assert port.stored == ["b"]
        assert port.starts == 1

    @pytest.mark.parametrize("handled", [True, False])
    async def test_response_model_fails(
        self, handled: bool, install: Install, port: Recorder, log: list[str]
    ) -> None:
        from fastapi.exceptions import ResponseValidationError

        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> int:
            tasks.add_task(note, "a")
            return "no number"  # type: ignore[return-value]

        if handled:

            @app.exception_handler(ResponseValidationError)
            async def handler(request: Request, error: Exception) -> Response:
                return Response(status_code=500)

            assert status(await call(app, "/x", log=log)) == 500
        else:
            with pytest.raises(ResponseValidationError):
                await call(app, "/x", log=log)
        assert port.stored == []

    @pytest.mark.parametrize("handled", [True, False])
    @pytest.mark.parametrize("parameter", PARAMETERS[:2])
    async def test_function_scoped_dependency_fails_in_its_exit(
        self, parameter: Any, handled: bool, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def commits() -> AsyncIterator[None]:
            yield
            log.append("left")
            raise ZeroDivisionError

        @app.get("/x", dependencies=[function_scoped(commits)])
        async def endpoint(tasks: parameter) -> None:
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")

        if handled:

            @app.exception_handler(ZeroDivisionError)
            async def handler(request: Request, error: Exception) -> Response:
                return Response(status_code=500)

            assert status(await call(app, "/x", log=log)) == 500
        else:
            with pytest.raises(ZeroDivisionError):
                await call(app, "/x", log=log)
        assert port.stored == ["b"]
        assert log.index("left") < log.index("commit b")

    async def test_commit_after_function_scoped_dependencies_have_left(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def leaves() -> AsyncIterator[None]:
            yield
            log.append("left")

        @app.get("/x", dependencies=[function_scoped(leaves)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")

        async with port.running():
            await call(app, "/x", log=log)
            assert happened(log) == ["left", *ORDER]

    async def test_request_scoped_dependencies_have_left_before_a_job_starts(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def leaves() -> AsyncIterator[None]:
            yield
            log.append("left")

        @app.get("/x", dependencies=[Depends(leaves)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")

        await call(app, "/x", log=log)
        assert log.index("left") < log.index("start a") < log.index("ran a")

    async def test_journal_unavailable_is_503_that_handlers_and_dependencies_see(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def session() -> AsyncIterator[None]:
            try:
                yield
            except HTTPException as error:
                log.append(f"dependency saw {error.status_code}")
                raise

        @app.exception_handler(HTTPException)
        async def handler(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            return JSONResponse({"mine": True}, error.status_code, dict(error.headers or {}))

        @app.get("/x", dependencies=[Depends(session)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")
            tasks.add_task(note_object, object())

        port.unavailable = True
        sent = await call(app, "/x", log=log)
        assert (status(sent), header(sent, "retry-after")) == (503, "1")
        assert b"mine" in sent[1]["body"]
        assert "ran in memory" not in log
        if SCOPED:
            assert "dependency saw 503" in log
        port.unavailable = False
        assert status(await call(app, "/x", log=log)) == 200
        assert port.stored == ["a"]

    async def test_an_earlier_job_that_fails_does_not_stop_later_ones(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(fails, "a")
            tasks.add_task(note, "b")

        assert status(await call(app, "/x", log=log)) == 200
        assert ran(log) == ["ran a", "ran b"]

    async def test_no_task_no_commit(self, install: Install, port: Recorder, log: list[str]) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None: ...

        await call(app, "/x", log=log)
        assert (port.commits, port.starts) == (0, 0)
