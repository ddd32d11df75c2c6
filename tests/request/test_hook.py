"""The hook: which routes it reaches, what it leaves alone, and how it refuses."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket, WebSocketDisconnect, routing
from fastapi.dependencies import utils
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route as StarletteRoute

import postlude.fastapi
from postlude import fastapi_canary, fastapi_hook
from postlude.errors import UnsupportedFramework
from tests.request.asgi import call, status
from tests.request.calls import audit, note, note_object
from tests.request.conftest import Install
from tests.request.memory_desk import MemoryDesk

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_installed")]


def ran(log: list[str]) -> list[str]:
    return [entry for entry in log if entry.startswith("ran")]


def test_installing_twice_changes_nothing(install: Install) -> None:
    app = FastAPI()

    @app.get("/x")
    async def endpoint() -> None: ...

    fastapi_hook.install()
    fastapi_hook.cover(app)
    route = next(route for route in app.routes if isinstance(route, routing.APIRoute))
    names = (utils.BackgroundTasks, routing.request_response, route.app)  # type: ignore[attr-defined]
    fastapi_hook.install()
    fastapi_hook.cover(app)
    assert names == (utils.BackgroundTasks, routing.request_response, route.app)  # type: ignore[attr-defined]


def test_another_fastapi_is_refused_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (utils.BackgroundTasks, routing.request_response, routing.websocket_session)  # type: ignore[attr-defined]
    monkeypatch.setattr(fastapi_canary, "_GOOD", ["something else"])
    with pytest.raises(UnsupportedFramework, match=r"supports FastAPI 0\.115 to 0\.165"):
        fastapi_hook.install()
    assert names == (utils.BackgroundTasks, routing.request_response, routing.websocket_session)  # type: ignore[attr-defined]


async def test_other_applications_stay_as_they_are(
    install: Install, desk: MemoryDesk, log: list[str]
) -> None:
    app, other = FastAPI(), FastAPI()
    kinds: list[type] = []

    @other.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        kinds.append(type(tasks))
        tasks.add_task(note, "a")

    install(app)

    @other.get("/y")
    async def later(tasks: BackgroundTasks) -> None:
        kinds.append(type(tasks))
        tasks.add_task(note, "a")

    @app.get("/calls")
    async def calls(tasks: BackgroundTasks) -> None:
        await call(other, "/y", log=log)

    await call(other, "/x", log=log)
    await call(other, "/y", log=log)
    await call(app, "/calls", log=log)
    assert kinds == [BackgroundTasks] * 3
    assert desk.stored == []
    assert ran(log) == ["ran a"] * 3


async def test_two_applications_each_with_its_own_desk(
    install: Install, desk: MemoryDesk, log: list[str]
) -> None:
    second = MemoryDesk(log)
    for name, its_desk in (("one", desk), ("two", second)):
        app = FastAPI()

        def endpoint(tasks: BackgroundTasks, name: str = name) -> None:
            tasks.add_task(note, name)

        app.add_api_route(f"/{name}", endpoint)
        install(app, desk=its_desk)
        await call(app, f"/{name}", log=log)
    assert (desk.stored, second.stored) == (["one"], ["two"])


async def test_a_wrapper_around_a_route_is_kept(install: Install, desk: MemoryDesk, log: list[str]) -> None:
    class Counting:
        def __init__(self, app: Any) -> None:
            self.app = app
            self.count = 0

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.count += 1
            await self.app(scope, receive, send)

    class CountingRoute(routing.APIRoute):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.app = self.counting = Counting(self.app)

    app = FastAPI()
    app.router.route_class = CountingRoute

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    install(app)
    await call(app, "/x", log=log)
    assert desk.stored == ["a"]
    route = next(route for route in app.routes if isinstance(route, CountingRoute))
    assert route.counting.count == 1


async def test_a_route_class_with_its_own_handler(install: Install, desk: MemoryDesk, log: list[str]) -> None:
    class Replying(routing.APIRoute):
        def get_route_handler(self) -> Callable[..., Any]:
            handle = super().get_route_handler()

            async def handler(request: Any) -> Any:
                response = await handle(request)
                response.headers["X-Mine"] = "yes"
                return response

            return handler

    app, router = FastAPI(), APIRouter(route_class=Replying)

    @router.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    app.include_router(router)
    install(app)
    sent = await call(app, "/x", log=log)
    assert (b"x-mine", b"yes") in sent[0]["headers"]
    assert desk.stored == ["a"]


class Hidden(routing.APIRoute):
    """A route whose application nobody can see through."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)

        self.app = app


