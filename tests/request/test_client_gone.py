"""A client that goes away has its jobs done all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from anyio import CancelScope
from fastapi import BackgroundTasks, Depends
from fastapi.responses import StreamingResponse

from tests.request.asgi import call
from tests.request.calls import note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder, argument
from tests.request.routes import RESPONSES, SCOPED, answering, plain, ran, simple

pytestmark = pytest.mark.anyio


class Gone(OSError):
    """The server's `send` on a connection that the client has closed."""


class TestClientGone:
    """A client that goes away has its jobs done all the same."""

    @pytest.mark.parametrize("response", RESPONSES)
    @pytest.mark.parametrize("at", ["http.response.start", "http.response.body"])
    @pytest.mark.parametrize("spec_version", ["2.0", "2.4"])
    async def test_send_raises(
        self, spec_version: str, at: str, response: Any, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)
        answering(response, BackgroundTasks)(app)

        def on_send(message: Any) -> None:
            if message["type"] == at:
                raise Gone

        # Whether the server hears of it depends on the version of the protocol.
        with suppress(Exception):
            await call(app, "/x", log=log, on_send=on_send, spec_version=spec_version)
        assert port.stored == ["a"]
        assert log[-1] == "ran a"

    @pytest.mark.parametrize("gone_after", [0, None])
    async def test_disconnect_while_streaming(
        self, gone_after: int | None, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")

            async def body() -> AsyncIterator[bytes]:
                while True:
                    yield b"x"
                    await asyncio.sleep(0)

            return StreamingResponse(body())

        await call(app, "/x", log=log, spec_version="2.0", gone_after=gone_after)
        assert port.stored == ["a"]
        assert log[-1] == "ran a"

    @pytest.mark.parametrize("serving", [True, False])
    async def test_cancelled_while_sending(
        self, serving: bool, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)
        reached = asyncio.Event()

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")

            async def body() -> AsyncIterator[bytes]:
                yield b"1"
                tasks.add_task(note, "late")
                reached.set()
                await asyncio.Event().wait()

            return StreamingResponse(body())

        async with port.running() if serving else nullcontext():
            request = asyncio.create_task(call(app, "/x", log=log))
            await reached.wait()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            assert port.stored == ["a", "late"]
        assert sorted(ran(log)) == ["ran a", "ran late"]

    @pytest.mark.parametrize("serving", [True, False])
    async def test_a_cancelled_scope_still_stores_what_came_late(
        self, serving: bool, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)
        cancelled = CancelScope()

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            async def body() -> AsyncIterator[bytes]:
                yield b"1"
                tasks.add_task(note, "late")
                cancelled.cancel()
                await asyncio.Event().wait()

            return StreamingResponse(body())

        async with port.running() if serving else nullcontext():
            with cancelled:
                await call(app, "/x", log=log)
            assert port.stored == ["late"]
        assert ran(log) == ["ran late"]

    @pytest.mark.parametrize("serving", [True, False])
    async def test_cancelled_before_the_handler_has_ended(
        self, serving: bool, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)
        reached = asyncio.Event()

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")
            reached.set()
            await asyncio.Event().wait()

        async with port.running() if serving else nullcontext():
            request = asyncio.create_task(call(app, "/x", log=log))
            await reached.wait()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
        assert (port.stored, ran(log)) == ([], [])

    async def test_cancelled_during_the_commit(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        """Nothing was acknowledged: what reached the journal all the same runs, and is no orphan."""
        app = simple(install)
        answering(plain, BackgroundTasks)(app)
        async with port.running():
            request = asyncio.create_task(call(app, "/x", log=log))
            port.store.at_add = request.cancel
            with pytest.raises(asyncio.CancelledError):
                await request
        assert ("start" in log) is (port.commits == 1)
        port.stored = [argument(record) for record in await asyncio.to_thread(port.records)]
        assert ran(log) == [f"ran {text}" for text in port.stored]

    async def test_what_runs_in_memory_runs_too(
        self, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = simple(install)

        async def session() -> AsyncIterator[None]:
            try:
                yield
            finally:
                log.append("left")

        @app.get("/x", dependencies=[Depends(session)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note_object, object())

        def on_send(message: Any) -> None:
            raise Gone

        with pytest.raises(Gone):
            await call(app, "/x", log=log, on_send=on_send)
        assert "ran in memory" in log
        if SCOPED:
            assert log.index("ran in memory") < log.index("left")
