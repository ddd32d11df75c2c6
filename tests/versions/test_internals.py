"""What Postlude takes from FastAPI without a promise is there since when it says, and means what it must."""

import importlib
import inspect
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import fastapi
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request, WebSocket
from starlette.testclient import TestClient

from postlude.frameworks.fastapi import internals


def release(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


HERE = release(fastapi.__version__)


def has(path: str) -> bool:
    module, _, way = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in way.split("."):
        found = getattr(found, name, None)
    return found is not None


@pytest.mark.parametrize(("path", "since"), internals.SINCE.items())
def test_a_name_is_there_since(path: str, since: str) -> None:
    assert has(path) == (release(since) <= HERE)


async def nothing() -> None: ...


def test_names_are_replaced_where_fastapi_looks_for_them() -> None:
    before = internals.replaceable()
    made: list[Any] = []

    def request_response(handler: Any) -> Any:
        made.append(handler)
        return before.request_response(handler)

    internals.replace(before._replace(request_response=request_response))
    try:
        FastAPI(openapi_url=None).get("/x")(nothing)
    finally:
        internals.replace(before)
    assert len(made) == 1
    assert internals.replaceable() == before


async def answer(request: Request) -> dict[str, bool]:
    names = (internals.FUNCTION_STACK, internals.REQUEST_STACK, internals.MIDDLEWARE_STACK)
    return {name: name in request.scope for name in names}


async def session(websocket: WebSocket) -> None: ...


def test_a_scope_has_the_stacks_since() -> None:
    app = FastAPI()
    app.get("/x")(answer)
    assert TestClient(app).get("/x").json() == {
        internals.FUNCTION_STACK: HERE >= (0, 121, 0),
        internals.REQUEST_STACK: HERE >= (0, 118, 0),
        internals.MIDDLEWARE_STACK: HERE >= (0, 118, 0),
    }


def test_dependencies_can_leave_before_the_response_since() -> None:
    assert (HERE >= (0, 121, 0)) == internals.SCOPED


@pytest.fixture
def fastapis_own() -> Iterator[internals.Replaceable]:
    """What the names mean where no Postlude is."""
    before = internals.replaceable()
    own = internals.Replaceable(
        BackgroundTasks,
        inspect.unwrap(before.request_response),
        inspect.unwrap(before.websocket_session),
        inspect.unwrap(before.get_request_handler),
    )
    internals.replace(own)
    yield own
    internals.replace(before)


@pytest.mark.parametrize(
    ("name", "handler"), [(internals.REQUEST_RESPONSE, answer), (internals.WEBSOCKET_SESSION, session)]
)
def test_what_is_made_of_a_handler_is_known_by_its_name_and_opened(
    fastapis_own: internals.Replaceable, name: str, handler: Any
) -> None:
    made = internals.made_of(name, handler)
    assert made.__qualname__ == name
    assert internals.handler_in(made) is handler


def test_what_is_made_of_an_endpoint_is_known_by_its_name() -> None:
    app = FastAPI()
    app.get("/x")(answer)
    route: Any = app.routes[-1]
    assert route.get_route_handler().__qualname__ == internals.ENDPOINT


async def asks(tasks: BackgroundTasks) -> None: ...


async def asks_through(
    tasks: Annotated[BackgroundTasks, "said of it"], asked: Annotated[None, Depends(asks)], q: str
) -> None: ...


def test_how_a_route_asks_for_background_tasks_and_what_it_takes() -> None:
    app = FastAPI()
    app.get("/x")(asks_through)
    route: Any = app.routes[-1]
    dependant = internals.dependant_of({"route": route})
    assert list(internals.tasks_annotations(dependant)) == [BackgroundTasks, BackgroundTasks]
    assert [(taken.name, taken.kind) for taken in internals.taken_from_request(route)] == [
        ("q", "query_params")
    ]
    assert internals.dependant_of({}) is None


def test_the_scope_of_an_included_route_leads_to_its_dependant() -> None:
    found: list[Any] = []

    async def look(request: Request, tasks: BackgroundTasks) -> None:
        found.extend(internals.tasks_annotations(internals.dependant_of(request.scope)))

    router = fastapi.APIRouter()
    router.get("/x")(look)
    app = FastAPI()
    app.include_router(router, prefix="/in")
    assert TestClient(app).get("/in/x").status_code == 200
    assert found == [BackgroundTasks]


def test_what_is_behind_an_included_router() -> None:
    router, app = fastapi.APIRouter(), FastAPI(openapi_url=None)
    router.get("/x")(asks)
    app.include_router(router, prefix="/in")
    with suppress(Exception):
        app.url_path_for("asks")
    included: Any = app.routes[-1]
    assert isinstance(included, internals.INCLUDED) == (HERE >= (0, 137, 0))
    if not isinstance(included, internals.INCLUDED):
        assert isinstance(included, internals.ENDPOINTS)
        return
    behind = internals.behind_included(included)
    assert router in behind
    contexts = [each for each in behind if isinstance(each, internals.CONTEXTS)]
    assert [context.original_route for context in contexts] == router.routes
    assert [internals.application_of(each) is not None for each in contexts] == [HERE >= (0, 142, 1)]
    assert internals.behind_frontends(app.router) == []
