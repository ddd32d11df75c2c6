"""What Prometheus is told: parsed by its own client's parser."""

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

from postlude import Config, JournalUnavailable, KeyTaken, Local, Postlude
from postlude.app.exposition import Histogram, Metric, text_of
from postlude.app.measures import MOST_TASKS, OTHER, Measures, kind_of, metrics_of
from postlude.clock import SECOND
from postlude.model.counted import TIMES_MISSED, Counted
from postlude.model.event.runner import LeaseLost
from postlude.model.history import RUN, Sums
from postlude.model.outcome import SUCCEEDED, Failed, Finish
from postlude.model.state import State
from postlude.stores.reply import Reply
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime
from postlude.stores.values import Kind, NewRunner, Totals
from postlude.testing.conformance.schedules import schedule
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
    assert kind_of(location) == kind


async def test_what_is_tried_again_is_told_apart() -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    store = postlude.components.store
    await postlude.open()
    breaks = postlude.task(work.breaks)
    await postlude.add_tasks([breaks.using(delay=60).call("b"), breaks.call("a")])
    runner = (await store.enlist(NewRunner("r", 60))).runner
    (claim,) = (await store.claim(runner, 1, suspect=True)).claims
    now = store.now()
    failed = Failed("E", "E", retry_at=now + 3600 * SECOND)
    await store.finish([Finish(claim.seq, claim.fence, claim.task, now, now, failed)])
    samples = parsed((await scrape(postlude.metrics())).text)
    waiting = "queued", "scheduled", "retrying", "blocked"
    found = [of(samples, "postlude_jobs_current", queue="default", state=state) for state in waiting]
    assert found == [0, 1, 1, 0]
    await postlude.close()


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
    told = {one.name: one for one in metrics_of(Measures(totals, list(sums.told(0))))}
    added, ended, attempts = (
        told[f"postlude_{name}_total"] for name in ("jobs_added", "jobs_ended", "attempts")
    )
    run, wait = (told[f"postlude_{name}_duration_seconds"] for name in ("run", "wait"))
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


@pytest.mark.disk
async def test_what_no_job_tells_of_is_the_sum_of_all_processes(tmp_path: Path) -> None:
    """Two applications on one journal stand for two processes; both answer alike, also after their end."""
    location = f"sqlite:///{tmp_path}/jobs.db"
    both = [Postlude(store=location, packages=["tests"]) for _ in range(2)]
    first, second = (one.components for one in both)
    async with serving(both[0]), serving(both[1]):
        first.store.events.emit(LeaseLost())
        second.store.events.emit(LeaseLost())
        second.producer.in_memory(print, "it is a print")
        job = await both[0].add_task(work.note, "a")
        await becomes(both[0], job, State.SUCCEEDED)
        only_one = both[0].task(work.note_sync).using(key="k", on_conflict="raise", delay=60)
        await both[0].add_task(only_one, "b")
        with pytest.raises(KeyTaken):
            await both[0].add_task(only_one, "b")
        before = parsed((await scrape(both[1].metrics())).text)
        assert of(before, "postlude_leases_lost_total") == 1  # what the first has counted it has not told yet
        samples = [parsed((await scrape(one.metrics())).text) for one in both]
    again = Postlude(store=location, packages=["tests"])
    samples.append(parsed((await scrape(again.metrics())).text))
    await again.close()
    for each in (samples[0], samples[2]):
        assert of(each, "postlude_leases_lost_total") == 2
        assert of(each, "postlude_memory_only_total", task="builtins:print") == 1
        assert of(each, "postlude_adds_refused_total", why="key_taken") == 1
        assert of(each, "postlude_adds_refused_total", why="unavailable") == 0
        assert of(each, "postlude_add_duration_seconds_count") == 2
        assert 0 < of(each, "postlude_add_duration_seconds_sum") < 10
        assert of(each, "postlude_processes_died_total") == 0
        assert of(each, "postlude_journal_size_bytes") > 4096
    assert ("postlude_slots", frozenset({("kind", "async")})) not in samples[2]


async def test_what_a_process_knows_of_itself() -> None:
    postlude = Postlude(
        store="memory", packages=["tests"], config=Config(threads=3, loop_slots=7, processes=2)
    )
    async with serving(postlude):
        samples = parsed((await scrape(postlude.metrics())).text)
        assert of(samples, "postlude_slots", kind="async") == 7
        assert of(samples, "postlude_slots", kind="process") == 2
        assert of(samples, "postlude_slots_busy", kind="async") == 0
        assert of(samples, "postlude_threads_hung") == 0
    assert not [
        name for name, _ in samples if name in ("postlude_journal_size_bytes", "postlude_outbox_waiting")
    ]


async def test_slots_of_a_queues_own_are_told_beside_the_others() -> None:
    config = Config(threads=3, loop_slots=7, processes=2)
    queues = {"mail": Local(concurrency=4)}
    postlude = Postlude(store="memory", packages=["tests"], config=config, queues=queues)
    inside, go = asyncio.Event(), asyncio.Event()

    @postlude.task(queue="mail")
    async def waits() -> None:
        inside.set()
        await go.wait()

    async with serving(postlude):
        await postlude.add_task(waits)
        await inside.wait()
        samples = parsed((await scrape(postlude.metrics())).text)
        go.set()
    slots = {kind: of(samples, "postlude_slots", kind=kind) for kind in ("async", "thread", "process", "own")}
    assert slots == {"async": 7, "thread": 6, "process": 2, "own": 4}
    busy = {kind: of(samples, "postlude_slots_busy", kind=kind) for kind in ("async", "own")}
    assert busy == {"async": 0, "own": 1}


def test_when_schedules_ran_and_what_they_missed() -> None:
    ran, missed = ScheduleTime(5 * SECOND, True, None, None), ScheduleTime(SECOND, False, None, None)
    schedules = [
        ScheduleRecord(schedule(name), "shop", None, None, last)
        for name, last in (("ran", ran), ("missed", missed), ("new", None))
    ]
    counted = [Counted(TIMES_MISSED, "missed", 3), Counted(TIMES_MISSED, "removed", 1)]
    told = {one.name: one.values for one in metrics_of(Measures(schedules=schedules, counted=counted))}
    assert told["postlude_schedule_last_run_timestamp_seconds"] == [({"schedule": "ran"}, 5)]
    assert told["postlude_schedule_missed_total"] == [
        ({"schedule": "ran"}, 0), ({"schedule": "missed"}, 3), ({"schedule": "new"}, 0),
        ({"schedule": "removed"}, 1),
    ]  # fmt: skip


async def test_a_journal_that_cannot_be_read_is_no_error_of_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    down: Reply[Any] = Reply.failed(JournalUnavailable("the disk is full"))
    monkeypatch.setattr(postlude.components.store, "totals", lambda: down)
    response = await scrape(postlude.metrics())
    assert (response.status_code, response.text) == (503, "Service Unavailable")
