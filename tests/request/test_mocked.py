"""FastAPI's and Starlette's methods replaced, as tests do: whoever replaced them is called."""

from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, patch

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Response
from starlette.background import BackgroundTask as StarletteTask
from starlette.background import BackgroundTasks as StarletteTasks

from tests.request.asgi import call
from tests.request.calls import note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import PARAMETERS, ran, simple

pytestmark = pytest.mark.anyio

CLASSES = [BackgroundTasks, StarletteTasks]


def application(install: Install, parameter: Any = BackgroundTasks) -> FastAPI:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: parameter) -> None:
        tasks.add_task(note, "a")

    return app


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("autospec", [True, False])
@pytest.mark.parametrize("owner", CLASSES)
async def test_add_task(
    owner: Any, autospec: bool, parameter: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    app = application(install, parameter)
    with (
        patch.object(owner, "add_task", autospec=True)
        if autospec
        else patch.object(owner, "add_task") as mock
    ):
        await call(app, "/x", log=log)
    assert mock.call_args.args[-2:] == (note, "a")
    assert (port.stored, ran(log)) == ([], [])
    await call(app, "/x", log=log)
    assert port.stored == ["a"]


@pytest.mark.parametrize("owner", CLASSES)
async def test_a_spy_sees_the_call_and_the_job_is_stored(
    owner: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    app = application(install)
    real = owner.add_task
    with patch.object(owner, "add_task", autospec=True, side_effect=real) as spy:
        await call(app, "/x", log=log)
    assert spy.call_count == 1
    assert port.stored == ["a"]


async def test_a_function_in_its_place(
    install: Install, port: Recorder, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(install)
    monkeypatch.setattr(BackgroundTasks, "add_task", lambda self, func, *args: log.append(f"added {args[0]}"))
    await call(app, "/x", log=log)
    assert ("added a" in log, port.stored) == (True, [])


@pytest.mark.parametrize("autospec", [True, False])
@pytest.mark.parametrize("owner", CLASSES)
async def test_running_them(
    owner: Any, autospec: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = application(install)
    options: Any = {"autospec": True} if autospec else {"new": AsyncMock()}
    with patch.object(owner, "__call__", **options) as mock:
        await call(app, "/x", log=log)
    assert mock.await_count == 1
    assert (port.stored, ran(log)) == ([], [])


async def test_running_one_of_them(install: Install, port: Recorder, log: list[str]) -> None:
    app = simple(install)

    @app.get("/own")
    async def own() -> Any:
        return Response(background=StarletteTask(note, "own"))

    with patch.object(StarletteTask, "__call__", new=AsyncMock()) as mock:
        await call(app, "/own", log=log)
    assert (mock.await_count, port.stored, ran(log)) == (1, [], [])


@pytest.mark.parametrize("make", [Mock, MagicMock, lambda: MagicMock(spec=BackgroundTasks)])
async def test_a_dependency_that_is_overridden(
    make: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    def get_tasks(tasks: BackgroundTasks) -> BackgroundTasks:
        return tasks

    @app.get("/x")
    async def endpoint(tasks: Any = Depends(get_tasks)) -> None:
        tasks.add_task(note, "a")

    mock = make()
    app.dependency_overrides[get_tasks] = lambda: mock
    await call(app, "/x", log=log)
    mock.add_task.assert_called_once_with(note, "a")
    assert port.stored == []


async def test_called_in_a_handler_they_run_here_and_now_and_again_after_the_response(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")
        tasks.add_task(note_object, object())
        await tasks()
        log.append("called")

    await call(app, "/x", log=log)
    assert ran(log[: log.index("called")]) == ["ran a", "ran in memory"]
    assert sorted(ran(log[log.index("called") :])) == ["ran a", "ran in memory"]
    assert port.stored == ["a"]


async def test_called_and_cleared_they_do_not_run_again(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")
        await tasks()
        tasks.tasks.clear()

    await call(app, "/x", log=log)
    assert (ran(log), port.stored) == (["ran a"], [])


async def test_a_task_in_memory_that_adds_one_that_adds_one(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        def one() -> None:
            log.append("ran 1")
            tasks.add_task(two)

        async def two() -> None:
            log.append("ran 2")
            tasks.add_task(three)
            tasks.add_task(note, "a")

        def three() -> None:
            log.append("ran 3")

        tasks.add_task(one)

    await call(app, "/x", log=log)
    assert sorted(ran(log)) == ["ran 1", "ran 2", "ran 3", "ran a"]
    assert port.stored == ["a"]
