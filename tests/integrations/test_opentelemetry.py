"""Spans and metrics, with OpenTelemetry's own SDK in memory."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from postlude import Config, Job, Postlude, Retry
from postlude.errors import JournalUnavailable, KeyTaken
from postlude.integrations.opentelemetry import instrument
from postlude.model.event.jobs import AttemptStarted
from postlude.model.event.runner import LeaseLost, LoopStalled
from postlude.model.state import State
from postlude.telemetry.refusals import why_refused
from tests.app.serving import EAGER, becomes, eventually, serving
from tests.integrations import pooled, work

pytestmark = pytest.mark.anyio


class Telemetry:
    """What an application has told."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def join(self, postlude: Postlude, **options: Any) -> None:
        instrument(postlude, tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def spans(self, name: str = "") -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(name)]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.spans(name)
        return span

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: [(dict(point.attributes or {}), point) for point in metric.data.data_points]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def told() -> Iterator[Telemetry]:
    work.SEEN.clear()
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def links_of(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def application(told: Telemetry, add: Callable[[BackgroundTasks, Postlude], None], **options: Any) -> FastAPI:
    app = FastAPI(telemetry={"tracer_provider": told.tracers, "metrics": False, "logs": False})
    postlude = Postlude(app, store="memory", packages=["tests"], config=EAGER)
    told.join(postlude, **options)

    @app.get("/orders")
    async def order(tasks: BackgroundTasks) -> None:
        add(tasks, postlude)

    return app


TASKS = pytest.mark.parametrize(
    ("task", "who"),
    [
        (work.on_the_loop, "loop"),
        (work.in_a_thread, "thread"),
        (work.filled, "filled"),
        (work.filled_in_a_thread, "filled thread"),
    ],
)


@TASKS
@pytest.mark.parametrize("lifespan", [True, False])
def test_a_first_attempt_is_in_the_trace_of_its_request(
    task: Any, who: str, lifespan: bool, told: Telemetry
) -> None:
    app = application(told, lambda tasks, postlude: tasks.add_task(postlude.task(task)))
    client = TestClient(app)
    if lifespan:
        with client:
            assert client.get("/orders").status_code == 200
    else:
        assert client.get("/orders").status_code == 200
    request, add, run = told.one("GET"), told.one("add"), told.one("run")
    name = f"tests.integrations.work:{task.__qualname__}"
    assert (add.name, run.name) == (f"add {name}", f"run {name}")
    assert (add.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert trace_of(request) == trace_of(add) == trace_of(run)
    assert (parent_of(add), parent_of(run)) == (id_of(request), id_of(add))
    assert links_of(run) == []
    assert [(who, f"{id_of(run):016x}")] == work.SEEN
    assert told.spans("fastapi.background_task") == []


async def test_what_spans_say(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    told.join(postlude)
    async with serving(postlude):
        job = await postlude.add_task(work.on_the_loop)
        await becomes(postlude, job, State.SUCCEEDED)
    add, run = told.one("add"), told.one("run")
    about = {
        "messaging.system": "postlude",
        "messaging.destination.name": "default",
        "messaging.message.id": job.id,
        "code.function.name": "tests.integrations.work.on_the_loop",
        "postlude.task": "tests.integrations.work:on_the_loop",
        "postlude.engine": "local",
    }
    assert add.attributes == {
        **about, "messaging.operation.name": "add", "messaging.operation.type": "send",
    }  # fmt: skip
    attributes = dict(run.attributes or {})
    assert 0 <= attributes.pop("postlude.wait") < 10  # type: ignore[operator]
    assert attributes == {
        **about,
        "messaging.operation.name": "run",
        "messaging.operation.type": "process",
        "postlude.attempt": 1,
        "postlude.outcome": "succeeded",
    }
    assert (run.instrumentation_scope or run).name == "postlude"
    assert run.end_time is not None
    assert run.start_time is not None
    assert run.start_time <= run.end_time
    assert add.parent is None


async def test_a_later_attempt_is_a_trace_of_its_own_with_a_link(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"], config=EAGER)
    told.join(postlude)
    fails = postlude.task(work.breaks, retry=Retry(attempts=3, backoff=lambda attempt: 0.01))
    async with serving(postlude):
        job = await postlude.add_task(fails)
        await becomes(postlude, job, State.FAILED)
    add = told.one("add")
    runs = told.spans("run")
    first, second, third = sorted(runs, key=lambda span: span.start_time or 0)
    assert (trace_of(first), parent_of(first), links_of(first)) == (trace_of(add), id_of(add), [])
    for later in (second, third):
        assert later.parent is None
        assert links_of(later) == [(trace_of(add), id_of(add))]
    assert len({trace_of(span) for span in runs}) == 3
    said = [(span.attributes or {}).get("postlude.outcome") for span in (first, second, third)]
    assert said == ["retried", "retried", "failed"]
    assert {(span.attributes or {}).get("error.type") for span in runs} == {"ValueError"}
    assert {span.status.status_code for span in runs} == {StatusCode.ERROR}
    assert "secret" not in "".join(span.to_json() for span in told.spans())


async def test_a_snoozed_job_is_not_in_its_requests_trace_again(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"], config=EAGER)
    told.join(postlude)
    async with serving(postlude):
        job = await postlude.add_task(work.snoozes_once)
        await becomes(postlude, job, State.SUCCEEDED)
    first, second = told.spans("run")
    assert (first.attributes or {})["postlude.outcome"] == "snoozed"
    assert first.status.status_code is StatusCode.UNSET
    assert second.parent is None
    assert links_of(second) == [(trace_of(told.one("add")), id_of(told.one("add")))]
    assert "postlude.wait" not in (second.attributes or {})


async def test_a_delayed_job_is_a_trace_of_its_own_with_a_link(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"], config=EAGER)
    told.join(postlude)
    async with serving(postlude):
        job = await postlude.add_task(postlude.task(work.on_the_loop).using(delay=0.1))
        await becomes(postlude, job, State.SUCCEEDED)
    add, run = told.one("add"), told.one("run")
    assert run.parent is None
    assert links_of(run) == [(trace_of(add), id_of(add))]
    waited = (run.attributes or {})["postlude.wait"]
    assert 0 <= waited < 0.09, "from when it was due"  # type: ignore[operator]


async def test_traces_may_all_be_linked(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    told.join(postlude, traces="linked")
    async with serving(postlude):
        job = await postlude.add_task(work.on_the_loop)
        await becomes(postlude, job, State.SUCCEEDED)
    add, run = told.one("add"), told.one("run")
    assert run.parent is None
    assert links_of(run) == [(trace_of(add), id_of(add))]


def test_what_traces_can_be(told: Telemetry) -> None:
    with pytest.raises(ValueError, match="linked"):
        told.join(Postlude(store="memory", packages=["tests"]), traces="both")


async def test_a_group_has_one_span(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    told.join(postlude)
    async with serving(postlude):
        jobs = await postlude.add_tasks([work.on_the_loop] * 3)
        for job in jobs:
            await becomes(postlude, job, State.SUCCEEDED)
        blocking = await asyncio.to_thread(postlude.blocking.add_task, work.on_the_loop)
        await becomes(postlude, blocking, State.SUCCEEDED)
    group, single = told.spans("add")
    assert (group.attributes or {})["messaging.batch.message_count"] == 3
    assert (single.attributes or {})["messaging.message.id"] == blocking.id
    parents = sorted(str(parent_of(run)) for run in told.spans("run"))
    assert parents == sorted([*[str(id_of(group))] * 3, str(id_of(single))])


def test_each_task_of_a_request_has_its_spans(told: Telemetry) -> None:
    def add(tasks: BackgroundTasks, postlude: Postlude) -> None:
        tasks.add_task(work.on_the_loop)
        tasks.add_task(work.in_a_thread)
        tasks.add_task(lambda: None)  # in memory: FastAPI's own telemetry has it

    with TestClient(application(told, add)) as client:
        client.get("/orders")
    request = told.one("GET")
    adds = told.spans("add")
    assert {parent_of(span) for span in adds} == {id_of(request)}
    assert {parent_of(span) for span in told.spans("run")} == {id_of(span) for span in adds}
    assert len(told.spans("run")) == 2
    assert parent_of(told.one("fastapi.background_task")) == id_of(request)


async def test_a_discarded_and_a_cancelled_job_are_no_errors(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    told.join(postlude)
    async with serving(postlude):
        job = await postlude.add_task(work.discards)
        await becomes(postlude, job, State.CANCELLED)
        long = await postlude.add_task(work.takes_long)
        await eventually(seen)
        await postlude.cancel(long.id)
        await becomes(postlude, long, State.CANCELLED)
    said = [(span.attributes or {}).get("postlude.outcome") for span in told.spans("run")]
    assert said == ["discarded", "cancelled"]
    assert {span.status.status_code for span in told.spans()} == {StatusCode.UNSET}


async def test_an_attempt_whose_runner_stops_is_interrupted(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"], config=Config(grace=0.01))
    told.join(postlude)
    async with serving(postlude):
        await postlude.add_task(work.takes_long)
        await eventually(seen)
    assert (told.one("run").attributes or {})["postlude.outcome"] == "interrupted"


async def test_what_was_raised_is_told_when_asked_for(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    told.join(postlude, record_exceptions=True)
    async with serving(postlude):
        job = await postlude.add_task(work.breaks)
        await becomes(postlude, job, State.FAILED)
    (event,) = told.one("run").events
    assert (event.attributes or {})["exception.message"] == "a secret"


async def test_a_refused_add_is_an_error(told: Telemetry) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    told.join(postlude)
    only_one = postlude.task(work.on_the_loop).using(key="k", on_conflict="raise", delay=3600)
    async with serving(postlude):
        await postlude.add_task(only_one)
        with pytest.raises(KeyTaken):
            await postlude.add_task(only_one)
        with pytest.raises(KeyTaken):
            await asyncio.to_thread(postlude.blocking.add_task, only_one)
    _, *refused = told.spans("add")
    assert [span.status.status_code for span in refused] == [StatusCode.ERROR] * 2
    assert {(span.attributes or {})["error.type"] for span in refused} == {"KeyTaken"}
    found = {labels["why"]: point.value for labels, point in told.metrics()["postlude.adds.refused"]}
    assert {why for why, jobs in found.items() if jobs} == {"key_taken"}
    assert found["key_taken"] == 2


@pytest.mark.process
async def test_a_process_of_the_pool_sees_the_trace(told: Telemetry) -> None:
    told.join(pooled.postlude)
    async with serving(pooled.postlude):
        job = await pooled.postlude.add_task(pooled.in_a_process)
        seen = await job.result(timeout=20)
    add, run = told.one("add"), told.one("run")
    assert (trace_of(run), parent_of(run)) == (trace_of(add), id_of(add))
    assert seen == f"{trace_of(run):032x}-{id_of(run):016x}"


@pytest.mark.disk
async def test_another_process_sees_the_trace(told: Telemetry, tmp_path: Path) -> None:
    """It has nothing of the one that has added the job but the journal."""
    location = f"sqlite:///{tmp_path}/jobs.db"
    adds, runs = (Postlude(store=location, packages=["tests"]) for _ in range(2))
    told.join(adds)
    told.join(runs)
    await adds.open()
    await adds.add_task(work.on_the_loop)
    await adds.close()
    assert told.spans("run") == []
    async with serving(runs):
        await runs.components.producer.runners[0].idle()
        await eventually(lambda: found(told, "run"))
    add, run = told.one("add"), told.one("run")
    assert (trace_of(run), parent_of(run)) == (trace_of(add), id_of(add))
    assert [("loop", f"{id_of(run):016x}")] == work.SEEN


async def found(told: Telemetry, name: str) -> ReadableSpan | None:
    return next(iter(told.spans(name)), None)


async def test_metrics_of_a_process(told: Telemetry) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="memory", packages=["tests"], config=Config(threads=3, loop_slots=7))
    told.join(postlude)
    events = postlude.components.store.events
    async with serving(postlude):
        for job in [await postlude.add_task(function) for function in (work.on_the_loop, work.breaks)]:
            await eventually(partial(ended, postlude, job))
        events.emit(LeaseLost())
        events.emit(LoopStalled(3.0, None, 0, ""))
        found = told.metrics()
    about = {"queue": "default"}
    ok = {**about, "task": "tests.integrations.work:on_the_loop"}
    bad = {**about, "task": "tests.integrations.work:breaks"}
    outcomes = [{**ok, "outcome": "succeeded"}, {**bad, "outcome": "failed"}]
    attempts = [(labels, point.value) for labels, point in found["postlude.attempts"]]
    assert sorted(attempts, key=str) == sorted(((labels, 1) for labels in outcomes), key=str)
    assert [(labels, point.count) for labels, point in found["postlude.run.duration"]] == [
        (labels, 1) for labels in outcomes
    ]
    assert [(labels, point.count) for labels, point in found["postlude.wait.duration"]] == [(ok, 1), (bad, 1)]
    ((labels, added),) = found["postlude.add.duration"]
    assert (labels, added.count) == ({}, 2)
    assert added.explicit_bounds[0] == 0.0005
    assert [point.value for _, point in found["postlude.leases.lost"]] == [1]
    assert [point.value for _, point in found["postlude.loop.stalls"]] == [1]
    assert [point.value for _, point in found["postlude.threads.hung"]] == [0]
    assert {labels["kind"]: point.value for labels, point in found["postlude.slots"]} == {
        "async": 7, "thread": 6, "process": postlude.config.processes,
    }  # fmt: skip
    assert {labels["kind"]: point.value for labels, point in found["postlude.slots.busy"]} == {
        "async": 0, "thread": 0, "process": 0,
    }  # fmt: skip


async def seen() -> bool | None:
    return bool(work.SEEN) or None


async def ended(postlude: Postlude, job: Job[Any]) -> bool | None:
    return (await postlude.inspector.get(job.id)).state in (State.SUCCEEDED, State.FAILED) or None


def test_what_runs_in_memory_is_counted(told: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    with TestClient(application(told, lambda tasks, postlude: tasks.add_task(lambda: None))) as client:
        for _ in range(2):
            client.get("/orders")
    ((labels, point),) = told.metrics()["postlude.memory_only"]
    assert point.value == 2
    assert "lambda" in labels["task"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert told.spans("add") == []


async def test_the_canary_and_housekeeping_leave_nothing(told: Telemetry, monkeypatch: Any) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: told.tracers)
    app = FastAPI()
    postlude = Postlude(app, store="memory", packages=["tests"], config=Config(poll_every=0.01))
    told.join(postlude)
    with TestClient(app):
        await asyncio.sleep(0.05)
    assert told.spans() == []
    assert not told.metrics().keys() & {"postlude.attempts", "postlude.run.duration", "postlude.add.duration"}


async def test_who_does_not_trace_has_no_traces_travel() -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    postlude.components.store.events.listen(lambda event: None, AttemptStarted)
    async with serving(postlude):
        work_added = postlude.components.producer.prepare(work.on_the_loop, (), {})
        await postlude.components.producer.commit([work_added])
        postlude.components.producer.start([work_added])
    assert work_added.given.context is None


def test_a_journal_that_is_down_is_counted_as_unavailable() -> None:
    assert why_refused(JournalUnavailable("slow")) == "unavailable"
    assert why_refused(OSError("odd")) == "error"
