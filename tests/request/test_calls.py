"""Tasks belong to the call of the endpoint whose response is sent."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask as StarletteTask
from starlette.background import BackgroundTasks as StarletteTasks

from postlude.frameworks.fastapi import internals
from postlude.request.calls import Around, note
from tests.request.asgi import call, status
from tests.request.calls import audit
from tests.request.calls import note as write
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import ran

pytestmark = pytest.mark.anyio

Handler = Callable[[Request], Awaitable[Any]]
Around_ = Callable[[Handler, Request], Awaitable[Any]]


def in_a_closure(around: Around_) -> type[APIRoute]:
    class Route(APIRoute):
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            async def handler(request: Request) -> Any:
                return await around(original, request)

            return handler

    return Route


def in_an_attribute(around: Around_) -> type[APIRoute]:
    class Route(APIRoute):
        def get_route_handler(self) -> Any:
            self.original = super().get_route_handler()
            return self.answer

        async def answer(self, request: Request) -> Any:
            return await around(self.original, request)

    return Route


def in_two_layers(around: Around_) -> type[APIRoute]:
    class Outer(in_a_closure(around)):  # type: ignore[misc]
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            async def timed(request: Request) -> Any:
                return await original(request)

            return timed

    return Outer


def made_for_each_request(around: Around_) -> type[APIRoute]:
    """Nothing tells when such a route calls its endpoint."""

    class Route(APIRoute):
        def get_route_handler(self) -> Any:
            make = super().get_route_handler

            async def handler(request: Request) -> Any:
                async def each(request: Request) -> Any:
                    return await make()(request)

                return await around(each, request)

            return handler

    return Route


EVERY = [in_a_closure, in_an_attribute, in_two_layers, made_for_each_request]


async def catching(original: Handler, request: Request) -> Any:
    try:
        return await original(request)
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 500)


async def catching_with_own(original: Handler, request: Request) -> Any:
    try:
        return await original(request)
    except ValueError:
        return JSONResponse({}, 500, background=StarletteTask(write, "own"))


async def three_times(original: Handler, request: Request) -> Any:
    for _ in range(3):
        try:
            return await original(request)
        except ValueError:
            pass
    return JSONResponse({}, 503)


async def taking_away(original: Handler, request: Request) -> Any:
    response = await original(request)
    response.background = None
    return response


async def adding(original: Handler, request: Request) -> Any:
    response = await original(request)
    response.background.add_task(write, "own")
    return response


async def wrapping(original: Handler, request: Request) -> Any:
    response = await original(request)
    return Response(response.body, background=response.background)


async def merging(original: Handler, request: Request) -> Any:
    response = await original(request)
    own = StarletteTasks([StarletteTask(write, "own"), *response.background.tasks])
    return Response(response.body, background=own)


async def replacing(original: Handler, request: Request) -> Any:
    response = await original(request)
    response.background = StarletteTask(write, "own")
    return response


async def standing_around(original: Handler, request: Request) -> Any:
    response = await original(request)

    class Around:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await response(scope, receive, send)

    return Around()


def application(kind: Callable[[Around_], type[APIRoute]], around: Around_, endpoint: Any) -> FastAPI:
    app, router = FastAPI(), APIRouter(route_class=kind(around))
    router.get("/x")(endpoint)
    app.include_router(router)
    return app


async def succeeds(tasks: BackgroundTasks) -> int:
    tasks.add_task(write, "a")
    return 1


async def fails(tasks: BackgroundTasks) -> None:
    tasks.add_task(write, "a")
    tasks.add_task(audit, "audit")
    raise ValueError("not saved")


async def returns_its_own(tasks: BackgroundTasks) -> Any:
    tasks.add_task(write, "a")
    return JSONResponse({}, background=StarletteTask(write, "b"))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    ("around", "endpoint", "expected"),
    [
        (catching, succeeds, ["a"]),
        (catching, fails, ["audit"]),
        (taking_away, succeeds, []),
        (adding, succeeds, ["a", "own"]),
        (wrapping, succeeds, ["a"]),
        (merging, succeeds, ["own", "a"]),
        (standing_around, succeeds, ["a"]),
        (catching, returns_its_own, ["a", "b"]),
        (taking_away, returns_its_own, []),
        (replacing, succeeds, ["a", "own"]),
    ],
)
@pytest.mark.usefixtures("newly_installed")
async def test_what_runs(
    around: Around_, endpoint: Any, expected: list[str], kind: Any, before: bool,
    install: Install, port: Recorder, log: list[str],
) -> None:  # fmt: skip
    if before:
        app = application(kind, around, endpoint)
        install(app)
    else:
        port.host  # noqa: B018  # the names are replaced when it is made
        app = application(kind, around, endpoint)
        install(app)
    assert status(await call(app, "/x", log=log)) in (200, 500)
    assert port.stored == expected
    assert sorted(ran(log)) == sorted(f"ran {name}" for name in expected)


@pytest.mark.parametrize("kind", EVERY)
async def test_only_the_background_of_the_answer_that_the_route_made_itself(
    kind: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    app = application(kind, catching_with_own, fails)
    install(app)
    assert status(await call(app, "/x", log=log)) == 500
    assert port.stored == ["audit", "own"]


@pytest.mark.parametrize("kind", EVERY)
async def test_tries_that_failed_have_no_tasks(
    kind: Any, install: Install, port: Recorder, log: list[str]
) -> None:
    async def third_time(tasks: BackgroundTasks) -> int:
        log.append("called")
        tasks.add_task(write, f"try {log.count('called')}")
        if log.count("called") < 3:
            tasks.add_task(audit, f"audit {log.count('called')}")
            raise ValueError
        return 1

    app = application(kind, three_times, third_time)
    install(app)
    assert status(await call(app, "/x", log=log)) == 200
    assert port.stored == ["audit 1", "audit 2", "try 3"]


async def test_a_route_that_adds_nothing_is_not_looked_through(install: Install, port: Recorder) -> None:
    app = FastAPI()
    app.get("/x")(succeeds)
    route: Any = app.routes[-1]
    assert note(route.get_route_handler(), internals.ENDPOINT) is Around.NOTHING
