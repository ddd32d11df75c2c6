"""OpenTelemetry and Prometheus are told the same, of all processes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families

from postlude import JournalUnavailable, Postlude
from postlude.app.measures import MEASURES
from postlude.integrations.opentelemetry import instrument
from postlude.model.event.runner import LeaseLost, RunnersBuried
from postlude.model.state import State
from postlude.stores.reply import Reply
from tests.app import work
from tests.app.serving import becomes, serving

pytestmark = [pytest.mark.anyio, pytest.mark.disk]

Points = dict[tuple[str, frozenset[tuple[str, Any]]], float]


class Collected:
    """Metrics of a Postlude, as OpenTelemetry's SDK collects them."""

    def __init__(self, postlude: Postlude) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])
        instrument(postlude, meter_provider=self.provider)

    def points(self) -> Points:
        data = self.reader.get_metrics_data()
        return {
            (metric.name, frozenset((point.attributes or {}).items())): point.value
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            if hasattr(point, "value")
        }


@pytest.fixture
def postlude(tmp_path: Path) -> Postlude:
    return Postlude(store=f"sqlite:///{tmp_path}/jobs.db", packages=["tests"])


@pytest.fixture
def collected(postlude: Postlude) -> Iterator[Collected]:
    collected = Collected(postlude)
    yield collected
    collected.provider.shutdown()


async def exposed(postlude: Postlude) -> Points:
    """Return what Prometheus is told, by OpenTelemetry's names."""
    transport = httpx.ASGITransport(postlude.metrics())
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        text = (await client.get("/")).text
    names = {measure.exposed: f"postlude.{measure.name}" for measure in MEASURES}
    return {
        (names[sample.name], frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in names
    }


async def test_both_are_told_the_same_of_all_processes(postlude: Postlude, collected: Collected) -> None:
    other = Postlude(store=f"sqlite:///{postlude.components.store.location}", packages=["tests"])
    async with serving(postlude), serving(other):
        for one, function, state in (
            (postlude, work.note, State.SUCCEEDED),
            (other, work.note, State.SUCCEEDED),
            (other, work.breaks, State.FAILED),
        ):
            await becomes(one, await one.add_task(function, "a"), state)
        await postlude.add_task(postlude.task(work.note_sync, queue="mail").using(delay=3600), "c")
        await postlude.pause("mail")
        other.components.store.events.emit(LeaseLost())
        postlude.components.store.events.emit(RunnersBuried(2, 0, 0))
        await exposed(other)  # it tells the journal what it has counted
        told, read = await exposed(postlude), collected.points()
    steady = {key for key in read if key[0] not in ("postlude.queue.oldest", "postlude.journal.size")}
    assert {key: read[key] for key in steady} == {key: told[key] for key in steady}
    assert read.keys() == told.keys()
    note = frozenset({"task": "tests.app.work:note", "queue": "default"}.items())
    assert read["postlude.jobs.added", note] == 2
    assert read["postlude.leases.lost", frozenset()] == 1
    assert read["postlude.processes.died", frozenset()] == 2
    assert read["postlude.processes", frozenset({("kind", "app")})] == 2
    assert read["postlude.queue.paused", frozenset({("queue", "mail")})] == 1


async def test_the_journal_is_read_once_for_each_collection(
    postlude: Postlude, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(postlude):
        asked: list[int] = []
        totals = postlude.components.store.totals

        def counted() -> Any:
            asked.append(1)
            return totals()

        monkeypatch.setattr(postlude.components.store, "totals", counted)
        await asyncio.to_thread(collected.points)
        assert len(asked) == 1
        assert collected.points() == await asyncio.to_thread(collected.points)
        assert len(asked) == 3


async def test_of_a_journal_that_cannot_be_read_nothing_is_told(
    postlude: Postlude, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not zeros: a counter would fall."""
    async with serving(postlude):
        assert collected.points()
        with monkeypatch.context() as down:
            asked: list[int] = []

            def totals() -> Reply[Any]:
                asked.append(1)
                return Reply.failed(JournalUnavailable("the disk is full"))

            down.setattr(postlude.components.store, "totals", totals)
            assert collected.points() == {}
            assert len(asked) == 1
        assert collected.points()
    assert collected.points() == {}  # closed: nothing is opened for this
