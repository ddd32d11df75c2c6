"""Jobs that wait for jobs and take all places: a warning names them and gives advice."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Annotated, Any

import anyio.from_thread
import pytest
from fastapi import Depends, FastAPI

from postlude import Config, Job, Postlude
from postlude.model.state import State
from postlude.runner import standstill
from tests.app.serving import becomes, eventually, serving
from tests.app.work import hold, note, note_sync, shut

pytestmark = pytest.mark.anyio

FEW = Config(loop_slots=2, threads=2, poll_every=0.01, grace=0.1, tune_gc=False)

CHILDREN: list[Job[Any]] = []


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(standstill, "AFTER", 0.03)
    yield
    CHILDREN.clear()


async def parent(number: int) -> None:
    await CHILDREN[number].result(timeout=10)


async def follows(number: int) -> None:
    async for _ in CHILDREN[number].changes():
        pass


def parent_in_thread(number: int) -> None:
    anyio.from_thread.run(CHILDREN[number].result, 10)


def nothing() -> None: ...


def parent_with_dependency(number: int, value: Annotated[None, Depends(nothing)] = None) -> None:
    anyio.from_thread.run(CHILDREN[number].result, 10)


async def stand_still(postlude: Postlude, waits: Any, child: Any, parents: int = 2) -> None:
    """Let the parents take all places before the children, whose queue is paused meanwhile."""
    await postlude.pause("default")
    CHILDREN[:] = [await postlude.add_task(child, "child") for _ in range(parents)]
    task = postlude.task(queue="parents")(waits)
    jobs = [await postlude.add_task(task, number) for number in range(parents)]

    async def all_wait() -> bool | None:
        runner = postlude.components.producer.attached
        assert runner is not None
        running = [work for executor in runner.executors.members for work in executor.running]
        return len([w for w in running if w.current and w.current.waits]) == parents or None

    for job in jobs:
        await becomes(postlude, job, State.RUNNING)
    await eventually(all_wait)
    await postlude.resume("default")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "wait for ever" in r.getMessage()]


@pytest.mark.parametrize(
    ("waits", "child", "setting"),
    [
        (parent, note, "loop_slots=2"),
        (follows, note, "loop_slots=2"),
        (parent_in_thread, note_sync, "threads=2"),
    ],
)
async def test_the_warning_names_them(
    location: str, caplog: pytest.LogCaptureFixture, waits: Any, child: Any, setting: str
) -> None:
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    async with serving(postlude):
        await stand_still(postlude, waits, child)

        async def told() -> bool | None:
            return bool(warnings(caplog)) or None

        await eventually(told)
        await asyncio.sleep(0.06)
        for job in CHILDREN:
            await job.cancel()
    (line,) = warnings(caplog)
    assert setting in line
    assert waits.__name__ in line
    assert child.__name__ in line


async def test_also_where_no_more_may_be_held(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(ahead=2, poll_every=0.01, grace=0.1, tune_gc=False)
    postlude = Postlude(FastAPI(), store="memory", config=config)
    async with serving(postlude):
        await stand_still(postlude, parent, note)

        async def told() -> bool | None:
            return bool(warnings(caplog)) or None

        await eventually(told)
        for job in CHILDREN:
            await job.cancel()
    assert "ahead=2" in warnings(caplog)[0]


async def test_sync_functions_with_dependencies_too(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="memory", config=FEW)
    child = postlude.task(name="child")(parent_with_dependency)
    async with serving(postlude):
        await postlude.pause("default")
        CHILDREN[:] = [await postlude.add_task(child, 0) for _ in range(2)]
        task = postlude.task(queue="parents", name="parents")(parent_with_dependency)
        for number in range(2):
            await becomes(postlude, await postlude.add_task(task, number), State.RUNNING)
        await asyncio.sleep(0.05)
        await postlude.resume("default")

        async def told() -> bool | None:
            return bool(warnings(caplog)) or None

        await eventually(told)
        for job in CHILDREN:
            await job.cancel()
    assert "parents for child" in warnings(caplog)[0]


async def test_nothing_is_said_while_what_is_waited_for_runs(
    location: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All places of one executor are taken by jobs that wait, for jobs of another."""
    caplog.set_level(logging.WARNING)
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    go = shut()
    async with serving(postlude):
        CHILDREN[:] = [await postlude.add_task(hold, "child") for _ in range(2)]
        jobs = [await postlude.add_task(postlude.task(parent_in_thread), number) for number in range(2)]
        await asyncio.sleep(0.12)
        go.set()
        for job in jobs:
            await becomes(postlude, job, State.SUCCEEDED)
    assert warnings(caplog) == []
