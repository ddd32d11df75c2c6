"""A call that was merged into another's job by its key: its id tells how that stands, and no more."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI

import postlude.fastapi
from postlude import Job, JobFailed, Postlude, Retry, State
from postlude.jobs.current import current_job
from postlude.runner.attempt import progress
from tests.app import returning
from tests.app.serving import eventually, serving
from tests.web.test_events import reading

pytestmark = pytest.mark.anyio

ADA = "ada@example.org:export"


async def export(whose: str) -> str:
    await current_job().progress(3, 10, f"orders of {whose}")
    await returning.waits()
    if whose.startswith("broken"):
        raise ValueError(f"no orders of {whose}")
    return f"orders of {whose}"


class Merged(NamedTuple):
    """Two calls with one key, and a client that asks about them."""

    app: FastAPI
    postlude: Postlude
    client: httpx.AsyncClient
    first: Job[Any]
    second: Job[Any]

    async def told(self, job: Job[Any]) -> dict[str, Any]:
        answer = await self.client.get(f"/jobs/{job.id}")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def merged(location: str) -> Callable[..., Any]:
    @asynccontextmanager
    async def two(whose: str = "ada", **options: Any) -> AsyncIterator[Merged]:
        returning.GATE.clear()
        app = FastAPI()
        postlude = Postlude(store=location)
        app.include_router(postlude.router(prefix="/jobs", show=["arguments"], errors="text"))
        postlude.install(app)
        task = postlude.task(export, retry=Retry(attempts=1)).using(key=ADA, **options)
        transport = httpx.ASGITransport(app)
        async with serving(postlude), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            first = await postlude.add_task(task, whose)
            yield Merged(app, postlude, client, first, await postlude.add_task(task, "bob"))
            returning.GATE.set()

    return two


async def test_while_it_waits_and_runs(merged: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.02)
    async with merged() as two:
        assert two.first.id != two.second.id

        async def said() -> Any:
            return await two.first.progress()

        await eventually(said)
        told = await two.told(two.second)
        assert (told["id"], told["state"], told["arguments"]) == (two.second.id, "running", None)
        assert (told["progress"]["current"], told["progress"]["message"]) == (3, None)
        made = timedelta(milliseconds=UUID(two.second.id).int >> 80)
        assert datetime.fromisoformat(told["created"]) == datetime.fromisoformat("1970-01-01T00:00Z") + made
        own = await two.told(two.first)
        assert (own["id"], own["progress"]["message"]) == (two.first.id, "orders of ada")
        assert own["arguments"]["named"] == {"whose": "ada"}


async def test_when_it_has_succeeded(merged: Callable[..., Any]) -> None:
    async with merged() as two:
        returning.GATE.set()
        assert await two.second.result(10) == "orders of ada", "the application's own code may see it"
        answer = await two.client.get(f"/jobs/{two.second.id.upper()}")
        told = answer.json()
        assert (told["id"], told["state"], told["result"]) == (two.second.id, "succeeded", None)
        assert ("retry-after" in answer.headers, "ada" in answer.text) == (False, False)
        assert (await two.told(two.first))["result"] == "orders of ada"


async def test_when_it_has_failed(merged: Callable[..., Any]) -> None:
    async with merged("broken") as two:
        returning.GATE.set()
        with pytest.raises(JobFailed, match="no orders of broken"):
            await two.second.result(10)
        told = await two.told(two.second)
        assert (told["id"], told["state"], told["error"]["code"]) == (two.second.id, "failed", "failed")
        assert (told["error"]["type"], told["error"]["message"]) == (None, None)
        assert (await two.told(two.first))["error"]["message"] == "no orders of broken"


async def test_its_events_end_with_the_job(merged: Callable[..., Any]) -> None:
    async with merged() as two, reading(two.app, f"/jobs/{two.second.id}/events") as reader:
        returning.GATE.set()
        await two.first.result(10)
        await reader.call
        assert reader.states[-1] == "succeeded"
        assert ("ada" in reader.text, two.first.id in reader.text) == (False, False)
        assert reader.text.count(two.second.id) == 4 * len(reader.events), "its own id, in its links too"


async def test_it_does_not_cancel_anothers_job(merged: Callable[..., Any]) -> None:
    async with merged(delay=3600) as two:
        answer = await two.client.post(f"/jobs/{two.second.id}/cancel")
        assert answer.status_code == 409
        assert (await two.told(two.first))["state"] == "queued"
        assert (await two.client.post(f"/jobs/{two.first.id}/cancel")).status_code == 200
        assert (await two.told(two.second))["error"]["code"] == "cancelled"


@pytest.mark.parametrize("whose", ["carol", "broken"])
async def test_of_calls_that_replace_each_other_the_last_is_told_all(
    merged: Callable[..., Any], whose: str
) -> None:
    async with merged(on_conflict="replace", delay=3600) as two:
        ends = [asyncio.create_task(job.result(60)) for job in (two.first, two.second)]
        await eventually(lambda: _when(list(two.postlude.components.hub.watched) == [two.second.raw_id]))
        task = two.postlude.task(export, retry=Retry(attempts=1))
        third = await two.postlude.add_task(task.using(key=ADA, on_conflict="replace"), whose)
        returning.GATE.set()
        async with asyncio.timeout(4):  # it takes 5 s to look at what nobody says has changed
            found = await asyncio.gather(*ends, return_exceptions=True)
        assert {str(each) for each in found} == {str(found[0])}
        assert f"orders of {whose}" in str(found[0])
        last = await two.told(third)
        assert (last["id"], last["arguments"]["named"]) == (third.id, {"whose": whose})
        assert f"orders of {whose}" in str(last["result"] or last["error"])
        for job in (two.first, two.second):
            told = await two.told(job)
            assert (told["id"], told["state"], told["result"]) == (job.id, last["state"], None)
            assert ("orders of" in str(told), third.id in str(told)) == (False, False)


async def test_who_was_replaced_cancels_nothing(merged: Callable[..., Any]) -> None:
    async with merged(on_conflict="replace", delay=3600) as two:
        assert (await two.client.post(f"/jobs/{two.first.id}/cancel")).status_code == 409
        assert (await two.told(two.second))["state"] == "queued"
        assert (await two.client.post(f"/jobs/{two.second.id}/cancel")).status_code == 200
        assert (await two.told(two.first))["error"]["code"] == "cancelled"


async def _when(this: bool) -> bool:
    return this


async def test_in_the_process_it_keeps_its_own_id(merged: Callable[..., Any]) -> None:
    async with merged(delay=3600) as two:
        found = await two.postlude.job(two.second.id)
        assert (found.id, (await found.status()).state) == (two.second.id, State.QUEUED)


@pytest.mark.parametrize("parameter", [BackgroundTasks, postlude.fastapi.BackgroundTasks])
async def test_a_taken_key_is_told_without_whose_it_is(
    parameter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    postlude_ = Postlude(app, store="memory")
    task = postlude_.task(returning.nothing).using(key=ADA, on_conflict="raise", delay=60)

    @app.post("/x")
    async def endpoint(tasks: parameter) -> None:
        tasks.add_task(task)

    caplog.set_level(logging.WARNING, "postlude")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        assert (await client.post("/x")).status_code == 200
        answer = await client.post("/x")
    assert (answer.status_code, answer.json()) == (409, {"detail": "A job with this key waits or runs"})
    (line,) = (record.getMessage() for record in caplog.records if "409" in record.getMessage())
    assert ADA in line
    assert "tests.app.returning:nothing" in line
