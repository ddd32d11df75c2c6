"""What an application's journal tells of its jobs, and that nothing is made where nobody listens."""

from typing import Any

import pytest

from postlude import Postlude
from postlude.model.event import Event
from postlude.model.event.jobs import AttemptEnded, AttemptStarted, AttemptUnsuccessful, EndsWritten
from postlude.model.outcome import SUCCEEDED, Failed
from postlude.telemetry.events import Events
from tests.app.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def well() -> None: ...


def well_in_a_thread() -> None: ...


def badly() -> None:
    raise ValueError("seven")


async def test_jobs_that_go_well_are_made_into_nothing_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = list[Any]()
    monkeypatch.setattr(Events, "emit", lambda self, event: made.append(event))
    async with serving(postlude := Postlude(store="memory", packages=["tests"])):
        jobs = [await postlude.add_task(function) for function in (well, well_in_a_thread) * 3]
        await postlude.components.producer.runners[0].idle()
        assert [(await job.status()).state for job in jobs] == ["succeeded"] * 6
    assert made == []


async def test_who_listens_hears_of_a_jobs_whole_life() -> None:
    postlude, heard = Postlude(store="memory", packages=["tests"]), list[Event]()
    postlude.components.store.events.listen(heard.append, AttemptStarted, AttemptEnded, EndsWritten)
    async with serving(postlude):
        job = await postlude.add_task(well)
        await postlude.components.producer.runners[0].idle()
    started, ended, written = heard
    assert isinstance(started, AttemptStarted)
    assert (started.id, started.task, started.queue, started.attempt) == (
        job.raw_id, "tests.app.test_events:well", "default", 1,
    )  # fmt: skip
    assert started.created <= started.started
    assert isinstance(ended, AttemptEnded)
    assert (ended.id, ended.outcome, ended.started) == (job.raw_id, SUCCEEDED, started.started)
    assert isinstance(written, EndsWritten)
    assert (written.ids, written.kept) == ([job.raw_id], [True])
    assert written.finishes[0].outcome == SUCCEEDED


async def test_who_listens_for_ends_hears_of_the_bad_ones_too_with_the_error() -> None:
    postlude, heard = Postlude(store="memory", packages=["tests"]), list[Event]()
    postlude.components.store.events.listen(heard.append, AttemptEnded)
    async with serving(postlude):
        await postlude.add_task(badly)
        await postlude.components.producer.runners[0].idle()
    (ended,) = heard
    assert isinstance(ended, AttemptUnsuccessful)
    assert isinstance(ended.outcome, Failed)
    assert isinstance(ended.error, ValueError)
    assert ended.frames is not None
    assert ended.frames.tb_frame.f_code is badly.__code__


async def test_each_journal_tells_of_its_own() -> None:
    one, other = (Postlude(store="memory", packages=["tests"]) for _ in range(2))
    heard = list[Event]()
    other.components.store.events.listen(heard.append, Event)
    async with serving(one):
        await one.add_task(badly)
        await one.components.producer.runners[0].idle()
    assert heard == []
