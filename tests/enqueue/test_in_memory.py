"""What an operator is told of tasks that run in memory: each kind once, with its line and the remedy."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Config, Postlude
from tests.app.work import say

HERE = str(Path(__file__))


class Bus:
    """As real applications have them: what is added is one of its methods."""

    def publish(self, event: str) -> None:
        say(event)

    def __call__(self, event: str) -> None:
        say(event)


def added(function: Any, event: str) -> Any:
    """What handlers of one application share: a line that adds whatever they want."""

    def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(function, event)

    return add


def closure() -> Callable[[str], None]:
    def inner(event: str) -> None:
        say(event)

    return inner


@pytest.fixture
def app() -> FastAPI:
    return FastAPI()


def serve(app: FastAPI, **handlers: Any) -> Postlude:
    postlude = Postlude(app, store="memory", config=Config(tune_gc=False), packages=["tests"])
    for path, handler in handlers.items():
        app.get(f"/{path}")(handler)
    return postlude


def test_each_kind_is_counted_and_warned_of_once(
    app: FastAPI, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    mock = Mock(side_effect=say)
    postlude = serve(
        app,
        method=added(Bus().publish, "method"),
        object=added(Bus(), "object"),
        closure=added(closure(), "closure"),
        mock=added(mock, "mock"),
        library=added(os.fspath, "library"),
        job=added(say, "job"),
    )
    assert postlude.counters.memory_tasks == ()
    with TestClient(app) as client:
        for path in ("method", "method", "object", "closure", "mock", "library", "job", "method"):
            client.get(f"/{path}")
        assert log == ["method", "method", "object", "closure", "mock", "job", "method"]
    counters = postlude.counters
    assert counters.memory_only == 7
    assert [(kind.task, kind.calls) for kind in counters.memory_tasks] == [
        ("tests.enqueue.test_in_memory:Bus.publish", 3),
        ("an object of tests.enqueue.test_in_memory:Bus", 1),
        ("tests.enqueue.test_in_memory:closure.<locals>.inner", 1),
        ("an object of unittest.mock:Mock", 1),
        ("posix:fspath", 1),
    ]
    line = added.__code__.co_firstlineno + 4
    assert {kind.where for kind in counters.memory_tasks} == {f"{HERE}:{line}"}
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 5
    assert warned[0].startswith(f"{HERE}:{line}: Bus.publish is not durable and runs in memory only: ")
    assert "a function at module level that makes the object again" in counters.memory_tasks[0].why


def test_the_end_sums_up(app: FastAPI, log: list[str], caplog: pytest.LogCaptureFixture) -> None:
    serve(app, method=added(Bus().publish, "m"), job=added(say, "j"))
    with caplog.at_level(logging.INFO, "postlude"):
        for requests in (["job"], ["method", "method"], ["method"]):
            with TestClient(app) as client:
                for path in requests:
                    client.get(f"/{path}")
    told = [message for message in caplog.messages if "ran in memory only" in message]
    assert len(told) == 1, "once, as long as no other kind comes"
    line = added.__code__.co_firstlineno + 4
    assert told[0].startswith("2 tasks of 1 kind ran in memory only")
    assert f"tests.enqueue.test_in_memory:Bus.publish ({HERE}:{line})" in told[0]
    assert told[0].endswith("Instead of a method of an object, add a function that makes the object again")


def test_no_more_kinds_are_told_apart_than_can_be_kept(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, log: list[str]
) -> None:
    monkeypatch.setattr("postlude.enqueue.in_memory.MOST_KINDS", 2)
    postlude = serve(app, **{name: added(f, name) for name, f in (("a", Bus().publish), ("b", Bus()))})
    app.get("/c")(added(closure(), "c"))
    with TestClient(app) as client:
        for path in "abcc":
            client.get(f"/{path}")
    assert (postlude.counters.memory_only, len(postlude.counters.memory_tasks)) == (4, 2)
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2
