"""The state of a job as server-sent events."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.types import Message

from postlude import Postlude
from postlude.web import events
from tests.app import returning
from tests.app.serving import eventually, serving

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
UNKNOWN = "0199b7c4-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def batching() -> Iterator[None]:
    returning.GATE.clear()
    yield
    returning.GATE.set()


@pytest.fixture
def postlude() -> Postlude:
    return Postlude(store="memory", packages=["tests"])


@pytest.fixture
def app(postlude: Postlude) -> FastAPI:
    app = FastAPI()
    app.include_router(postlude.router(prefix="/jobs"))
    postlude.install(app)
    return app


class Reader:
    """A client that reads a stream as it comes, and may go."""

    def __init__(self, app: FastAPI, path: str, **headers: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""
        self.over = False
        self.gone = asyncio.Event()
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
            "method": "GET", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
            "scheme": "http", "client": ("127.0.0.1", 1), "server": ("test", 80), "state": {},
        }  # fmt: skip
        self.call = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if not self.over and self.status == 0:
            self.over = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()

    @property
    def events(self) -> list[dict[str, str]]:
        blocks = [block for block in self.text.split("\n\n") if block.startswith("id")]
        return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]

    @property
    def states(self) -> list[str]:
        return [json.loads(event["data"])["state"] for event in self.events]


@asynccontextmanager
async def reading(app: FastAPI, path: str, **headers: str) -> AsyncIterator[Reader]:
    reader = Reader(app, path, **headers)
    try:
        yield reader
    finally:
        reader.gone.set()
        await asyncio.wait_for(reader.call, 5)


async def when(condition: bool) -> bool | None:
    return condition or None


async def test_it_tells_each_state_and_ends_with_the_job(app: FastAPI, postlude: Postlude) -> None:
    async with serving(postlude):
        job = await postlude.add_task(returning.waits, 3)
        async with reading(app, f"/jobs/{job.id}/events") as reader:
            await eventually(lambda: when('"current":3.0' in reader.text))
            returning.GATE.set()
            await asyncio.wait_for(asyncio.shield(reader.call), 5)
        assert reader.status == 200
        assert reader.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (reader.headers["cache-control"], reader.headers["x-accel-buffering"]) == ("no-store", "no")
        assert set(reader.states[:-1]) <= {"queued", "running"}
        assert reader.text.startswith("retry: 2000\n\nid: ")
        assert all(event.keys() == {"id", "data"} for event in reader.events), "`onmessage` hears all"
        told = [json.loads(event["data"])["done"] for event in reader.events]
        assert told == [False] * (len(told) - 1) + [True]
        last = json.loads(reader.events[-1]["data"])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            assert last == (await client.get(f"/jobs/{job.id}")).json(), "the same as the route's"
            assert last["links"]["events"] == f"/jobs/{job.id}/events"
            assert (last["state"], last["result"], last["progress"]["current"]) == ("succeeded", "done", 3)
            seen = {"last-event-id": reader.events[-1]["id"]}
            again = await client.get(f"/jobs/{job.id}/events", headers=seen)
            assert (again.status_code, again.content) == (204, b"")
            missed = await client.get(f"/jobs/{job.id}/events", headers={"last-event-id": "1.running"})
            assert missed.status_code == 200
            assert missed.text.count('"done":true') == 1


async def test_it_comes_as_it_happens(app: FastAPI, postlude: Postlude) -> None:
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        async with reading(app, f"/jobs/{job.id}/events") as reader:
            await eventually(lambda: when(reader.states == ["running"]))
            started = time.monotonic()
            returning.GATE.set()
            await eventually(lambda: when(reader.states[-1] == "succeeded"))
            assert time.monotonic() - started < 2, "sooner than it would have looked by itself"


async def test_silence_has_a_heart_beat(
    app: FastAPI, postlude: Postlude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.04)
    monkeypatch.setattr(events, "TICK", 0.01)
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        async with reading(app, f"/jobs/{job.id}/events") as reader:
            await eventually(lambda: when(reader.text.count(":\n\n") >= 2))
        returning.GATE.set()
    assert reader.states == ["running"]


async def test_a_reader_that_goes_is_forgotten_at_once(app: FastAPI, postlude: Postlude) -> None:
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        async with reading(app, f"/jobs/{job.id}/events") as reader:
            await eventually(lambda: when(bool(reader.states)))
            assert postlude.components.hub.watched
            reader.gone.set()
            await asyncio.wait_for(asyncio.shield(reader.call), 5)
            assert not postlude.components.hub.watched
        returning.GATE.set()


@pytest.mark.parametrize("id", [UNKNOWN, "nonsense"])
async def test_an_unknown_job(app: FastAPI, postlude: Postlude, id: str) -> None:
    async with (
        serving(postlude),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        assert (await client.get(f"/jobs/{id}/events")).status_code == 404


async def test_dependencies_guard_it(postlude: Postlude) -> None:
    def nobody() -> None:
        raise HTTPException(401)

    app = FastAPI()
    app.include_router(postlude.router(prefix="/jobs", dependencies=[Depends(nobody)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
            assert (await client.request(method, f"/jobs/{UNKNOWN}{path}")).status_code == 401


async def test_openapi_documents_it(app: FastAPI) -> None:
    responses = app.openapi()["paths"]["/jobs/{id}/events"]["get"]["responses"]
    assert {"200", "204", "404", "503"} <= responses.keys()
    assert "text/event-stream" in responses["200"]["content"]


SERVER = """
import asyncio, sys
import uvicorn
from fastapi import FastAPI
from postlude import Postlude
from tests.app import returning

app = FastAPI()
postlude = Postlude(app, store="memory", packages=["tests"])
app.include_router(postlude.router(prefix="/jobs"))

@app.post("/later")
async def later() -> str:
    return (await postlude.add_task(task.using(delay=3600))).id

task = postlude.task(returning.nothing)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@pytest.mark.process
async def test_an_open_stream_does_not_keep_uvicorn_from_stopping() -> None:
    """uvicorn waits for open connections before it ends the lifespan; a stream may last for days."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def add() -> str | None:
                try:
                    return str((await client.post("/later")).json())
                except httpx.ConnectError:
                    return None

            id = await eventually(add, 30)
            async with client.stream("GET", f"/jobs/{id}/events", timeout=30) as stream:
                lines = stream.aiter_lines()
                while not (await anext(lines)).startswith("data:"):
                    pass
                server.send_signal(signal.SIGTERM)
                started = time.monotonic()
                assert [line async for line in lines if line] == []
        await asyncio.to_thread(server.wait, 10)
        assert time.monotonic() - started < 5
    finally:
        server.kill()
        server.wait()
