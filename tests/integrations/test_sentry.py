"""Sentry's own SDK, with a transport that keeps what would be sent."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from sentry_sdk import scope
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.integrations.logging import EventHandler
from sentry_sdk.transport import Transport

from postlude import Postlude, Retry
from postlude.integrations.sentry import instrument
from postlude.model.state import State
from tests.app.serving import EAGER, becomes, eventually, serving
from tests.integrations import work

pytestmark = pytest.mark.anyio


class Kept(Transport):
    """What would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            if item.payload.json is not None:
                self.items.append(item.payload.json)

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [item for item in self.items if item.get("type") != "transaction" and "level" in item]

    def transactions(self, op: str) -> list[dict[str, Any]]:
        found = [item for item in self.items if item.get("type") == "transaction"]
        return [item for item in found if item["contexts"]["trace"]["op"] == op]


@pytest.fixture
def kept() -> Iterator[Kept]:
    work.SEEN.clear()
    transport = Kept()
    # Without integrations: they would stay for the tests of others.
    sentry_sdk.init(
        dsn="http://key@localhost:9/1",
        transport=transport,
        traces_sample_rate=1.0,
        release="r1",
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    yield transport
    sentry_sdk.get_client().close(0)
    sentry_sdk.get_global_scope().set_client(None)
    for variable in (scope._isolation_scope, scope._current_scope):
        variable.set(None)  # other tests look for traces


def made(**options: Any) -> Postlude:
    postlude = Postlude(store="memory", packages=["tests"], config=EAGER)
    instrument(postlude, **options)
    return postlude


@pytest.mark.parametrize("task", [work.on_the_loop, work.in_a_thread])
def test_a_first_attempt_is_in_the_trace_of_its_request(task: Any, kept: Kept) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="memory", packages=["tests"], config=EAGER)
    instrument(postlude)

    @app.get("/orders")
    async def order(tasks: BackgroundTasks) -> None:
        tasks.add_task(task)

    app.add_middleware(SentryAsgiMiddleware)
    with TestClient(app) as client:
        client.get("/orders")
    (request,) = kept.transactions("http.server")
    (run,) = kept.transactions("queue.process")
    (span,) = [span for span in request["spans"] if span["op"] == "queue.publish"]
    trace = run["contexts"]["trace"]
    assert trace["trace_id"] == request["contexts"]["trace"]["trace_id"]
    assert trace["parent_span_id"] == span["span_id"]
    assert run["transaction"] == f"tests.integrations.work:{task.__name__}"
    assert run["transaction_info"] == {"source": "task"}
    assert request["transaction"] != run["transaction"]
    data = trace["data"]
    about = {"messaging.system": "postlude", "messaging.destination.name": "default"}
    assert about.items() <= data.items()
    assert about.items() <= span["data"].items()
    assert data["messaging.message.id"] == span["data"]["messaging.message.id"]
    assert span["data"]["messaging.message.body.size"] > 0
    assert data["messaging.message.retry.count"] == 0
    assert 0 <= data["messaging.message.receive.latency"] < 10_000
    assert kept.errors == []


async def test_an_error_is_reported_once_a_job(kept: Kept) -> None:
    postlude = made()
    fails = postlude.task(work.breaks, retry=Retry(attempts=3, backoff=lambda attempt: 0.01))
    async with serving(postlude):
        job = await postlude.add_task(fails)
        await becomes(postlude, job, State.FAILED)
    (error,) = kept.errors
    (raised,) = error["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("ValueError", "a secret")
    assert raised["stacktrace"]["frames"][-1]["function"] == "breaks"
    runs = kept.transactions("queue.process")
    assert [run["contexts"]["trace"]["status"] for run in runs] == ["internal_error"] * 3
    assert [run["contexts"]["trace"]["data"]["messaging.message.retry.count"] for run in runs] == [0, 1, 2]
    traces = [run["contexts"]["trace"]["trace_id"] for run in runs]
    assert len(set(traces)) == 3
    assert error["contexts"]["trace"]["trace_id"] == traces[-1]
    assert error["transaction"] == "tests.integrations.work:breaks"


async def test_the_log_does_not_report_it_again(kept: Kept) -> None:
    handler = EventHandler(logging.ERROR)
    logging.getLogger("postlude").addHandler(handler)
    try:
        postlude = made()
        async with serving(postlude):
            job = await postlude.add_task(work.breaks)
            await becomes(postlude, job, State.FAILED)
    finally:
        logging.getLogger("postlude").removeHandler(handler)
    assert len(kept.errors) == 1


async def test_every_attempt_is_reported_when_asked_for(kept: Kept) -> None:
    postlude = made(every_attempt=True)
    fails = postlude.task(work.breaks, retry=Retry(attempts=2, backoff=lambda attempt: 0.01))
    async with serving(postlude):
        job = await postlude.add_task(fails)
        await becomes(postlude, job, State.FAILED)
    assert len(kept.errors) == 2


@pytest.mark.parametrize(
    ("task", "state"),
    [
        (work.snoozes_once, State.SUCCEEDED),
        (work.later_once, State.SUCCEEDED),
        (work.discards, State.CANCELLED),
    ],
)
async def test_what_a_task_asks_for_is_no_error(task: Any, state: State, kept: Kept) -> None:
    postlude = made(every_attempt=True)
    async with serving(postlude):
        job = await postlude.add_task(postlude.task(task))
        await becomes(postlude, job, state)
    assert kept.errors == []
    statuses = {run["contexts"]["trace"]["status"] for run in kept.transactions("queue.process")}
    assert statuses == {"ok"}


async def test_being_cancelled_is_no_error(kept: Kept) -> None:
    postlude = made()

    async def seen() -> bool | None:
        return bool(work.SEEN) or None

    async with serving(postlude):
        job = await postlude.add_task(work.takes_long)
        await eventually(seen)
        await postlude.cancel(job.id)
        await becomes(postlude, job, State.CANCELLED)
    (run,) = kept.transactions("queue.process")
    assert run["contexts"]["trace"]["status"] == "cancelled"
    assert kept.errors == []


async def test_a_group_has_one_span(kept: Kept) -> None:
    postlude = made()
    with sentry_sdk.start_transaction(op="script", name="script"):
        async with serving(postlude):
            for job in await postlude.add_tasks([work.on_the_loop] * 3):
                await becomes(postlude, job, State.SUCCEEDED)
            await asyncio.to_thread(postlude.blocking.add_task, work.on_the_loop)
    (script,) = kept.transactions("script")
    published = [span for span in script["spans"] if span["op"] == "queue.publish"]
    assert len(published) == 2
    assert len(kept.transactions("queue.process")) == 4
