"""FastAPI's names that its documentation does not promise: all of Postlude has them from here.

`SINCE` says which release each came with; the oldest that Postlude supports is 0.115.0, the newest that it
was tried on 0.165.0. A new release of FastAPI is looked through for these, and answered here;
`tests/versions/test_internals.py` fails when one is not there.
"""

import importlib
import inspect
from collections.abc import Iterator
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

from fastapi import Depends
from starlette.types import Scope

# Imported by name, because type checkers take module attributes for constants: some of these are replaced
# while the program runs, and some exist in newer releases only.
_utils: Final[Any] = importlib.import_module("fastapi.dependencies.utils")
_routing: Final[Any] = importlib.import_module("fastapi.routing")

SINCE: Final = {
    "fastapi.dependencies.utils:BackgroundTasks": "0.115.0",
    "fastapi.dependencies.utils:get_typed_signature": "0.115.0",
    "fastapi.dependencies.models:Dependant": "0.115.0",
    "fastapi.routing:request_response": "0.115.0",
    "fastapi.routing:websocket_session": "0.115.0",
    "fastapi.routing:get_request_handler": "0.115.0",
    "fastapi.routing:_IncludedRouter.effective_candidates": "0.137.0",
    "fastapi.routing:_IncludedRouter.effective_low_priority_routes": "0.138.0",
    "fastapi.routing:_EffectiveRouteContext": "0.137.0",
    "fastapi.routing:_FrontendRouteGroup.handle": "0.138.0",
}
"""Where it is, and the first release that has it."""

SCOPED: Final = "scope" in Depends.__code__.co_varnames
"""Whether dependencies can leave before the response. Before FastAPI 0.121 there is no choice: up to 0.117
all do, and from 0.118 on none does."""

OUTLIVES: Final = _routing.request_response.__module__ == "fastapi.routing"
"""Whether dependencies leave after the response unless they say otherwise: since FastAPI 0.118."""

FUNCTION_STACK: Final = "fastapi_function_astack"
"""Since 0.121: where a scope has the stack of a request's function-scoped dependencies."""

REQUEST_STACK: Final = "fastapi_inner_astack"
"""Since 0.118: where a scope has the stack of the others, which leave after the response."""

MIDDLEWARE_STACK: Final = "fastapi_middleware_astack"
"""Since 0.118: where a scope has the stack that FastAPI's outermost middleware closes."""

ENDPOINT: Final = "get_request_handler.<locals>.app"
"""The qualified name of what FastAPI makes of an endpoint."""

REQUEST_RESPONSE: Final = "request_response.<locals>.app"
WEBSOCKET_SESSION: Final = "websocket_session.<locals>.app"
"""The qualified names of the applications that FastAPI (until 0.117 Starlette) makes of routes' handlers."""

MAKERS: Final = (REQUEST_RESPONSE, WEBSOCKET_SESSION)

# Nothing is an instance of ().
INCLUDED: Final[Any] = getattr(_routing, "_IncludedRouter", ())
"""An included router, which is asked for its routes; before, they were copied from it."""
CONTEXTS: Final[Any] = getattr(_routing, "_EffectiveRouteContext", ())
"""A route of an included router, with what is said where that is included."""
FRONTENDS: Final[Any] = getattr(_routing, "_FrontendRouteGroup", ())
"""The frontends of one place, behind all routes."""
ENDPOINTS: Final[Any] = (_routing.APIRoute, _routing.APIWebSocketRoute)
"""The routes of path operations."""
MADE: Final[Any] = (*ENDPOINTS, FRONTENDS)
"""The routes whose handlers FastAPI makes; any other is the application's own."""

_FROM_REQUEST: Final = ("path_params", "query_params", "header_params", "cookie_params", "body_params")


class Replaceable(NamedTuple):
    """The names of FastAPI's modules that the hook replaces."""

    background_tasks: Any
    """The class that dependency solving instantiates for a background tasks parameter."""
    request_response: Any
    """Makes a route's application of its handler."""
    websocket_session: Any
    """The same for a WebSocket."""
    get_request_handler: Any
    """Makes a route's handler of its endpoint."""


