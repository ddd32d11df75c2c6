"""A poll that waits, and the one form in which a job is told of."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from postlude import Job, Postlude, Retry
from postlude.fastapi import Accepted, BackgroundTasks
from postlude.web import status, waiting
from postlude.web.sockets import ServerSockets
from postlude.web.waiting import preferred_wait
from tests.app import returning
from tests.app.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def postlude(location: str) -> Postlude:
    returning.GATE.clear()
    return Postlude(store=location, packages=["tests"])


@pytest.fixture
async def client(postlude: Postlude) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(postlude.router(prefix="/jobs"))

    @app.post("/later", status_code=202)
    async def later(tasks: BackgroundTasks) -> Accepted[None]:
        task = postlude.task(returning.nothing)
        return tasks.accepted(tasks.add_task(task.using(delay=3600, retry=Retry(attempts=4))))

    @app.post("/mine", status_code=202)
    async def mine(tasks: BackgroundTasks) -> Accepted[None]:
        return tasks.accepted(tasks.add_task(returning.nothing))

    @app.post("/anothers", status_code=202)
    async def anothers(tasks: BackgroundTasks) -> Accepted[None]:
        job: Job[None] = await postlude.add_task(returning.nothing)
        return tasks.accepted(job)

    postlude.install(app)
    async with (
        serving(postlude),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t", timeout=30) as client,
    ):
        yield client
        returning.GATE.set()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["wait=20"], 20),
        (["respond-async, wait=5"], 5),
        (["WAIT = 7"], 7),
        (['wait="9"'], 9),
        (["respond-async", "wait=3"], 3),
        (["wait=3, wait=8"], 3),
        (["wait=999999999"], waiting.LONGEST),
        (["wait=0"], 0),
        (["handling=lenient; wait=4"], 4),
        (["wait"], None),
        (["wait=-1"], None),
        (["wait=2.5"], None),
        (["wait=x"], None),
        (["await=3"], None),
        (["wait=" + "9" * 10_000], None),
        ([], None),
    ],
)
def test_what_is_preferred(headers: list[str], seconds: int | None) -> None:
    assert preferred_wait(headers) == seconds


async def test_it_answers_when_the_job_has_ended(client: httpx.AsyncClient, postlude: Postlude) -> None:
    job = await postlude.add_task(returning.waits)
    asked = asyncio.create_task(client.get(f"/jobs/{job.id}", headers={"Prefer": "wait=30"}))
    async for change in job.changes():
        if change.state == "running":
            assert not asked.done()
            returning.GATE.set()
    answer = await asyncio.wait_for(asked, 5)
    assert (answer.json()["state"], answer.json()["done"]) == ("succeeded", True)
    assert answer.headers["preference-applied"] == "wait=30"
    assert "retry-after" not in answer.headers
    again = await client.get(f"/jobs/{job.id}", headers={"Prefer": "wait=30"})
    assert again.json() == answer.json()


@pytest.mark.parametrize("seconds", [0, 0.05])
async def test_it_answers_when_the_time_is_over(
    client: httpx.AsyncClient, postlude: Postlude, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """In a test, a client may prefer less than a second."""
    monkeypatch.setattr(status, "preferred_wait", lambda headers: seconds)
    job = await postlude.add_task(returning.waits)
    since = time.monotonic()
    answer = await client.get(f"/jobs/{job.id}", headers={"Prefer": "wait=1"})
    assert time.monotonic() - since >= seconds
    assert (answer.json()["done"], answer.headers["retry-after"]) == (False, "1")
    monkeypatch.undo()
    assert "preference-applied" not in (await client.get(f"/jobs/{job.id}")).headers


async def test_it_answers_when_the_server_stops(
    client: httpx.AsyncClient, postlude: Postlude, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = socket.create_server(("127.0.0.1", 0))
    server = ServerSockets(stopping.getsockname())
    stopping.close()
    monkeypatch.setattr(waiting, "sockets_of", lambda scope: server)
    job = await postlude.add_task(returning.waits)
    answer = await asyncio.wait_for(client.get(f"/jobs/{job.id}", headers={"Prefer": "wait=60"}), 5)
    assert answer.json()["done"] is False


async def test_an_unknown_job_is_not_waited_for(client: httpx.AsyncClient) -> None:
    answer = await client.get("/jobs/0199b7c4-0000-7000-8000-000000000000", headers={"Prefer": "wait=60"})
    assert answer.status_code == 404


async def test_the_answer_202_tells_what_the_status_route_tells(client: httpx.AsyncClient) -> None:
    accepted = await client.post("/later")
    told = (await client.get(accepted.headers["location"])).json()
    assert accepted.json() == told
    assert (told["max_attempts"], told["next_run"] is None) == (4, False)
    assert told["links"]["self"] == accepted.headers["location"]


@pytest.mark.parametrize("path", ["/mine", "/anothers"])
async def test_also_of_a_job_that_starts_at_once(client: httpx.AsyncClient, path: str) -> None:
    accepted = (await client.post(path)).json()
    told = (await client.get(accepted["links"]["self"], headers={"Prefer": "wait=10"})).json()
    assert told["done"]
    assert accepted.keys() == told.keys()
    assert accepted["links"] == told["links"]
    made, stored = (_time(each["created"]) for each in (accepted, told))
    assert abs(made - stored) < timedelta(milliseconds=1), "of another request's, the id tells it"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
