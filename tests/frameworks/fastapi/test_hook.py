"""The hook: which routes it reaches, what it leaves alone, and how it refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, routing
from fastapi.dependencies import utils
from fastapi.testclient import TestClient
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route as StarletteRoute

from postlude.errors import UnsupportedFramework
from postlude.frameworks.fastapi import canary as fastapi_canary
from postlude.frameworks.fastapi import hook as fastapi_hook
from tests.request.asgi import call
from tests.request.calls import note
from tests.request.conftest import Install, MakeDesk
from tests.request.recorder import Recorder

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


async def test_other_applications_stay_as_they_are(install: Install, port: Recorder, log: list[str]) -> None:
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
    assert port.stored == []
    assert ran(log) == ["ran a"] * 3


async def test_two_applications_each_with_its_own_desk(
    install: Install, port: Recorder, make_desk: MakeDesk, log: list[str]
) -> None:
    second = make_desk()
    for name, its_desk in (("one", port), ("two", second)):
        app = FastAPI()

        def endpoint(tasks: BackgroundTasks, name: str = name) -> None:
            tasks.add_task(note, name)

        app.add_api_route(f"/{name}", endpoint)
        install(app, port=its_desk)
        await call(app, f"/{name}", log=log)
    assert (port.stored, second.stored) == (["one"], ["two"])


async def test_a_wrapper_around_a_route_is_kept(install: Install, port: Recorder, log: list[str]) -> None:
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
    assert port.stored == ["a"]
    route = next(route for route in app.routes if isinstance(route, CountingRoute))
    assert route.counting.count == 1


async def test_a_route_class_with_its_own_handler(install: Install, port: Recorder, log: list[str]) -> None:
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
    assert port.stored == ["a"]


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
    install: Install, port: Recorder, log: list[str]
) -> None:
    app = FastAPI()
    install(app)
    app.router.route_class = Hidden

    @app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")

    await call(app, "/x", log=log)
    assert port.stored == ["a"]


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
async def test_body_limits_are_kept(included: bool, install: Install, port: Recorder) -> None:
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
    assert port.stored == ["a"]


async def test_plain_starlette_routes_and_middleware_run_theirs_in_memory(
    install: Install, port: Recorder, log: list[str]
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
    assert port.stored == []
    assert sorted(ran(log)) == ["ran middleware", "ran plain"]


async def test_dependency_overrides(install: Install, port: Recorder, log: list[str]) -> None:
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
    assert port.stored == ["override"]


@pytest.mark.skipif(not hasattr(APIRouter, "frontend"), reason="none comes last before FastAPI 0.138")
async def test_a_plain_route_that_comes_last_in_an_included_router_is_left_alone(
    install: Install, log: list[str]
) -> None:
    async def plain(request: Any) -> PlainTextResponse:
        return PlainTextResponse("plain")

    app, router = FastAPI(), APIRouter()
    last: list[Any] = router._low_priority_routes
    last.append(StarletteRoute("/plain", plain))
    app.include_router(router, prefix="/included")
    app.openapi()
    install(app)
    assert (await call(app, "/included/plain", log=log))[0]["status"] == 200
