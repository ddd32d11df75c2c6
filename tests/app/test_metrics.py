"""What Prometheus is told: parsed by its own client's parser."""

import asyncio
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

from postlude import Postlude
from postlude.app.exposition import Histogram, Metric, text_of
from postlude.app.metrics import MOST_TASKS, OTHER, _kind_of, metrics_of
from postlude.clock import SECOND
from postlude.model.history import RUN, Sums
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.state import State
from postlude.stores.values import Kind, Totals
from tests.app import work
from tests.app.serving import becomes, serving

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def scrape(app: Any, path: str = "/") -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.get(path)


async def test_what_is_told() -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    app = postlude.metrics()
    async with serving(postlude):
        for job, state in (
            (await postlude.add_task(work.note, "a"), State.SUCCEEDED),
            (await postlude.add_task(work.breaks, "b"), State.FAILED),
        ):
            await becomes(postlude, job, state)
        await postlude.add_task(postlude.task(work.note_sync, queue="mail").using(delay=3600), "c")
        await postlude.pause("mail")
        response = await scrape(app)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = parsed(response.text)
    note = {"task": "tests.app.work:note", "queue": "default"}
    breaks = {**note, "task": "tests.app.work:breaks"}
    assert of(samples, "postlude_jobs_added_total", **note) == 1
    assert of(samples, "postlude_jobs_ended_total", **note, state="succeeded") == 1
    assert of(samples, "postlude_jobs_ended_total", **breaks, state="failed") == 1
    assert of(samples, "postlude_attempts_total", **breaks, outcome="failed") == 1
    of_success: dict[str, str] = {"outcome": "succeeded"}
    measures: list[tuple[str, dict[str, str]]] = [("run", of_success), ("wait", {})]
    for measure, labels in measures:
        told = f"postlude_{measure}_duration_seconds"
        assert of(samples, f"{told}_count", **note, **labels) == 1
        assert 0 < of(samples, f"{told}_sum", **note, **labels) < 60
        assert of(samples, f"{told}_bucket", **note, **labels, le="60") == 1
        assert of(samples, f"{told}_bucket", **note, **labels, le="+Inf") == 1
    assert of(samples, "postlude_jobs_current", queue="mail", state="scheduled") == 1
    assert of(samples, "postlude_queue_paused", queue="mail") == 1
    assert of(samples, "postlude_queue_oldest_seconds", queue="mail") == 0
    assert of(samples, "postlude_processes", kind=Kind.APP) == 1
    ((name, value),) = [each for each in samples.items() if each[0][0] == "postlude_build_info"]
    assert value == 1
    assert dict(name[1]) == {"version": version("postlude"), "store": "memory"}


@pytest.mark.parametrize(
    ("location", "kind"),
    [("/srv/shop/postlude.db", "sqlite"), ("postgresql://shop@db/shop", "postgresql"), ("memory", "memory")],
)
def test_the_kind_of_a_store_is_told_and_not_where_it_is(location: str, kind: str) -> None:
    assert _kind_of(location) == kind


async def test_who_waits_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    await postlude.open()
    await postlude.add_tasks([postlude.task(work.note).call("a")])
    now = postlude.components.store.now()
    monkeypatch.setattr(postlude.components.store, "now", lambda: now + 7_000_000)
    samples = parsed((await scrape(postlude.metrics())).text)
    assert 6.9 < of(samples, "postlude_queue_oldest_seconds", queue="default") < 8
    assert of(samples, "postlude_jobs_current", queue="default", state="queued") == 1
    await postlude.close()


async def bearer(request: Request) -> bool:
    await asyncio.sleep(0)
    return request.headers.get("authorization") == "Bearer s3cret"


def raises(request: Request) -> bool:
    raise HTTPException(403, "not you")


@pytest.mark.parametrize(
    ("auth", "status"), [(None, 200), (bearer, 401), (lambda request: True, 200), (raises, 403)]
)
def test_who_may_see_it(auth: Any, status: int) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="memory", packages=["tests"])
    app.mount("/metrics", postlude.metrics(auth=auth))
    with TestClient(app) as client:
        assert client.get("/metrics").status_code == status
        assert client.get("/metrics/").status_code == status
        if auth is bearer:
            allowed = client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
            assert allowed.status_code == 200
            assert "postlude_processes" in allowed.text
        if auth is None:
            assert client.post("/metrics").status_code == 405


def test_tasks_beyond_the_first_are_told_together() -> None:
    totals = [Totals(f"t{number}", "q", 1, 1, 0, 0) for number in range(MOST_TASKS + 3)]
    sums = Sums[str]()
    for one in totals:
        sums.add_successes([Finish(1, 1, one.task, 0, SECOND, SUCCEEDED, (), "q", SECOND)], str)
    added, ended, attempts, run, wait, *_ = metrics_of(totals, list(sums.told(0)), [], [], 0, {})
    assert isinstance(run, Histogram)
    assert isinstance(wait, Histogram)
    other = {"task": OTHER, "queue": "q"}
    assert len(added.values) == MOST_TASKS + 1
    assert added.values[-1] == (other, 3)
    assert ({**other, "state": "succeeded"}, 3) in ended.values
    assert ({**other, "outcome": "succeeded"}, 3) in attempts.values
    runs = {tuple(labels.values()): measured for labels, measured in run.values}
    waits = {tuple(labels.values()): measured for labels, measured in wait.values}
    for counts, total in (runs[OTHER, "q", "succeeded"], waits[OTHER, "q"]):
        assert (counts.index(3), sum(counts), total) == (RUN.index(1), 3, 3)


def test_labels_are_escaped() -> None:
    odd = 'a\\b"c\nd'
    text = text_of([Metric("m", "gauge", "Odd.", [({"task": odd}, 1)])])
    assert parsed(text) == {("m", frozenset({("task", odd)})): 1.0}
