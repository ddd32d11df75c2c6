"""A job in a worker of Celery's is in the trace of the request that has added it."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from postlude.fastapi import BackgroundTasks
from tests.engines.celery.shop import QUEUE
from tests.engines.celery.site import PATIENCE, Site
from tests.engines.celery.tracing import SpanFile, Told, told, traced
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

_OF_CELERY = {
    "lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit",
    "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting",
    "stamped_headers", "stamps",
}  # fmt: skip
"""The headers of its protocol."""


@pytest.fixture
def site(redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    redis.command("FLUSHALL")
    monkeypatch.setenv("SHOP_TRACED", "1")
    site = Site(tmp_path, redis.url)
    yield site
    site.close()


async def test_the_attempts_of_a_job_are_in_its_requests_trace(site: Site) -> None:
    here = InMemorySpanExporter()
    provider = traced(site.shop.postlude, here)
    requests = provider.get_tracer("server")

    @site.shop.app.post("/{number}")
    async def add(number: int, tasks: BackgroundTasks) -> str:
        return tasks.add_task(site.shop.flaky, number).id

    site.start(concurrency=1)
    async with (
        site.serving() as shop,
        httpx.AsyncClient(transport=httpx.ASGITransport(shop.app), base_url="http://shop") as client,
    ):
        with requests.start_as_current_span("request") as request:
            id = (await client.post("/7")).json()
        assert await (await shop.postlude.job(id)).result(timeout=PATIENCE) == 7
        spans = await _attempts(SpanFile(site.folder / "spans"), 2)
    (added,) = [told(span) for span in here.get_finished_spans() if span.name == "add flaky"]
    assert added.trace == request.get_span_context().trace_id
    first, second = spans
    assert (first.trace, first.parent, first.links) == (added.trace, added.id, [])
    assert (second.parent, second.links) == (None, [[added.trace, added.id]])
    assert second.trace != added.trace
    assert [(span.outcome, span.engine) for span in spans] == [
        ("retried", "celeryengine"),
        ("succeeded", "celeryengine"),
    ]


async def _attempts(written: SpanFile, number: int) -> list[Told]:
    async with asyncio.timeout(PATIENCE):
        while len(spans := [span for span in written.read() if span.name == "run flaky"]) < number:
            await asyncio.sleep(0.02)
    return spans


async def test_a_message_has_the_id_and_the_trace_and_nothing_else(site: Site, redis: RedisServer) -> None:
    here = InMemorySpanExporter()
    traced(site.shop.postlude, here)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, 0.25)
        async with asyncio.timeout(PATIENCE):
            while b"postlude.run" not in (lying := redis.command("LRANGE", QUEUE, "0", "-1")):
                await asyncio.sleep(0.02)
    message = json.loads(lying[lying.index(b"{") : lying.rindex(b"}") + 1])
    arguments, keywords, embedded = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords) == ([job.id], {})
    assert not any(embedded.values())
    (added,) = [told(span) for span in here.get_finished_spans() if span.name == "add takes"]
    headers = message["headers"]
    assert headers.keys() - _OF_CELERY == {"traceparent"}
    assert headers["traceparent"].startswith(f"00-{added.trace:032x}-{added.id:016x}-")
    assert (headers["argsrepr"], headers["kwargsrepr"], headers["id"]) == ("", "", job.id)
