"""`Postlude(owner=...)`: whose the jobs of a request are, asked once when they are stored."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    WebSocket,
)
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from postlude import Postlude, PostludeError
from postlude.errors import TaskDefinitionError
from postlude.model.job import JobFilter
from postlude.starlette import Route
from tests.app import returning
from tests.app.serving import serving

pytestmark = pytest.mark.anyio

Owner = Any
ASKED: list[str | None] = []


@pytest.fixture(autouse=True)
def asked() -> list[str | None]:
    ASKED.clear()
    return ASKED


def user(x_user: Annotated[str | None, Header()] = None) -> str | None:
    ASKED.append(x_user)
    return x_user


async def owners(postlude: Postlude) -> list[str | None]:
    """Return whose the jobs in the journal are, oldest first."""
    records = await postlude.components.store.page(JobFilter())
    return [record.owner for record in reversed(records)]


async def asking(app: Any, path: str = "/x", who: str | None = "ada") -> httpx.Response:
    transport = httpx.ASGITransport(app)
    headers = {} if who is None else {"x-user": who}
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        return await http.get(path, headers=headers)


def application(owner: Owner, location: str = "memory", jobs: int = 1) -> tuple[FastAPI, Postlude]:
    app = FastAPI()
    postlude = Postlude(app, store=location, owner=owner)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        for _ in range(jobs):
            tasks.add_task(returning.nothing)

    return app, postlude


async def test_all_jobs_of_a_request_and_it_is_asked_once(location: str, asked: list[str | None]) -> None:
    app, postlude = application(user, location, jobs=3)
    async with serving(postlude):
        assert (await asking(app)).status_code == 200
        assert (await owners(postlude), asked) == (["ada"] * 3, ["ada"])
        assert (await asking(app, who=None)).status_code == 200
        assert await owners(postlude) == ["ada"] * 3 + [None] * 3


async def test_a_request_without_jobs_asks_nobody(asked: list[str | None]) -> None:
    app, postlude = application(user, jobs=0)

    @app.get("/memory")
    async def memory(tasks: BackgroundTasks) -> None:
        tasks.add_task(lambda: None)

    async with serving(postlude):
        for path in ("/x", "/memory"):
            assert (await asking(app, path)).status_code == 200
    assert asked == []


async def fails_async(request: Request) -> str:
    raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})


def fails_sync() -> str:
    raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})


def fails_below(found: Annotated[str, Depends(fails_sync)]) -> str:
    return found


@pytest.mark.parametrize("owner", [fails_async, fails_sync, fails_below])
@pytest.mark.parametrize("streams", [False, True])
async def test_what_it_raises_is_the_answer_and_nothing_is_stored(owner: Owner, *, streams: bool) -> None:
    app, postlude = application(owner)

    @app.get("/stream")
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:
        tasks.add_task(returning.nothing)
        return StreamingResponse(iter(["a", "b"]))

    async with serving(postlude):
        answer = await asking(app, "/stream" if streams else "/x")
        assert (answer.status_code, answer.json()) == (401, {"detail": "Who are you?"})
        assert answer.headers["www-authenticate"] == "Bearer"
        assert await owners(postlude) == []


async def test_a_header_that_is_missing_is_422() -> None:
    def needs(x_user: Annotated[str, Header()]) -> str:
        return x_user

    app, postlude = application(needs)
    async with serving(postlude):
        assert (await asking(app, who=None)).status_code == 422
        assert (await asking(app)).status_code == 200
        assert await owners(postlude) == ["ada"]


CLOSED: list[str] = []


async def opens(found: Annotated[str, Depends(user)]) -> AsyncIterator[str]:
    yield f"<{found}>"
    CLOSED.append(found)


class Asks:
    async def __call__(self, connection: HTTPConnection) -> str:
        return f"<{connection.headers['x-user']}>"


@pytest.mark.parametrize(
    "owner",
    [opens, Asks(), Depends(opens), lambda request: f"<{request.headers['x-user']}>"],
    ids=["yields", "object", "Depends", "function of the request"],
)
async def test_what_it_may_be(owner: Owner) -> None:
    CLOSED.clear()
    app, postlude = application(owner)
    async with serving(postlude):
        assert (await asking(app)).status_code == 200
        assert await owners(postlude) == ["<ada>"]
    assert (["ada"] if "opens" in str(owner) else []) == CLOSED


async def test_it_can_be_overridden_as_dependencies_are() -> None:
    app, postlude = application(opens)
    app.dependency_overrides[user] = lambda: "eve"
    async with serving(postlude):
        await asking(app)
        assert await owners(postlude) == ["<eve>"]


def note() -> None:
    ASKED.append("noted")


async def test_background_tasks_of_its_own_run_at_once(asked: list[str | None]) -> None:
    def notes(tasks: BackgroundTasks, found: Annotated[str, Depends(user)]) -> str:
        tasks.add_task(note)
        return found

    app, postlude = application(notes)
    async with serving(postlude):
        assert (await asking(app)).status_code == 200
        assert (await owners(postlude), asked) == (["ada"], ["ada", "noted"])


async def test_a_route_of_an_included_router() -> None:
    app, postlude = application(opens)
    router = APIRouter(dependencies=[Depends(by_nothing)])

    @router.get("/of/{name}")
    async def endpoint(name: str, tasks: BackgroundTasks) -> None:
        tasks.add_task(returning.nothing)

    app.include_router(router, prefix="/in")
    async with serving(postlude):
        assert (await asking(app, "/in/of/bob")).status_code == 200
        assert await owners(postlude) == ["<ada>"]


async def test_it_sees_the_state_and_the_path_of_the_request() -> None:
    def of_path(request: Request) -> str:
        return f"{request.state.seen} {request.path_params['name']} {request.url.path} {request.method}"

    app, postlude = application(of_path)

    @app.get("/of/{name}")
    async def endpoint(name: str, request: Request, tasks: BackgroundTasks) -> None:
        request.state.seen = "seen"
        tasks.add_task(returning.nothing)

    async with serving(postlude):
        await asking(app, "/of/bob")
        assert await owners(postlude) == ["seen bob /of/bob GET"]


@pytest.mark.parametrize(
    ("given", "words"),
    [(7, "gave 7: give a text"), ("", "1 to 500"), ("x" * 501, "1 to 500"), ("\ud800", "surrogate")],
)
async def test_what_cannot_be_an_owner(given: Any, words: str) -> None:
    app, postlude = application(lambda request: given)
    async with serving(postlude):
        with pytest.raises(TypeError, match=words):
            await asking(app)
        assert await owners(postlude) == []


def test_what_is_refused_at_once() -> None:
    for wrong in ("ada", 7, str):
        with pytest.raises(PostludeError, match="give a function"):
            Postlude(store="memory", owner=wrong)  # type: ignore[arg-type]

    def of_body(name: Annotated[str, Body()]) -> str:
        return name

    with pytest.raises(PostludeError, match=r"'name' of .* is of the request's body"):
        Postlude(FastAPI(), store="memory", owner=of_body)


async def test_the_body_cannot_be_read_again() -> None:
    async def reads(request: Request) -> str:
        return (await request.body()).decode()

    app, postlude = application(reads)
    async with serving(postlude):
        with pytest.raises(PostludeError, match="the body has been read by then"):
            await asking(app)


async def test_a_call_and_a_task_can_say_it_themselves(location: str, asked: list[str | None]) -> None:
    app, postlude = application(user, location)
    task = postlude.task(returning.nothing, name="a")
    report = postlude.task(returning.report, name="b", owner="system")

    @app.get("/own")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(task)
        tasks.add_task(task.using(owner="bob"))
        tasks.add_task(task.using(owner=None))
        tasks.add_task(report, 1)
        tasks.add_task(report.using(owner="carol"), 1)
        tasks.add_task(report.using(owner=None), 1)
        tasks.add_task(task.using(priority=3))

    async with serving(postlude):
        assert (await asking(app, "/own")).status_code == 200
        assert await owners(postlude) == ["ada", "bob", None, "system", "carol", None, "ada"]


def test_an_owner_that_a_call_cannot_have() -> None:
    task = Postlude(store="memory").task(returning.nothing)
    wrong: Any
    for wrong in (7, "", "x" * 501):
        with pytest.raises(TaskDefinitionError, match="owner="):
            task.using(owner=wrong)


async def test_scripts_and_jobs_give_none(asked: list[str | None]) -> None:
    app, postlude = application(user)
    task = postlude.task(returning.nothing)

    @app.get("/parent")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(parent)

    @postlude.task
    async def parent() -> None:
        await postlude.add_task(task)

    async with serving(postlude):
        await postlude.add_task(task)
        await postlude.add_task(task.using(owner="bob"))
        assert (await asking(app, "/parent")).status_code == 200
        await (await postlude.job((await postlude.inspector.page(task=parent.name))[0].id)).result(10)
        assert await owners(postlude) == [None, "bob", "ada", None]
    assert asked == ["ada"]


@pytest.mark.parametrize("answers", [True, False])
async def test_what_is_stored_although_the_request_fails(*, answers: bool) -> None:
    app, postlude = application(user if answers else fails_sync)
    audit = postlude.task(returning.nothing, on_failure=True)

    @app.get("/fails")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(audit)
        raise HTTPException(418)

    async with serving(postlude):
        assert (await asking(app, "/fails")).status_code == 418
        assert await owners(postlude) == (["ada"] if answers else [None])


async def test_what_an_exception_handler_answers_with() -> None:
    app, postlude = application(user)

    @app.exception_handler(KeyError)
    async def handler(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, 409, background=BackgroundTask(returning.nothing))

    @app.get("/raises")
    async def endpoint() -> None:
        raise KeyError

    async with serving(postlude):
        assert (await asking(app, "/raises")).status_code == 409
        assert await owners(postlude) == ["ada"]


async def test_what_the_outermost_handler_answers_with() -> None:
    app, postlude = application(user)

    @app.exception_handler(Exception)
    async def handler(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, 500, background=BackgroundTask(returning.nothing))

    @app.middleware("http")
    async def breaks(request: Request, call_next: Any) -> None:
        raise KeyError

    async with serving(postlude):
        with pytest.raises(KeyError):
            await asking(app)
        assert await owners(postlude) == ["ada"]


async def test_what_is_added_after_the_response_has_the_same_owner(asked: list[str | None]) -> None:
    app, postlude = application(user)

    @app.get("/late")
    async def endpoint(tasks: BackgroundTasks) -> StreamingResponse:
        def body() -> Iterator[str]:
            yield "a"
            tasks.add_task(returning.nothing)

        tasks.add_task(returning.nothing)
        return StreamingResponse(body())

    async with serving(postlude):
        assert (await asking(app, "/late")).status_code == 200
        assert (await owners(postlude), asked) == (["ada", "ada"], ["ada"])


async def test_what_it_raises_after_the_response_is_told_to_the_server() -> None:
    app, postlude = application(fails_sync)

    @app.get("/late")
    async def endpoint(tasks: BackgroundTasks) -> StreamingResponse:
        def body() -> Iterator[str]:
            yield "a"
            tasks.add_task(returning.nothing)

        return StreamingResponse(body())

    async with serving(postlude):
        with pytest.raises(RuntimeError, match="response already started") as raised:
            await asking(app, "/late")
        assert isinstance(raised.value.__cause__, HTTPException)
        assert await owners(postlude) == []


def test_a_websocket_session() -> None:
    app = FastAPI()
    postlude = Postlude(app, store="memory", owner=user)
    found: list[str | None] = []

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket, tasks: BackgroundTasks) -> None:
        await websocket.accept()
        tasks.add_task(returning.nothing)
        await websocket.close()

    @app.get("/owners")
    async def look() -> list[str | None]:
        return await owners(postlude)

    with TestClient(app) as client:
        with client.websocket_connect("/ws", headers={"x-user": "ada"}):
            pass
        found = client.get("/owners").json()
    assert found == ["ada"]


def by_request(request: Any) -> str:
    return str(request.headers["x-user"])


def by_nothing() -> str:
    return "ada"


@pytest.mark.parametrize("owner", [by_request, by_nothing, lambda request: request.headers["x-user"]])
async def test_starlette(owner: Callable[..., Any]) -> None:
    async def endpoint(request: Any) -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(returning.nothing))

    app = Starlette(routes=[Route("/x", endpoint)])
    postlude = Postlude(app, store="memory", owner=owner)
    async with serving(postlude):
        assert (await asking(app)).status_code == 200
        assert await owners(postlude) == ["ada"]


async def test_a_postlude_that_is_off_asks_nobody(asked: list[str | None]) -> None:
    app, _ = application(user, "off")
    assert (await asking(app)).status_code == 200
    assert asked == []
