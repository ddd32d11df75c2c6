"""What is added when the response is already on its way."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, HTTPException
from fastapi.responses import StreamingResponse

from postlude.errors import RequestOver
from tests.request.asgi import call, status
from tests.request.calls import audit, note
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import PARAMETERS, SCOPED, simple

pytestmark = pytest.mark.anyio


class TestLate:
    """What is added when the response is already on its way."""

    @pytest.mark.parametrize("parameter", PARAMETERS)
    @pytest.mark.skipif(not SCOPED, reason="before FastAPI 0.121 dependencies leave before the response")
    async def test_after_yield_in_a_request_scoped_dependency(
        self, parameter: Any, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def dependency(tasks: parameter) -> AsyncIterator[None]:
            yield
            tasks.add_task(note, "late")

        @app.get("/x", dependencies=[Depends(dependency)])
        async def endpoint() -> None: ...

        await call(app, "/x", log=log)
        assert log.index("body") < log.index("commit late") < log.index("start late") < log.index("ran late")

    async def test_while_the_response_streams(self, install: Install, port: Recorder, log: list[str]) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")

            async def body() -> AsyncIterator[bytes]:
                yield b"1"
                tasks.add_task(note, "late")
                yield b"2"

            return StreamingResponse(body())

        await call(app, "/x", log=log)
        assert port.stored == ["a", "late"]
        assert port.starts == 2
        assert log.index("ran a") < log.index("ran late")

    async def test_after_yield_of_a_failed_request_nothing_is_stored(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def dependency(tasks: BackgroundTasks) -> AsyncIterator[None]:
            try:
                yield
            finally:
                tasks.add_task(note, "late")
                tasks.add_task(audit, "audit")

        @app.get("/x", dependencies=[Depends(dependency)])
        async def endpoint() -> None:
            raise HTTPException(418)

        assert status(await call(app, "/x", log=log)) == 418
        assert port.stored == ["audit"]
        assert "start audit" in log

    async def test_when_the_request_is_over(self, install: Install, log: list[str]) -> None:
        app = simple(install)
        kept: list[Any] = []

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            kept.append(tasks)

        await call(app, "/x", log=log)
        with pytest.raises(RequestOver, match="note"):
            kept[0].add_task(note, "a")
