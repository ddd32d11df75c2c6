"""A Starlette application without FastAPI: what `make versions` runs on each Starlette."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as Plain
from starlette.testclient import TestClient

from postlude import BackgroundTask, BackgroundTasks, Postlude
from postlude.model.job import JobFilter
from postlude.starlette import Route

RAN: list[str] = []


async def note(text: str) -> None:
    RAN.append(text)


def note_sync(text: str) -> None:
    RAN.append(text)


async def task(request: Request) -> Response:
    return Response(background=BackgroundTask(note, "a"))


def sync(request: Request) -> Response:
    tasks = BackgroundTasks()
    tasks.add_task(note_sync, "a")
    tasks.add_task(note, "b")
    return JSONResponse({}, background=tasks)


async def raises(request: Request) -> Response:
    BackgroundTask(note, "a")
    raise HTTPException(418)


class Endpoint(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return Response(background=BackgroundTask(note, "a"))


def routes() -> list[Route]:
    return [Route("/task", task), Route("/sync", sync), Route("/raises", raises), Route("/class", Endpoint)]


@pytest.fixture(scope="module")
def postlude() -> Postlude:
    return Postlude(store="memory")


@pytest.fixture(scope="module")
def client(postlude: Postlude) -> Iterator[TestClient]:
    mounted = Mount("/mounted", routes=routes())
    app = Starlette(
        routes=[*routes(), mounted, Mount("/sub", Starlette(routes=routes())), Plain("/plain", task)]
    )
    postlude.install(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("place", ["", "/mounted", "/sub"])
@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [("task", 200, ["a"]), ("sync", 200, ["a", "b"]), ("raises", 418, []), ("class", 200, ["a"])],
)
def test_route(
    place: str, path: str, status: int, expected: list[str], client: TestClient, postlude: Postlude
) -> None:
    async def count() -> int:
        return len(await postlude.components.store.page(JobFilter(limit=10_000)))

    assert client.portal is not None
    before = client.portal.call(count)
    RAN.clear()
    assert client.get(f"{place}/{path}").status_code == status
    assert expected == RAN
    assert client.portal.call(count) - before == len(expected)


def test_a_plain_route_runs_in_memory(client: TestClient) -> None:
    RAN.clear()
    assert client.get("/plain").status_code == 200
    assert RAN == ["a"]
