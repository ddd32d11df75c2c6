"""Postlude switched off: FastAPI as it is, and routes that were written for Postlude go on working."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.background import BackgroundTask as StarletteTask
from starlette.requests import Request
from starlette.testclient import TestClient as StarletteClient

import postlude.request.background
import postlude.starlette
from postlude import Postlude, TaskDefinitionError
from postlude.fastapi import Accepted
from postlude.fastapi import BackgroundTasks as Ours
from postlude.frameworks.fastapi import canary as fastapi_canary
from postlude.frameworks.fastapi import hook as fastapi_hook
from tests.request.asgi import call, header, status
from tests.request.calls import LOG, note, note_object, note_sync
from tests.request.routes import KINDS, Router, ran

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("newly_installed")]


def get_noted() -> str:
    return "real"


async def noted(order: int, session: Any = Depends(get_noted)) -> int:
    LOG.append(f"noted {order} {session}")
    return order


Switch = Callable[[Any], Postlude]


@pytest.fixture(params=["argument", "variable"])
def off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Switch:
    """Give an application a Postlude that is off, in each of the two ways."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    if request.param == "argument":
        return lambda app: Postlude(app, store="off")
    monkeypatch.setenv("POSTLUDE_STORE", "off")
    return lambda app: Postlude(app, store="sqlite:///jobs.db")


@pytest.mark.parametrize("kind", KINDS)
async def test_the_native_parameter_is_fastapis_own(kind: Any, off: Switch, log: list[str]) -> None:
    kinds: list[type] = []

    def add(router: Router) -> None:
        @router.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            kinds.append(type(tasks))
            given: Any = tasks.add_task(note_object, object())  # type: ignore[func-returns-value]
            assert given is None

    app, path = kind(add, off)
    assert status(await call(app, path, log=log)) == 200
    assert kinds == [BackgroundTasks]
    assert log == ["start", "body", "ran in memory"]


async def test_a_failing_task_drops_later_ones_and_reaches_the_server(off: Switch, log: list[str]) -> None:
    app = FastAPI()
    off(app)

    async def bad() -> None:
        raise ZeroDivisionError

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(bad)
        tasks.add_task(note, "later")

    with pytest.raises(ZeroDivisionError):
        await call(app, "/x", log=log)
    assert ran(log) == []


async def test_a_response_with_its_own_background_drops_what_was_injected(
    off: Switch, log: list[str]
) -> None:
    app = FastAPI()
    off(app)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(note, "injected")
        return JSONResponse({}, background=StarletteTask(note, "own"))

    await call(app, "/x", log=log)
    assert ran(log) == ["ran own"]


@pytest.mark.parametrize("kind", KINDS)
async def test_postludes_parameter_gives_handles(kind: Any, off: Switch, log: list[str]) -> None:
    given: list[Any] = []

    async def dependency(tasks: BackgroundTasks) -> None:
        given.append(tasks)

    def add(router: Router) -> None:
        @router.post("/x", status_code=202, dependencies=[Depends(dependency)])
        async def endpoint(tasks: Ours) -> Accepted[None]:
            given.append(tasks)
            tasks.add_task(note_object, object())
            tasks.add_task(lambda: log.append("ran lambda"))
            return tasks.accepted(tasks.add_task(note, "a"))

    app, path = kind(add, off)
    sent = await call(app, path, "POST", log=log)
    assert status(sent) == 202
    assert header(sent, "retry-after") == "1"
    assert given[0] is given[1]
    assert isinstance(given[0], (BackgroundTasks, Ours))
    assert log == ["start", "body", "ran in memory", "ran lambda", "ran a"]


def test_a_handle_leads_to_a_404(off: Switch, log: list[str]) -> None:
    app = FastAPI()
    postlude = off(app)

    @postlude.task(queue="mail")
    async def declared(text: str) -> None:
        log.append(f"ran {text}")

    @app.post("/x", status_code=202)
    async def endpoint(tasks: Ours) -> Accepted[None]:
        return tasks.accepted(tasks.add_task(declared, "a"))

    app.include_router(postlude.router(prefix="/jobs"))
    with TestClient(app) as client:
        answer = client.post("/x")
        body = answer.json()
        assert (body["state"], body["done"], body["result"]) == ("queued", False, None)
        assert answer.headers["location"] == f"/jobs/{UUID(body['id'])}"
        assert client.get(answer.headers["location"]).status_code == 404
    assert log == ["ran a"]