def replaceable() -> Replaceable:
    """Return what these names mean now."""
    return Replaceable(
        _utils.BackgroundTasks,
        _routing.request_response,
        _routing.websocket_session,
        _routing.get_request_handler,
    )


def replace(names: Replaceable) -> None:
    """Let these names mean something else."""
    _utils.BackgroundTasks = names.background_tasks
    _routing.request_response = names.request_response
    _routing.websocket_session = names.websocket_session
    _routing.get_request_handler = names.get_request_handler


def made_of(name: str, handler: Any) -> Any:
    """Make a route's application of its handler, as FastAPI now does.

    Args:
        name: one of `MAKERS`.
        handler: what it calls.
    """
    make = _routing.request_response if name == REQUEST_RESPONSE else _routing.websocket_session
    return make(handler)


def handler_in(app: Any) -> Any:
    """Return what an application calls that `request_response` or `websocket_session` has made."""
    cells = dict(zip(app.__code__.co_freevars, app.__closure__ or (), strict=True))
    return (cells["f"] if "f" in cells else cells["func"]).cell_contents


def dependant_of(scope: Scope) -> Any:
    """Return what FastAPI found out about the parameters of the scope's route; None: it has none."""
    route = scope.get("route")
    context = scope.get("fastapi", {}).get("effective_route_context")  # since 0.137
    if context is not None and (route is None or context.original_route is route):
        return context.dependant
    return getattr(route, "dependant", None)


def tasks_annotations(dependant: Any) -> Iterator[Any]:
    """Return how a route and its dependencies annotate their parameters for background tasks."""
    name = dependant.background_tasks_param_name
    if name is not None:
        annotation = _utils.get_typed_signature(dependant.call).parameters[name].annotation
        yield get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    for sub in dependant.dependencies:
        yield from tasks_annotations(sub)


def outliving(dependant: Any) -> Iterator[Any]:
    """Yield the dependencies of a route that leave after its response: when its jobs may run."""
    if not OUTLIVES:
        return
    for sub in dependant.dependencies:
        if sub.call is not None and getattr(sub, "scope", None) != "function":
            yield sub.call
        yield from outliving(sub)


def dependants_of(route: Any) -> Iterator[Any]:
    """Return a route's own dependant and all behind it, each as often as FastAPI asks for it."""
    waiting: list[Any] = [route.dependant] if getattr(route, "dependant", None) is not None else []
    while waiting:
        dependant = waiting.pop()
        waiting += dependant.dependencies
        yield dependant


def scope_of(dependant: Any) -> str | None:
    """Return until when a dependency lives: those of one call and scope are one and the same."""
    call = inspect.unwrap(dependant.call)
    yields = inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call)
    return getattr(dependant, "scope", None) or ("request" if yields else None)


class Taken(NamedTuple):
    """A parameter that FastAPI takes from a request."""

    name: str
    of: Any
    """The dependency that has it."""
    kind: str


def taken_from_request(route: Any) -> Iterator[Taken]:
    """Return what a route and its dependencies take from a request."""
    waiting: list[Any] = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        waiting += dependant.dependencies
        for kind in _FROM_REQUEST:
            for field in getattr(dependant, kind):
                yield Taken(field.name, dependant.call, kind)


def application_of(context: Any) -> Any:
    """Return what handles a route of an included router; None: it is made anew for each request."""
    return getattr(context, "app", None)  # since 0.142.1


def behind_included(router: Any) -> list[Any]:
    """Return what is behind an included router; what is to be looked at first comes last."""
    low: Any = getattr(router, "effective_low_priority_routes", list)
    return [*low(), *router.effective_candidates(), router.original_router]


def behind_frontends(router: Any) -> list[Any]:
    """Return the routes of a router that are behind all others: since 0.138, its frontends."""
    return list(getattr(router, "_low_priority_routes", ()))
