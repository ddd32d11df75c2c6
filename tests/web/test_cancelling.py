"""Cancelling a job over HTTP."""

import asyncio
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from postlude import JournalUnavailable, Postlude
from postlude.stores.memory import MemoryStore
from tests.app import returning

UNKNOWN = "0199b7c4-0000-7000-8000-000000000000"


@pytest.fixture
def postlude() -> Postlude:
    return Postlude(store="memory", packages=["tests"])


@pytest.fixture
def client(postlude: Postlude) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(postlude.router(prefix="/jobs"))

    @app.post("/waits")
    async def waits() -> str:
        return (await postlude.add_task(returning.waits)).id

    @app.post("/later")
    async def later() -> str:
        task = postlude.task(returning.nothing)
        return (await postlude.add_task(task.using(delay=3600))).id

    postlude.install(app)
    returning.GATE.clear()
    with TestClient(app) as client:
        yield client
        returning.GATE.set()


def test_a_job_that_waits_is_cancelled(client: TestClient) -> None:
    id = client.post("/later").json()
    answer = client.post(f"/jobs/{id}/cancel")
    assert (answer.status_code, answer.json()["state"], answer.json()["done"]) == (200, "cancelled", True)
    assert answer.headers["cache-control"] == "no-store"
    assert client.get(f"/jobs/{id}").json() == answer.json()
    assert answer.json()["links"]["cancel"] == f"/jobs/{id}/cancel"


def test_a_job_that_runs_is_asked_to_stop(client: TestClient, postlude: Postlude) -> None:
    id = client.post("/waits").json()
    answer = client.post(f"/jobs/{id}/cancel")
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert (answer.json()["state"], answer.json()["cancel_requested"]) == ("running", True)

    async def ends() -> str:
        job = await postlude.job(id)
        async with asyncio.timeout(10):
            return [snapshot.state async for snapshot in job.changes()][-1]

    assert asyncio.run(ends()) == "cancelled"


def test_a_job_that_has_ended(client: TestClient) -> None:
    id = client.post("/later").json()
    client.post(f"/jobs/{id}/cancel")
    answer = client.post(f"/jobs/{id}/cancel")
    assert (answer.status_code, answer.headers["cache-control"]) == (409, "no-store")


@pytest.mark.parametrize("id", [UNKNOWN, "nonsense"])
def test_an_unknown_job(client: TestClient, id: str) -> None:
    assert client.post(f"/jobs/{id}/cancel").status_code == 404


def test_the_journal_cannot_be_written(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise JournalUnavailable("the disk is gone")

    id = client.post("/later").json()
    monkeypatch.setattr(MemoryStore, "cancel", refuse)
    answer = client.post(f"/jobs/{id}/cancel")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "disk" not in answer.text


def test_openapi_documents_it(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/jobs/{id}/cancel"]["post"]
    assert {"200", "202", "404", "409", "503"} <= operation["responses"].keys()
