"""One application with every kind of route, on a real lifespan: what `make versions` runs on each FastAPI."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic, sleep
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from postlude import Postlude
from postlude.fastapi import Accepted
from postlude.fastapi import BackgroundTasks as Ours
from postlude.model.job import JobFilter

RAN: list[str] = []


async def note(text: str) -> None:
    RAN.append(text)


def note_sync(text: str) -> None:
    RAN.append(text)


def get_name() -> Iterator[str]:
    yield "filled"


async def filled(text: str, name: str = Depends(get_name)) -> None:
    RAN.append(f"{text} {name}")


class Answer(BaseModel):
    number: int


async def adds(tasks: BackgroundTasks) -> AsyncIterator[None]:
    tasks.add_task(note, "from a dependency")
    yield


def furnish(router: FastAPI | APIRouter, prefix: str = "") -> None:
    """Give a router, or an application, a route of each kind."""
    add_plain_routes(router, prefix)
    add_special_routes(router, prefix)


def add_plain_routes(router: FastAPI | APIRouter, prefix: str) -> None:

    @router.get(f"{prefix}/task")
    async def task(tasks: BackgroundTasks) -> str:
        tasks.add_task(note, "a")
        return "ok"

    @router.get(f"{prefix}/sync")
    def sync(tasks: BackgroundTasks) -> str:
        tasks.add_task(note_sync, "a")
        tasks.add_task(note, "b")
        return "ok"

    @router.get(f"{prefix}/model", response_model=Answer)
    async def model(tasks: BackgroundTasks, number: str = "1") -> Any:
        tasks.add_task(note, "a")
        return {"number": number}

    @router.get(f"{prefix}/raises")
    async def raises(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")
        raise HTTPException(418)

    @router.get(f"{prefix}/own")
    async def own(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "a")
        mine = BackgroundTasks()
        mine.add_task(note, "b")
        return JSONResponse({}, background=mine)


def add_special_routes(router: FastAPI | APIRouter, prefix: str) -> None:
    @router.get(f"{prefix}/dependency", dependencies=[Depends(adds)])
    async def dependency(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    @router.get(f"{prefix}/stream")
    async def stream(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "a")
        return StreamingResponse(iter(["1", "2"]))

    @router.get(f"{prefix}/memory")
    async def memory(tasks: BackgroundTasks) -> None:
        tasks.add_task(partial(RAN.append, "in memory"))

    @router.post(f"{prefix}/accepted", status_code=202)
    async def accepted(tasks: Ours) -> Accepted[None]:
        return tasks.accepted(tasks.add_task(filled, "a"))

    @router.websocket(f"{prefix}/session")
    async def session(websocket: WebSocket, tasks: BackgroundTasks) -> None:
        await websocket.accept()
        tasks.add_task(note, "a")
        await websocket.close()


PLACES = ("", "/included", "/nested/deep", "/mounted", "/sub", "/late", "/late-router", "/after/start")


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
    yield {"of": "the lifespan"}


@pytest.fixture(scope="module")
def postlude() -> Postlude:
    return Postlude(store="memory")


@pytest.fixture(scope="module")
def client(postlude: Postlude) -> Iterator[TestClient]:
    """The application, started; each place was made at another time."""
    app, included, nested, deep = FastAPI(lifespan=lifespan), APIRouter(), APIRouter(), APIRouter()
    mounted, sub, late = APIRouter(), FastAPI(), APIRouter()
    for router in (app, included, deep, mounted, sub):
        furnish(router)
    nested.include_router(deep, prefix="/deep")
    app.include_router(included, prefix="/included")
    app.include_router(nested, prefix="/nested")
    app.mount("/mounted", mounted)
    app.mount("/sub", sub)
    assert app.openapi()["paths"]
    postlude.task(filled)
    postlude.install(app)
    furnish(app, "/late")
    furnish(late)
    app.include_router(late, prefix="/late-router")
    app.include_router(postlude.router(prefix="/jobs"))
    with TestClient(app, raise_server_exceptions=False) as client:
        after = APIRouter()
        furnish(after, "/start")
        app.include_router(after, prefix="/after")
        yield client


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    RAN.clear()
    return RAN


def stored(client: TestClient, postlude: Postlude) -> int:
    async def count() -> int:
        return len(await postlude.components.store.page(JobFilter(limit=10_000)))

    assert client.portal is not None
    return client.portal.call(count)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("path", "status", "expected", "jobs"),
    [
        ("task", 200, ["a"], 1),
        ("sync", 200, ["a", "b"], 2),
        ("model", 200, ["a"], 1),
        ("model?number=x", 500, [], 0),
        ("raises", 418, [], 0),
        ("own", 200, ["a", "b"], 2),
        ("dependency", 200, ["from a dependency", "a"], 2),
        ("stream", 200, ["a"], 1),
        ("memory", 200, ["in memory"], 0),
    ],
)
def test_route(
    place: str,
    path: str,
    status: int,
    expected: list[str],
    jobs: int,
    client: TestClient,
    postlude: Postlude,
) -> None:
    before = stored(client, postlude)
    assert client.get(f"{place}/{path}").status_code == status
    assert expected == RAN
    assert stored(client, postlude) - before == jobs


@pytest.mark.parametrize("place", PLACES)
def test_session(place: str, client: TestClient, postlude: Postlude) -> None:
    before = stored(client, postlude)
    with client.websocket_connect(f"{place}/session") as session:
        assert session.receive()["type"] == "websocket.close"
    # Starlette's client waits for the end of a session since 0.40.
    deadline = monotonic() + 10
    while not RAN and monotonic() < deadline:
        sleep(0.01)
    assert RAN == ["a"]
    assert stored(client, postlude) - before == 1


@pytest.mark.parametrize("place", PLACES)
def test_accepted_with_dependencies(place: str, client: TestClient) -> None:
    answer = client.post(f"{place}/accepted")
    assert answer.status_code == 202
    assert RAN == ["a filled"]
    assert client.get(answer.headers["location"]).json()["state"] == "succeeded"
