"""One task object in two places runs as often as it is listed, and lists may be put together by hand."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import BackgroundTasks, Response
from starlette.background import BackgroundTask as StarletteTask
from starlette.background import BackgroundTasks as StarletteTasks

import postlude.fastapi
from postlude.request.background import BackgroundTask, InMemory
from postlude.request.background import BackgroundTasks as OwnTasks
from tests.request.asgi import call, status
from tests.request.calls import LOG, note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import PARAMETERS, ran, simple

pytestmark = pytest.mark.anyio

KEPT = StarletteTask(note, "own")


def own() -> Any:
    return StarletteTask(note, "own")


def extended(tasks: Any) -> Any:
    background = StarletteTasks([own()])
    background.tasks += tasks.tasks
    return background


def twice(tasks: Any) -> None:
    tasks.tasks.append(tasks.tasks[0])


WAYS: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "itself": (lambda tasks: tasks, ["a"]),
    "its tasks": (lambda tasks: BackgroundTasks(tasks.tasks), ["a"]),
    "its tasks and another": (lambda tasks: StarletteTasks([*tasks.tasks, own()]), ["a", "own"]),
    "another and its tasks": (extended, ["own", "a"]),
    "its only task": (lambda tasks: tasks.tasks[0], ["a"]),
    "nested": (lambda tasks: StarletteTasks([tasks, own()]), ["a", "own"]),
    "nested twice": (lambda tasks: OwnTasks([StarletteTasks([tasks]), own()]), ["a", "own"]),
    "a copy": (copy.copy, ["a"]),
    "a deep copy": (copy.deepcopy, ["a"]),
    "copies of its tasks": (lambda tasks: OwnTasks([copy.copy(each) for each in tasks.tasks]), ["a"]),
    "one twice": (lambda tasks: StarletteTasks([tasks.tasks[0], tasks.tasks[0]]), ["a", "a"]),
    "one and its copy": (
        lambda tasks: StarletteTasks([tasks.tasks[0], copy.copy(tasks.tasks[0])]),
        ["a", "a"],
    ),
    "another twice": (lambda tasks: StarletteTasks([KEPT, KEPT]), ["a", "own", "own"]),
    "ours twice": (lambda tasks: OwnTasks([BackgroundTask(note, "own")] * 2), ["a", "own", "own"]),
    "one in its own list too": (lambda tasks: tasks.tasks.append(KEPT) or KEPT, ["a", "own"]),
    "twice in its own list": (twice, ["a", "a"]),
}


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("way", list(WAYS))
async def test_jobs(way: str, parameter: Any, install: Install, port: Recorder, log: list[str]) -> None:
    app = simple(install)
    background, expected = WAYS[way]

    @app.get("/x")
    async def endpoint(tasks: parameter) -> Any:
        tasks.add_task(note, "a")
        return Response(background=background(tasks))

    assert status(await call(app, "/x", log=log)) == 200
    assert port.stored == expected
    assert sorted(ran(log)) == sorted(f"ran {name}" for name in expected)
    # And once more: what the application keeps is a new job each time.
    assert status(await call(app, "/x", log=log)) == 200
    assert port.stored == expected * 2


@pytest.mark.parametrize(
    "way", ["its tasks", "nested", "a copy", "a deep copy", "copies of its tasks", "one twice"]
)
async def test_tasks_in_memory(way: str, install: Install, port: Recorder, log: list[str]) -> None:
    app = simple(install)
    background, expected = WAYS[way]

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note_object, len)
        return Response(background=background(tasks))

    await call(app, "/x", log=log)
    assert ran(log).count("ran in memory") == expected.count("a")


async def test_the_handle_is_that_of_the_job_whatever_list_it_comes_from(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    ids: list[str] = []

    @app.get("/x")
    async def endpoint(tasks: postlude.fastapi.BackgroundTasks) -> Any:
        ids.append(tasks.add_task(note, "a").id)
        return Response(background=copy.copy(tasks))

    async with port.running():
        await call(app, "/x", log=log)
        stored = await port.host.components.queries.find(ids[0])
    assert stored.id == ids[0]


async def test_a_task_object_given_for_a_function_is_its_call(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(StarletteTask(note, "a"))
        return Response(background=StarletteTasks([StarletteTask(StarletteTask(note, "b"))]))

    await call(app, "/x", log=log)
    assert (port.stored, port.in_memory_calls) == (["a", "b"], [])


async def test_a_list_within_itself_fails_as_it_always_did(
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)

    @app.get("/x")
    async def endpoint() -> Any:
        background = StarletteTasks([own()])
        background.tasks.append(background)
        return Response(background=background)

    with pytest.raises(RecursionError):
        await call(app, "/x", log=log)
    assert port.stored == ["own"]
    LOG.clear()


def test_copies_of_a_call_keep_its_own_arguments() -> None:
    argument = ["x"]
    task = InMemory(note_object, argument)
    deep, shallow = copy.deepcopy(task), copy.copy(task)
    argument.append("y")
    assert (deep.args, shallow.args) == ((["x"],), (["x", "y"],))
