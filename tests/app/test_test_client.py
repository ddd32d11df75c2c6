"""`TestClient(app)` without `with`: no lifespan, and an event loop of its own for each call."""

import asyncio
import functools
import logging
import random
import time
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Config, Local, Postlude, Rate
from postlude.model.retry import Exponential
from postlude.model.state import State
from tests.app.work import breaks, note, note_sync, say
from tests.frameworks.test_install import stored

EAGER = Config(reap_every=0.0, tune_gc=False)


def application(postlude: Postlude, *tasks: Any) -> TestClient:
    app = FastAPI()

    @app.post("/x")
    async def endpoint(background_tasks: BackgroundTasks) -> None:
        for task in tasks:
            background_tasks.add_task(task)

    @app.post("/nothing")
    async def nothing(background_tasks: BackgroundTasks) -> None:
        say("nothing")

    postlude.install(app)
    return TestClient(app)


def test_jobs_are_done_when_each_call_returns(
    location: str, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    postlude = Postlude(store=location)
    tasks = [
        functools.partial(function, text) for function, text in ((note, "1"), (note_sync, "2"), (note, "3"))
    ]
    client = application(postlude, *tasks)
    with caplog.at_level(logging.WARNING):
        for calls in (1, 2, 3):
            assert client.post("/x").status_code == 200
            assert log == ["1", "2", "3"] * calls
    assert stored(postlude) == [State.SUCCEEDED] * 9
    assert caplog.text.count("no lifespan runs on this event loop") == 1


def test_an_error_does_not_reach_the_client(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    client = application(postlude, functools.partial(breaks, "1"), functools.partial(note, "2"))
    assert client.post("/x").status_code == 200
    assert log == ["1", "2"]
    assert sorted(stored(postlude)) == [State.FAILED, State.SUCCEEDED]


def test_what_is_due_again_runs_in_a_later_call(
    location: str, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(self: Exponential, failures: int, rng: random.Random) -> float:
        return 0.0

    monkeypatch.setattr(Exponential, "wait", wait)
    postlude = Postlude(store=location, config=EAGER)

    @postlude.task(name="second_time")
    async def second_time() -> None:
        say("tried")
        if log.count("tried") < 2:
            raise ConnectionError("not yet")

    client = application(postlude, second_time)
    client.post("/x")
    assert log == ["tried"]
    client.post("/x")
    assert log == ["tried"] * 3
    assert stored(postlude) == [State.SUCCEEDED] * 2


def test_what_was_queued_outside_of_requests_runs_in_a_later_call(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location, config=EAGER)
    client = application(postlude, functools.partial(note, "own"))
    postlude.blocking.add_task(note_sync, "queued")
    client.post("/x")
    assert sorted(log) == ["own", "queued"]
    assert stored(postlude) == [State.SUCCEEDED] * 2


def test_calls_with_and_without_a_lifespan(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    client = application(postlude, functools.partial(note, "a"))
    client.post("/x")
    with client:
        client.post("/x")
        client.post("/x")
    client.post("/x")
    assert log == ["a"] * 4
    assert stored(postlude) == [State.SUCCEEDED] * 4


def test_nobody_waits_for_what_is_not_to_start_now(location: str, log: list[str]) -> None:
    """Delayed, of a paused queue, of a paused task, beyond a rate: the call returns, they stay queued."""
    closed = {"closed": Local()}
    postlude = Postlude(store=location, config=Config(order_wait=60.0, tune_gc=False), queues=closed)
    said = postlude.task(note)
    rated = postlude.task(note_sync, rate=Rate(1, per=3600))
    tasks: list[functools.partial[Any]] = [
        functools.partial(said.using(delay=3600), "late"),
        functools.partial(said, "now"),
    ]
    tasks += [functools.partial(said.using(queue="closed"), "closed")]
    tasks += [functools.partial(rated, text) for text in ("first", "second")]
    client = application(postlude, *tasks)
    asyncio.run(postlude.pause("closed"))
    began = time.monotonic()
    assert client.post("/x").status_code == 200
    assert time.monotonic() - began < 30
    assert sorted(log) == ["first", "now"]
    asyncio.run(postlude.resume("closed"))
    assert client.post("/x").status_code == 200
    assert sorted(log) == ["closed", "closed", "first", "now", "now"]
    assert sorted(stored(postlude)) == [State.QUEUED] * 5 + [State.SUCCEEDED] * 5


def test_a_paused_task_waits(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    said = postlude.task(note)
    client = application(postlude, functools.partial(said, "1"))
    asyncio.run(postlude.pause(task=said))
    assert client.post("/x").status_code == 200
    assert log == []
    asyncio.run(postlude.resume(task=said))
    assert client.post("/x").status_code == 200
    assert log == ["1", "1"]