async def test_what_comes_from_outside_of_requests_runs_at_once(
    off: Switch, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    postlude = off(None)
    job = await postlude.add_task(note, "a")
    assert (ran(log), job.task, len(job.id)) == (["ran a"], "tests.request.calls:note", 36)

    def broken() -> None:
        raise ZeroDivisionError

    declared = postlude.task(note_sync)
    jobs = await postlude.add_tasks([broken, declared.call("b")])
    assert [job.task for job in jobs] == [
        "tests.request.test_off:test_what_comes_from_outside_of_requests_runs_at_once.<locals>.broken",
        "tests.request.calls:note_sync",
    ]
    assert ran(log) == ["ran a", "ran b"]
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(RuntimeError, match="await postlude"):
        postlude.blocking.add_task(note, "c")


def test_blocking_runs_at_once(off: Switch, log: list[str]) -> None:
    postlude = off(None)
    postlude.blocking.add_task(note, "a")
    postlude.blocking.add_task(note_sync, "b")
    assert log == ["ran a", "ran b"]


class Session:
    """Says whose it is."""

    def __init__(self, request: Request) -> None:
        self.name = f"session of {request.app.title}, {request.state.pool}"


async def get_session(request: Request) -> AsyncIterator[Session]:
    session = Session(request)
    LOG.append("open")
    try:
        yield session
    except ValueError:
        LOG.append("rollback")
        raise
    else:
        LOG.append("commit")


def get_name(session: Annotated[Session, Depends(get_session)]) -> str:
    return session.name


@asynccontextmanager
async def with_pool(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"pool": "the pool"}


class TestDepends:
    """A declared task gets what `Depends` fills, in memory; nothing else is done for it."""

    @pytest.fixture
    def app(self) -> FastAPI:
        return FastAPI(title="shop", lifespan=with_pool)

    def test_outside_of_requests_it_sees_the_lifespan_s_state(
        self, app: FastAPI, off: Switch, log: list[str]
    ) -> None:
        postlude = off(app)

        @postlude.task
        async def settles(name: str = Depends(get_name)) -> None:
            log.append(f"settles with {name}")

        with TestClient(app):
            postlude.blocking.add_task(settles)
        assert log == ["open", "settles with session of shop, the pool", "commit"]

    @pytest.mark.parametrize("parameter", [BackgroundTasks, Ours], ids=["native", "Postlude's"])
    @pytest.mark.parametrize("is_async", [True, False])
    def test_of_a_request(
        self, app: FastAPI, off: Switch, log: list[str], parameter: type, is_async: bool
    ) -> None:
        postlude = off(app)

        @postlude.task
        async def settles(
            session: Annotated[Session, Depends(get_session)], order: int, name: str = Depends(get_name)
        ) -> None:
            log.append(f"settles {order} with {name}")

        @postlude.task
        def settles_in_thread(order: int, name: str = Depends(get_name)) -> None:
            log.append(f"settles {order} with {name}")

        task: Any = settles if is_async else settles_in_thread

        @app.post("/x")
        async def endpoint(tasks: parameter) -> None:  # type: ignore[valid-type]
            tasks.add_task(task, 7)  # type: ignore[attr-defined]
            tasks.add_task(partial(task, order=8))  # type: ignore[attr-defined]

        with TestClient(app) as client:
            assert client.post("/x").status_code == 200
        first, second = (f"settles {order} with session of shop, the pool" for order in (7, 8))
        assert log == ["open", first, "commit", "open", second, "commit"]

    def test_a_failure_is_rolled_back_and_reaches_the_server(
        self, app: FastAPI, off: Switch, log: list[str]
    ) -> None:
        postlude = off(app)

        @postlude.task
        async def settles(session: Session = Depends(get_session)) -> None:
            raise ValueError("no")

        @app.post("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(settles)

        with TestClient(app) as client, pytest.raises(ValueError, match="no"):
            client.post("/x")
        assert log == ["open", "rollback"]

    @pytest.mark.parametrize("is_async", [True, False])
    def test_what_the_call_passes_itself_is_left(
        self, app: FastAPI, off: Switch, log: list[str], is_async: bool
    ) -> None:
        postlude = off(app)

        @postlude.task
        async def says(order: int, name: str = Depends(get_name)) -> None:
            log.append(f"{order} {name}")

        @postlude.task
        def says_in_thread(order: int, name: str = Depends(get_name)) -> None:
            log.append(f"{order} {name}")

        task: Any = says if is_async else says_in_thread

        @app.post("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(task, 7, "by position")
            tasks.add_task(task, 8, name="by name")

        with TestClient(app) as client:
            client.post("/x")
        assert log == ["7 by position", "8 by name"]

    def test_a_direct_call_passes_them_all_the_same(self, off: Switch, log: list[str]) -> None:
        postlude = off(FastAPI())

        @postlude.task
        def says(order: int, name: str = Depends(get_name)) -> str:
            return f"{order} {name}"

        assert says(7, name="own") == "7 own"
        with pytest.raises(TypeError, match="a direct call must pass it"):
            says(7)

    @pytest.mark.parametrize("parameter", ["args", "rest", "extra"])
    def test_other_forms_of_parameters(
        self, app: FastAPI, off: Switch, log: list[str], parameter: str
    ) -> None:
        postlude = off(app)

        def by_position(order: int, /, copies: int, *rest: int, name: str = Depends(get_name)) -> None:
            log.append(f"{order} {copies} {rest}")

        def with_extra(order: int, name: str = Depends(get_name), **extra: int) -> None:
            log.append(f"{order} {extra}")

        task: Any = postlude.task(with_extra if parameter == "extra" else by_position)
        calls: dict[str, tuple[tuple[int, ...], dict[str, int], str]] = {
            "args": ((1,), {"copies": 2}, "1 2 ()"),
            "rest": ((1, 2, 3), {}, "1 2 (3,)"),
            "extra": ((1,), {"copies": 2}, "1 {'copies': 2}"),
        }
        args, kwargs, said = calls[parameter]

        @app.post("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(task, *args, **kwargs)

        with TestClient(app) as client:
            client.post("/x")
        assert log == ["open", said, "commit"]

    @pytest.mark.parametrize("declared", [True, False])
    async def test_from_outside_of_requests(self, off: Switch, log: list[str], declared: bool) -> None:
        app = FastAPI()
        postlude = off(app)
        app.dependency_overrides[get_noted] = lambda: "fake"
        task: Any = postlude.task(noted) if declared else noted
        job = await postlude.add_task(task, 7)
        assert (log, await job.result()) == (["noted 7 fake"], 7)

    async def test_a_function_that_is_not_declared_is_refused(
        self, off: Switch, log: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        app = FastAPI()
        postlude = off(app)

        async def nested(name: str = Depends(get_name)) -> None: ...

        @app.post("/x")
        async def endpoint(tasks: Ours) -> str:
            with pytest.raises(TaskDefinitionError, match=r"'name' is filled by Depends.*@postlude\.task"):
                tasks.add_task(nested)
            tasks.tasks.clear()
            return "refused"

        assert status(await call(app, "/x", "POST", log=log)) == 200
        await postlude.add_task(nested)
        assert "put @postlude.task on the function" in caplog.text


def test_nothing_is_opened(off: Switch, log: list[str], tmp_path: Any) -> None:
    app = FastAPI()
    off(app)

    @app.get("/x")
    def endpoint(tasks: Ours) -> None:
        tasks.add_task(note, "a")

    with TestClient(app) as client:
        client.get("/x")
    assert list(tmp_path.iterdir()) == []


def test_starlette_by_hand(off: Switch, log: list[str]) -> None:
    async def endpoint(request: Request) -> Any:
        return JSONResponse({}, background=postlude.BackgroundTask(note_object, object()))

    app = Starlette(routes=[postlude.starlette.Route("/x", endpoint)])
    off(app)
    StarletteClient(app).get("/x")
    assert log == ["ran in memory"]


async def test_an_application_that_is_off_inside_one_that_is_not(
    off: Switch, install: Callable[..., Any], log: list[str]
) -> None:
    app, sub, router = FastAPI(), FastAPI(), APIRouter()
    kinds: list[type] = []

    @router.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        kinds.append(type(tasks))

    sub.include_router(router)
    app.mount("/m", sub)
    install(app)
    off(sub)
    await call(app, "/m/x", log=log)
    assert kinds == [BackgroundTasks]


def test_a_fastapi_that_is_not_supported_still_works_switched_off(
    off: Switch, log: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fastapi_hook, "Canary", fastapi_canary.Canary)
    monkeypatch.setattr(fastapi_canary, "_GOOD", ["something else"])
    app = FastAPI()
    off(app)

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    assert TestClient(app).get("/x").status_code == 200
    assert log == ["ran a"]
    assert "will fail" in caplog.text
