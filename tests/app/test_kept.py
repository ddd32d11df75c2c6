"""What stays as FastAPI's own background tasks have it, and what changes with the line `Postlude(app)`."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.testclient import TestClient

from postlude import Postlude
from postlude.model.state import State
from tests.app.work import breaks, say
from tests.frameworks.test_install import stored

SHARED: dict[str, Any] = {}


def uses_the_loop() -> None:
    """Run in a thread, and call back to the application's loop."""
    SHARED["thread"] = threading.get_ident()
    SHARED["loop"] = anyio.from_thread.run(running_loop)
    anyio.from_thread.run_sync(say, "called back")


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.fixture(autouse=True)
def shared() -> Iterator[None]:
    yield
    SHARED.clear()


def application(location: str, *tasks: Any, dependency: Any = None) -> tuple[FastAPI, Postlude]:
    app = FastAPI(dependencies=[Depends(dependency)] if dependency else [])
    postlude = Postlude(app, store=location)

    @app.get("/x")
    async def endpoint(background_tasks: BackgroundTasks) -> None:
        SHARED["app loop"] = asyncio.get_running_loop()
        for task in tasks:
            background_tasks.add_task(*task)

    return app, postlude


@pytest.mark.parametrize("lifespan", [True, False])
def test_sync_tasks_may_call_back_to_the_loop(location: str, lifespan: bool, log: list[str]) -> None:
    app, _ = application(location, (uses_the_loop,))
    client = TestClient(app)
    if lifespan:
        with client:
            client.get("/x")
    else:
        client.get("/x")
    assert log == ["called back"]
    assert SHARED["loop"] is SHARED["app loop"]
    assert SHARED["thread"] != threading.get_ident()


def remembers(key: str) -> None:
    SHARED[key] = "set by a job"


def test_the_applications_own_objects_are_at_hand(location: str, log: list[str]) -> None:
    app, _ = application(location, (remembers, "key"))
    with TestClient(app) as client:
        client.get("/x")
        assert SHARED["key"] == "set by a job"


@pytest.mark.parametrize("lifespan", [True, False])
def test_errors_are_logged_with_traceback_and_reach_nobody(
    location: str, lifespan: bool, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app, postlude = application(location, (breaks, "a"))
    client = TestClient(app, raise_server_exceptions=True)
    with caplog.at_level(logging.ERROR, "postlude"):
        if lifespan:
            with client:
                assert client.get("/x").status_code == 200
        else:
            assert client.get("/x").status_code == 200
    assert log == ["a"], "a plain function is attempted once"
    assert stored(postlude) == [State.FAILED]
    assert "tests.app.work:breaks" in caplog.text
    assert "in breaks\n    raise ValueError(text)\nValueError: a" in caplog.text


def test_request_scoped_dependencies_have_left_when_a_job_runs(location: str, log: list[str]) -> None:
    async def session() -> Any:
        yield
        say("left")

    app, _ = application(location, (say, "job"), dependency=session)
    with TestClient(app) as client:
        client.get("/x")
    assert log == ["left", "job"]
