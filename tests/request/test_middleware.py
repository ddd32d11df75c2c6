"""The start and the end of an application, and the order of everything in them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette

from postlude.errors import JournalUnavailable, PostludeError
from tests.request.calls import note
from tests.request.conftest import Install
from tests.request.recorder import Recorder


def lifespan_app(log: list[str], fails_in: str = "") -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        log.append("app up")
        if fails_in == "startup":
            raise ZeroDivisionError
        try:
            yield
        finally:
            log.append("app down")
        if fails_in == "shutdown":
            raise ZeroDivisionError

    return FastAPI(lifespan=lifespan)


def test_order(install: Install, log: list[str]) -> None:
    app = lifespan_app(log)
    install(app)

    @asynccontextmanager
    async def router_lifespan(app: Any) -> AsyncIterator[None]:
        log.append("router up")
        yield
        log.append("router down")

    app.include_router(APIRouter(lifespan=router_lifespan))
    with TestClient(app):
        assert log == ["open", "app up", "router up", "verify", "runner"]
        log.clear()
    assert log == ["drain", "router down", "app down", "close"]


def test_shutdown_complete_is_passed_on_after_the_journal_is_closed(install: Install, log: list[str]) -> None:
    app = lifespan_app(log)
    install(app)
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, str]:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        log.append(message["type"])

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    assert log[-2:] == ["close", "lifespan.shutdown.complete"]
    assert log.index("runner") < log.index("lifespan.startup.complete")


@pytest.mark.parametrize("step", ["open", "runner"])
def test_a_failed_start_fails_the_application(step: str, install: Install, log: list[str]) -> None:
    app = lifespan_app(log)
    host = install(app)
    host.fails_in = step
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(JournalUnavailable):
        asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert f"cannot {step}" in sent[0]["message"]
    assert log == ([] if step == "open" else ["open", "app up", "verify", "app down", "close"])
    with pytest.raises(JournalUnavailable), TestClient(app):
        pass


def test_an_application_that_fails_to_start_closes_the_journal(install: Install, log: list[str]) -> None:
    app = lifespan_app(log, "startup")
    install(app)
    with pytest.raises(ZeroDivisionError), TestClient(app):
        pass
    assert log == ["open", "app up", "close"]


def test_an_application_that_fails_to_stop_closes_the_journal(install: Install, log: list[str]) -> None:
    app = lifespan_app(log, "shutdown")
    install(app)
    with pytest.raises(ZeroDivisionError), TestClient(app):
        pass
    assert log[-3:] == ["drain", "app down", "close"]


def test_draining_that_fails_does_not_keep_the_application_from_stopping(
    install: Install, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = lifespan_app(log)
    install(app).fails_in = "drain"
    with TestClient(app):
        pass
    assert log[-2:] == ["app down", "close"]
    assert "Draining failed" in caplog.text


def test_too_late(install: Install) -> None:
    app = FastAPI()
    with TestClient(app), pytest.raises(PostludeError, match="before the application starts"):
        install(app)


@pytest.mark.parametrize("lifespan", [True, False])
def test_a_test_client_has_jobs_done_when_the_call_returns(
    lifespan: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = FastAPI()
    host = install(app)

    @app.post("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    client = TestClient(app)
    if lifespan:
        with client:
            client.post("/x")
            assert log[-1] == "ran a"
    else:
        for _ in range(2):
            client.post("/x")
            assert log[-1] == "ran a"
    assert host.verified == 1


def test_it_works_in_starlette(install: Install, log: list[str]) -> None:
    app = Starlette()
    install(app)
    with TestClient(app):
        pass
    assert log == ["open", "verify", "runner", "drain", "close"]