def test_a_route_that_cannot_be_covered_is_named() -> None:
    app = FastAPI()
    app.router.route_class = Hidden
    app.add_api_route("/hidden", lambda: None)
    fastapi_hook.install()
    with pytest.raises(UnsupportedFramework, match=r"'/hidden'.*Hidden.*Create Postlude\(\) before"):
        fastapi_hook.cover(app)


async def test_a_route_that_hides_a_covered_application_is_fine(
    install: Install, desk: MemoryDesk, log: list[str]
) -> None:
    app = FastAPI()
    install(app)
    app.router.route_class = Hidden

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    await call(app, "/x", log=log)
    assert desk.stored == ["a"]


def test_an_uncovered_mount_that_comes_later_fails_the_start(install: Install) -> None:
    app, sub = FastAPI(), FastAPI()
    sub.router.route_class = Hidden
    sub.add_api_route("/hidden", lambda: None)
    install(app)
    app.mount("/m", sub)
    with pytest.raises(UnsupportedFramework, match="/hidden"), TestClient(app):
        pass
    with pytest.raises(UnsupportedFramework, match="/hidden"):
        TestClient(app).get("/m/hidden")


@pytest.mark.skipif(not hasattr(routing, "wrap_app_with_body_limit"), reason="no body limits in this FastAPI")
@pytest.mark.parametrize("included", [True, False])
async def test_body_limits_are_kept(included: bool, install: Install, desk: MemoryDesk) -> None:
    app, router = FastAPI(), APIRouter()
    limit: dict[str, Any] = {"max_body_size": 4}
    target: FastAPI | APIRouter = router if included else app

    @target.post("/x", **limit)
    async def endpoint(body: dict[str, str], tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    if included:
        app.include_router(router)
    app.openapi()
    install(app)
    client = TestClient(app)
    assert client.post("/x", json={"long": "body"}).status_code == 413
    assert client.post("/x", json={}).status_code == 200
    assert desk.stored == ["a"]


@pytest.mark.skipif(not hasattr(APIRouter, "frontend"), reason="no frontends in this FastAPI")
@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("before", [True, False])
class TestFrontend:
    def app(self, tmp_path: Path, install: Install, included: bool, before: bool) -> FastAPI:
        (tmp_path / "index.html").write_text("hello")

        async def dependency(tasks: BackgroundTasks) -> AsyncIterator[None]:
            tasks.add_task(note, "a")
            tasks.add_task(note_object, object())
            yield
            tasks.add_task(note, "late")

        router = APIRouter(dependencies=[Depends(dependency)])
        app = FastAPI(dependencies=[] if included else [Depends(dependency)])
        if before:
            install(app)
        if included:
            router.frontend("/", directory=tmp_path)
            app.include_router(router, prefix="/f")
        else:
            app.frontend("/f", directory=tmp_path)
        if not before:
            for route in app.routes:
                getattr(route, "effective_low_priority_routes", list)()
            install(app)
        return app

    async def test_jobs_of_dependencies(
        self, tmp_path: Path, before: bool, included: bool, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = self.app(tmp_path, install, included, before)
        assert status(await call(app, "/f/index.html", log=log)) == 200
        assert desk.stored == ["a", "late"]
        assert log.index("commit a") < log.index("start") < log.index("ran in memory") < log.index("start a")

    async def test_unavailable(
        self, tmp_path: Path, before: bool, included: bool, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = self.app(tmp_path, install, included, before)
        desk.unavailable = True
        assert status(await call(app, "/f/index.html", log=log)) == 503
        assert ran(log) == []


async def test_plain_starlette_routes_and_middleware_run_theirs_in_memory(
    install: Install, desk: MemoryDesk, log: list[str]
) -> None:
    from starlette.background import BackgroundTask

    async def endpoint(request: Any) -> Any:
        return JSONResponse({}, background=BackgroundTask(note, "plain"))

    app = FastAPI(routes=[StarletteRoute("/plain", endpoint)])

    @app.middleware("http")
    async def middleware(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.background = BackgroundTask(note, "middleware")
        return response

    install(app)
    await call(app, "/plain", log=log)
    assert desk.stored == []
    assert sorted(ran(log)) == ["ran middleware", "ran plain"]


class TestWebSocket:
    """Stored when the handler ends."""

    @pytest.mark.parametrize("parameter", [BackgroundTasks, postlude.fastapi.BackgroundTasks])
    @pytest.mark.parametrize("kind", ["before", "after", "router", "mount"])
    @pytest.mark.parametrize("end", ["return", "disconnect", "error"])
    def test_ends(
        self, end: str, kind: str, parameter: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app, router, sub = FastAPI(), APIRouter(), FastAPI()
        if kind == "after":
            install(app)
        targets: dict[str, FastAPI | APIRouter] = {"router": router, "mount": sub}
        target = targets.get(kind, app)

        async def dependency(tasks: parameter) -> AsyncIterator[None]:
            tasks.add_task(note, "dependency")
            try:
                yield
            finally:
                log.append("left")

        scope: Any = {"scope": "function"} if "scope" in Depends.__code__.co_varnames else {}

        @target.websocket("/x", dependencies=[Depends(dependency, **scope)])
        async def endpoint(websocket: WebSocket, tasks: parameter) -> None:
            await websocket.accept()
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")
            await websocket.send_text("hello")
            if end == "disconnect":
                await websocket.receive_text()
            elif end == "error":
                raise ZeroDivisionError
            await websocket.close()

        app.include_router(router)
        app.mount("/m", sub)
        if kind != "after":
            install(app)
        path = "/m/x" if kind == "mount" else "/x"
        raises: AbstractContextManager[Any] = (
            pytest.raises(ZeroDivisionError) if end == "error" else suppress(WebSocketDisconnect)
        )
        with raises, TestClient(app).websocket_connect(path) as client:
            assert client.receive_text() == "hello"
            if end != "disconnect":
                client.receive()
        assert desk.stored == (["b"] if end == "error" else ["dependency", "a", "b"])
        assert log.index("left") < log.index("commit b") < log.index("start b") < log.index("ran b")

    @pytest.mark.skipif("scope" not in Depends.__code__.co_varnames, reason="no function scope")
    def test_a_function_scoped_dependency_that_fails_in_its_exit(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = FastAPI()

        async def dependency() -> AsyncIterator[None]:
            yield
            raise ZeroDivisionError

        @app.websocket("/x", dependencies=[Depends(dependency, scope="function")])
        async def endpoint(websocket: WebSocket, tasks: BackgroundTasks) -> None:
            await websocket.accept()
            tasks.add_task(note, "a")
            await websocket.close()

        install(app)
        with pytest.raises(ZeroDivisionError), TestClient(app).websocket_connect("/x") as client:
            client.receive()
        assert desk.stored == []


async def test_dependency_overrides(install: Install, desk: MemoryDesk, log: list[str]) -> None:
    app = FastAPI()

    async def original(tasks: BackgroundTasks) -> None: ...

    async def override(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "override")

    @app.get("/x", dependencies=[Depends(original)], response_class=PlainTextResponse)
    async def endpoint() -> str:
        return "ok"

    install(app)
    app.dependency_overrides[original] = override
    await call(app, "/x", log=log)
    assert desk.stored == ["override"]
