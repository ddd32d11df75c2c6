"""The 202: its body, its headers, and where they point."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.testclient import TestClient
from pydantic import BaseModel

from postlude.fastapi import Accepted, BackgroundTasks
from tests.request.asgi import call, header
from tests.request.calls import note
from tests.request.conftest import Install

pytestmark = pytest.mark.anyio


class Report(BaseModel):
    """What the task of these tests returns."""

    orders: int


async def report(text: str) -> Report:
    await note(text)
    return Report(orders=1)


def imports(target: FastAPI | APIRouter) -> None:
    @target.post("/imports", status_code=202)
    async def start(tasks: BackgroundTasks) -> Accepted[Report]:
        return tasks.accepted(tasks.add_task(report, "a"))


def status_router() -> APIRouter:
    router = APIRouter()

    @router.get("/{id}", name="postlude:job")
    async def job(id: str) -> str:
        return id

    return router


def test_body_and_headers(install: Install) -> None:
    app = FastAPI()
    imports(app)
    app.include_router(status_router(), prefix="/jobs")
    install(app)
    client = TestClient(app)
    answer = client.post("/imports")
    body = answer.json()
    assert answer.status_code == 202
    assert (body["state"], body["done"], body["attempt"], body["result"]) == ("queued", False, 1, None)
    assert body["links"] == {"self": f"/jobs/{body['id']}", "events": None, "cancel": None}
    assert answer.headers["location"] == f"/jobs/{body['id']}"
    assert answer.headers["retry-after"] == "1"
    assert client.get(answer.headers["location"]).json() == body["id"]


@pytest.mark.parametrize(
    ("route", "jobs", "asked", "wanted"),
    [
        ("/t/{tenant}", "/t/{tenant}/jobs", "/t/acme", "/t/acme/jobs/"),
        ("/t/{tenant}", "/t/{tenant}/jobs", "/t/%C3%A4%20b", "/t/%C3%A4%20b/jobs/"),
        ("/t/{tenant:int}/{id}/{format}", "/t/{tenant:int}/jobs", "/t/7/x/csv", "/t/7/jobs/"),
        ("/t/{tenant}", "/jobs", "/t/acme", "/jobs/"),
        ("/t/{tenant}", "/u/{user}/jobs", "/t/acme", None),
        ("/t/{tenant}", "/t/{tenant:int}/jobs", "/t/acme", None),
    ],
)
async def test_the_status_route_has_the_parameters_of_the_requests_prefix(
    install: Install, log: list[str], route: str, jobs: str, asked: str, wanted: str | None
) -> None:
    app, router = FastAPI(), APIRouter()
    imports(router)
    app.include_router(router, prefix=route)
    app.include_router(status_router(), prefix=jobs)
    install(app)
    with TestClient(app) as client:
        answer = client.post(f"{asked}/imports")
        assert answer.status_code == 202
        location = answer.headers.get("location")
        assert location == (None if wanted is None else wanted + answer.json()["id"])
        if location is not None:
            assert client.get(location).json() == answer.json()["id"]


def test_without_the_status_route_there_is_no_location(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    imports(app)
    install(app)
    for _ in range(2):
        answer = TestClient(app).post("/imports")
        assert "location" not in answer.headers
        assert answer.headers["retry-after"] == "1"
    assert caplog.text.count("app.include_router(postlude.router(") == 1


@pytest.mark.parametrize("with_route", [False, True])
def test_a_location_of_the_handlers_own_is_kept(
    install: Install, caplog: pytest.LogCaptureFixture, with_route: bool
) -> None:
    app = FastAPI()

    @app.post("/imports", status_code=202)
    async def start(tasks: BackgroundTasks, response: Response) -> Accepted[Report]:
        response.headers["Location"] = "/mine"
        return tasks.accepted(tasks.add_task(report, "a"))

    if with_route:
        app.include_router(status_router(), prefix="/jobs")
    install(app)
    assert TestClient(app).post("/imports").headers.get_list("location") == ["/mine"]
    assert "status route" not in caplog.text


async def test_root_path_prefixes_and_mounts(install: Install, log: list[str]) -> None:
    app, sub, router = FastAPI(), FastAPI(), APIRouter()
    imports(sub)
    imports(router)
    sub.include_router(status_router(), prefix="/jobs")
    app.include_router(router, prefix="/api")
    app.include_router(status_router(), prefix="/api/jobs")
    app.mount("/sub", sub)
    install(app)
    for path, expected in (("/api/imports", "/api/jobs/"), ("/sub/imports", "/sub/jobs/")):
        location = header(await call(app, path, "POST", log=log), "location")
        assert location is not None
        assert location.startswith(expected)
        location = header(await call(app, path, "POST", log=log, root_path="/behind"), "location")
        assert location is not None
        assert location.startswith(f"/behind{expected}")


async def test_a_mounted_application_uses_the_status_route_of_the_outer_one(
    install: Install, log: list[str]
) -> None:
    app, sub = FastAPI(), FastAPI()
    imports(sub)
    app.include_router(status_router(), prefix="/jobs")
    app.mount("/sub", sub)
    install(app)
    location = header(await call(app, "/sub/imports", "POST", log=log, root_path="/behind"), "location")
    assert location is not None
    assert location.startswith("/behind/jobs/")


async def test_a_mounted_router_uses_the_status_route_of_the_application_around_it(
    install: Install, log: list[str]
) -> None:
    app, router = FastAPI(), APIRouter()
    imports(router)
    app.include_router(status_router(), prefix="/jobs")
    app.mount("/sub", router)
    install(app)
    location = header(await call(app, "/sub/imports", "POST", log=log, root_path="/behind"), "location")
    assert location is not None
    assert location.startswith("/behind/jobs/")


async def test_what_is_no_job_is_refused_on_its_line(install: Install, log: list[str]) -> None:
    app = FastAPI()
    told: list[str] = []

    @app.post("/imports", status_code=202)
    async def start(tasks: BackgroundTasks) -> None:
        nothing: Any = None
        tasks.add_task(note, "a")
        with pytest.raises(TypeError) as refused:
            tasks.accepted(nothing)
        told.append(str(refused.value))

    install(app)
    await call(app, "/imports", "POST", log=log)
    assert told == [
        "tasks.accepted(None): give the Job that add_task has returned; "
        "FastAPI's own BackgroundTasks returns none: import it from postlude.fastapi"
    ]


def test_the_schema_knows_the_result() -> None:
    app = FastAPI()
    imports(app)
    schemas: dict[str, Any] = app.openapi()["components"]["schemas"]
    assert "Report" in schemas
    accepted = next(schema for name, schema in schemas.items() if name.startswith("JobView"))
    assert accepted["properties"]["result"]["anyOf"][0] == {"$ref": "#/components/schemas/Report"}
