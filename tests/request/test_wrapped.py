"""FastAPI's and Starlette's methods wrapped, as tracing packages and applications do: jobs stay jobs."""

import functools
import logging
from collections.abc import Callable
from types import FunctionType
from typing import Any
from unittest.mock import patch

import pytest
from fastapi import BackgroundTasks, FastAPI, Response
from starlette.background import BackgroundTasks as StarletteTasks

import postlude.fastapi
from postlude.request import replaced
from tests.request.asgi import call
from tests.request.calls import note
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import PARAMETERS, ran, simple

pytestmark = pytest.mark.anyio

CLASSES = [BackgroundTasks, StarletteTasks]


def wrapping(method: Any, seen: list[Any]) -> Callable[..., Any]:
    """Return a method that puts a function of its own around what is added."""

    @functools.wraps(method)
    def add_task(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(func)

        async def around(*args: Any, **kwargs: Any) -> Any:
            return await func(*args, **kwargs)

        return method(self, around, *args, **kwargs)

    return add_task


def written_in(package: str, function: Any) -> Callable[..., Any]:
    """Return a function as if another package had made it."""
    home = {**globals(), "__name__": f"{package}.patch"}
    return FunctionType(
        function.__code__, home, function.__name__, function.__defaults__, function.__closure__
    )


@pytest.fixture(params=[[BackgroundTasks], [StarletteTasks], CLASSES], ids=["fastapi", "starlette", "both"])
def owners(request: pytest.FixtureRequest) -> list[Any]:
    found: list[Any] = request.param
    return found


def application(install: Install, parameter: Any = BackgroundTasks) -> FastAPI:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: parameter) -> None:
        tasks.add_task(note, "a")

    return app


@pytest.mark.parametrize("parameter", PARAMETERS)
async def test_what_a_tracing_package_puts_around_a_function_does_not_keep_it_in_memory(
    parameter: Any,
    owners: list[Any],
    install: Install,
    port: Recorder,
    log: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = application(install, parameter)
    make = written_in("ddtrace", wrapping)
    for owner in owners:
        monkeypatch.setattr(owner, "add_task", make(owner.add_task, []))
    await call(app, "/x", log=log)
    assert (port.stored, port.in_memory_calls, ran(log)) == (["a"], [], ["ran a"])


async def test_nor_one_in_the_own_background_of_a_response(
    owners: list[Any], install: Install, port: Recorder, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = simple(install)
    make = written_in("ddtrace", wrapping)
    for owner in owners:
        monkeypatch.setattr(owner, "add_task", make(owner.add_task, []))

    @app.get("/own/{kind}")
    async def own(kind: str) -> Any:
        tasks = BackgroundTasks() if kind == "fastapi" else StarletteTasks()
        tasks.add_task(note, kind)
        return Response(background=tasks)

    await call(app, "/own/fastapi", log=log)
    await call(app, "/own/starlette", log=log)
    assert (port.stored, port.in_memory_calls) == (["fastapi", "starlette"], [])


async def test_a_mock_before_a_tracing_package_is_called(
    owners: list[Any], install: Install, port: Recorder, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(install)
    for owner in owners:
        monkeypatch.setattr(owner, "add_task", written_in("ddtrace", wrapping)(owner.add_task, []))
    with patch.object(owners[0], "add_task") as mock:
        await call(app, "/x", log=log)
    assert (mock.call_count, port.stored) == (1, [])
    with patch.object(owners[0], "add_task", autospec=True, side_effect=owners[0].add_task) as spy:
        await call(app, "/x", log=log)
    assert (spy.call_count, port.stored, port.in_memory_calls) == (1, ["a"], [])


@pytest.mark.parametrize("parameter", PARAMETERS)
async def test_a_wrapper_of_the_application_is_called_and_said_to_be_left_out(
    parameter: Any,
    owners: list[Any],
    install: Install,
    port: Recorder,
    log: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(replaced, "_SAID", set())
    app = application(install, parameter)
    seen: list[Any] = []
    for owner in owners:
        monkeypatch.setattr(owner, "add_task", wrapping(owner.add_task, seen))
    with caplog.at_level(logging.WARNING, "postlude"):
        await call(app, "/x", log=log)
    assert (seen[0], len(seen)) == (note, len(owners))
    assert (port.stored, port.in_memory_calls) == (["a"], [])
    assert sum("without what is put around it" in message for message in caplog.messages) == 1


async def test_what_says_nothing_of_the_method_may_add_something_else(
    owners: list[Any], install: Install, port: Recorder, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(install)
    for owner in owners:
        method = wrapping(owner.add_task, [])
        del method.__dict__["__wrapped__"]
        monkeypatch.setattr(owner, "add_task", method)
    await call(app, "/x", log=log)
    assert (port.stored, len(port.in_memory_calls), ran(log)) == ([], 1, ["ran a"])


@pytest.mark.parametrize("owner", CLASSES)
async def test_a_spy_gets_the_handle_of_the_job(
    owner: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: postlude.fastapi.BackgroundTasks) -> Any:
        return tasks.accepted(tasks.add_task(note, "a"))

    with patch.object(owner, "add_task", autospec=True, side_effect=owner.add_task):
        await call(app, "/x", log=log)
    assert port.stored == ["a"]
