"""One record for each change of a job, by the standard library's logging and by structlog's formatter."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from postlude import Postlude, Retry
from postlude.integrations.logs import log_changes
from postlude.integrations.opentelemetry import instrument
from postlude.model.state import State
from tests.app.serving import EAGER, becomes, serving
from tests.integrations import work

pytestmark = pytest.mark.anyio


class Lines(logging.Handler):
    """Keeps the records and what their formatter makes of them."""

    def __init__(self, formatter: logging.Formatter | None = None) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in ("postlude.changes", "postlude.jobs"):
            self.records.append(record)
            self.lines.append(self.format(record))

    def fields(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(getattr(record, name, None) for name in names) for record in self.records]


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    handler = Lines(getattr(request, "param", None))
    logger = logging.getLogger("postlude")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


async def run(function: Any, state: State, *, traced: TracerProvider | None = None) -> str:
    work.SEEN.clear()
    postlude = Postlude(store="memory", packages=["tests"], config=EAGER)
    if traced is not None:
        instrument(postlude, tracer_provider=traced)
    log_changes(postlude)
    async with serving(postlude):
        job = await postlude.add_task(postlude.task(function, retry=Retry(2, backoff=lambda attempt: 0.01)))
        await becomes(postlude, job, state)
    return job.id


async def test_a_job_that_goes_well(lines: Lines) -> None:
    id = await run(work.on_the_loop, State.SUCCEEDED)
    assert lines.fields("event", "job_id", "task", "queue", "attempt", "outcome", "error_type") == [
        ("job.added", id, "tests.integrations.work:on_the_loop", "default", 0, None, None),
        ("job.started", id, "tests.integrations.work:on_the_loop", "default", 1, None, None),
        ("job.ended", id, "tests.integrations.work:on_the_loop", "default", 1, "succeeded", ""),
    ]
    _, started, ended = lines.records
    assert 0 <= started.__dict__["wait"] < 10
    assert 0 <= ended.__dict__["duration"] < 10
    assert {record.levelname for record in lines.records} == {"INFO"}


async def test_what_goes_wrong_is_one_record_with_the_same_fields(lines: Lines) -> None:
    await run(work.breaks, State.FAILED)
    assert lines.fields("levelname", "event", "attempt", "outcome", "error_type") == [
        ("INFO", "job.added", 0, None, None),
        ("INFO", "job.started", 1, None, None),
        ("WARNING", "job.ended", 1, "retried", "ValueError"),
        ("INFO", "job.started", 2, None, None),
        ("ERROR", "job.ended", 2, "failed", "ValueError"),
    ]


async def test_a_job_that_snoozes_is_told(lines: Lines) -> None:
    await run(work.snoozes_once, State.SUCCEEDED)
    assert [each for each in lines.fields("event", "outcome") if each[0] == "job.ended"] == [
        ("job.ended", "snoozed"),
        ("job.ended", "succeeded"),
    ]


async def test_records_have_the_trace(lines: Lines) -> None:
    await run(work.breaks, State.FAILED, traced=TracerProvider())
    added, started, ended, again, failed = (record.__dict__["trace_id"] for record in lines.records)
    assert len(added) == 32
    assert added == started == ended
    assert again == failed != added


async def test_without_tracing_there_is_no_trace(lines: Lines) -> None:
    await run(work.on_the_loop, State.SUCCEEDED)
    assert lines.fields("trace_id") == [("",)] * 3


FORMATTER = structlog.stdlib.ProcessorFormatter(
    processors=[
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
    ],
    foreign_pre_chain=[
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
    ],
)


@pytest.mark.parametrize("lines", [FORMATTER], indirect=True)
async def test_structlog_writes_the_fields(lines: Lines) -> None:
    id = await run(work.on_the_loop, State.SUCCEEDED)
    *_, ended = map(json.loads, lines.lines)
    assert 0 <= ended.pop("duration") < 10
    assert ended == {
        "event": "job.ended",
        "job_id": id,
        "task": "tests.integrations.work:on_the_loop",
        "queue": "default",
        "attempt": 1,
        "outcome": "succeeded",
        "error_type": "",
        "trace_id": "",
        "level": "info",
        "logger": "postlude.changes",
    }


async def test_nobody_who_has_not_asked_gets_a_record(lines: Lines) -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    async with serving(postlude):
        job = await postlude.add_task(work.on_the_loop)
        await becomes(postlude, job, State.SUCCEEDED)
    assert lines.records == []


async def test_housekeeping_leaves_no_record(lines: Lines) -> None:
    postlude = Postlude(store="memory", packages=["tests"], config=EAGER)
    log_changes(postlude)
    async with serving(postlude):
        await postlude.components.producer.runners[0].idle()
    assert lines.records == []
