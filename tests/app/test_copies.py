"""Tasks that change what they were handed: they have copies, and it is said."""

import logging
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from postlude import Config, Postlude


class Progress(BaseModel):
    """What a caller may have kept, to look at it later."""

    done: float = 0.0
    steps: list[str] = []


class Touchy(BaseModel):
    """Does not let itself be compared."""

    done: int = 0

    def __eq__(self, other: object) -> bool:
        raise SystemExit(3)


def fills(progress: dict[str, int]) -> None:
    progress["a"] = 100


async def appends(results: list[int], word: str = "x") -> None:
    results.append(1)


async def reports(status: Progress) -> None:
    status.steps.append("begun")


def replaces_deep_inside(plan: dict[str, list[dict[str, int]]]) -> None:
    plan["steps"][0]["done"] = 1


def makes_it_unkeepable(progress: dict[str, Any]) -> None:
    progress["lock"] = object()


def changes_and_fails(progress: dict[str, int]) -> None:
    progress["a"] = 1
    raise ValueError


def reads(progress: dict[str, float], results: list[int], status: Progress) -> int:
    return len(progress) + len(results)


def rebinds(results: list[int]) -> None:
    results = [*results, 1]


def touchy(status: Touchy) -> None:
    status.done = 1


def run(function: Any, *args: Any, times: int = 1, lifespan: bool = True, declared: bool = False) -> Postlude:
    app = FastAPI()
    postlude = Postlude(app, store="memory", config=Config(tune_gc=False), packages=["tests"])
    task = postlude.task(function) if declared else function

    @app.get("/")
    def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(task, *args)

    client = TestClient(app)
    if lifespan:
        with client:
            for _ in range(times):
                client.get("/")
    else:
        for _ in range(times):
            client.get("/")
    return postlude


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postlude.jobs")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said of changed arguments: never more than INFO, since it may be harmless."""
    said = [record for record in caplog.records if "has changed its argument" in record.getMessage()]
    assert {record.levelname for record in said} <= {"INFO"}
    return [record.getMessage() for record in said]


@pytest.mark.parametrize("lifespan", [True, False])
@pytest.mark.parametrize(
    ("function", "value", "name"),
    [
        (fills, {}, "progress"),
        (appends, [], "results"),
        (reports, Progress(), "status"),
        (replaces_deep_inside, {"steps": [{"done": 0}]}, "plan"),
        (makes_it_unkeepable, {}, "progress"),
        (changes_and_fails, {}, "progress"),
    ],
)
def test_it_is_said_once_of_each_task(
    function: Any, value: Any, name: str, lifespan: bool, caplog: pytest.LogCaptureFixture
) -> None:
    before = repr(value)
    run(function, value, times=5, lifespan=lifespan)
    (message,) = told(caplog)
    assert message.startswith(f"tests.app.test_copies:{function.__name__} has changed its argument {name!r},")
    assert "copy" in message
    assert repr(value) == before


@pytest.mark.parametrize(
    ("function", "args"),
    [(reads, ({"a": float("nan")}, [1], Progress(done=float("nan")))), (rebinds, ([1],))],
)
def test_nothing_is_said_of_tasks_that_only_read(
    function: Any, args: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    postlude = run(function, *args, times=5)
    assert told(caplog) == []
    assert postlude.components.execution.copies.pending == {}


def test_nobody_looks_where_nobody_would_hear_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "postlude.jobs")
    postlude = run(fills, {}, times=2)
    caplog.set_level(logging.INFO, "postlude.jobs")
    assert told(caplog) == []
    assert postlude.components.execution.copies.pending == {}


def test_nothing_is_said_of_declared_tasks(caplog: pytest.LogCaptureFixture) -> None:
    """They were written for what they get."""
    run(fills, {}, declared=True)
    assert told(caplog) == []


def test_what_cannot_be_compared_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    postlude = run(touchy, Touchy())
    assert told(caplog) == []
    assert [count.state for count in postlude.components.store.counts().wait()] == ["succeeded"]
