"""Queues that servers leave to workers, as an application sees them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Config, Local, Postlude, State
from postlude.clock import SystemClock
from postlude.model.queues import only
from postlude.model.role import SERVER, Role, become
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Kind, NewRunner
from tests.app.serving import becomes, serving
from tests.app.work import LOG, note, note_sync, until

QUEUES = {"mail": Local(run="workers")}
LEFT = "left to workers: mail; none takes mail now: start `postlude worker`"


@contextmanager
def worker(role: Role) -> Iterator[None]:
    become(role)
    try:
        yield
    finally:
        become(SERVER)


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    LOG.clear()


def test_a_request_stores_them_and_its_client_waits_for_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = FastAPI()
    postlude = Postlude(app, store="memory", queues=QUEUES)
    send = postlude.task(note, name="send", queue="mail")

    @app.post("/")
    async def add(background_tasks: BackgroundTasks) -> None:
        background_tasks.add_task(note_sync, "here")
        background_tasks.add_task(send, "there")

    with TestClient(app) as client:
        assert client.post("/").status_code == 200
        until(1)
    assert LOG == ["here"]
    assert LEFT in caplog.messages


@pytest.mark.anyio
async def test_a_worker_runs_them_and_only_those_that_it_was_told_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with worker(Role(worker=True, queues=only({"mail"}))):
        postlude = Postlude(store="memory", queues=QUEUES)
    send = postlude.task(note, name="send", queue="mail")
    async with serving(postlude):
        other = await postlude.add_task(note_sync, "not mine")
        await becomes(postlude, await postlude.add_task(send, "mine"), State.SUCCEEDED)
        (living,) = await postlude.components.store.living()
        assert (living.kind, living.queues) == (Kind.WORKER, only({"mail"}))
        assert (await postlude.inspector.get(other.id)).state is State.QUEUED
    assert LOG == ["mine"]
    assert "this process is a worker, for the queues mail" in caplog.messages


@pytest.mark.anyio
async def test_where_a_worker_takes_them_no_more_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = MemoryStore(SystemClock())
    store.open()
    await store.enlist(NewRunner("", 60, Kind.WORKER, only({"mail"})))
    async with serving(Postlude(store=store, queues=QUEUES)):
        pass
    assert "left to workers: mail" in caplog.messages


@pytest.mark.anyio
async def test_so_many_jobs_run_at_once_as_the_worker_was_told() -> None:
    with worker(Role(worker=True, concurrency=3, grace=0.5)):
        postlude = Postlude(store="memory", config=Config(processes=8, grace=60))
    config = postlude.config
    assert (config.loop_slots, config.threads, config.processes, config.grace) == (3, 3, 3, 0.5)
    async with serving(postlude):
        (living,) = await postlude.components.store.living()
        assert living.slots == 3
