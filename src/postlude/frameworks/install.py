"""Joining an application: the middleware, and the hook if FastAPI is about."""

import sys
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from postlude.errors import UnsupportedFramework
from postlude.model.event.request import HookFailed, RoutesInMemory
from postlude.request.exception_handlers import watch_handlers
from postlude.request.middleware import Host, PassthroughMiddleware, PostludeMiddleware, join
from postlude.request.passthrough import Passthrough
from postlude.telemetry.process import EVENTS


def hook(app: Starlette | None = None) -> None:
    """Install the hook if FastAPI is about, and make every route of an application give receipts.

    Raises:
        UnsupportedFramework: this version of FastAPI does not behave as the hook needs, or a route
            does not give receipts and cannot be made to.
        PostludeError: jobs of a route would join another session than its path operation has.
    """
    if "fastapi" in sys.modules:
        from postlude.frameworks.fastapi import hook as fastapi_hook
        from postlude.frameworks.fastapi.joining import check

        fastapi_hook.install()
        if app is not None:
            fastapi_hook.cover(app)
            check(app)


def say_what_is_not_durable(app: Starlette) -> None:
    """Name the routes of a Starlette application whose background tasks run in memory."""
    fastapi = sys.modules.get("fastapi")
    if fastapi is not None and isinstance(app, fastapi.FastAPI):
        return  # its plain routes are its own: the documentation's pages
    plain = [route.path for route in app.routes if type(route) is Route]
    if plain:
        EVENTS.emit(RoutesInMemory(plain))


def joining(given: Any) -> Any:
    """Return a dependency that gives background tasks which join a session; None: none is asked for.

    Args:
        given: a session or connection, or how path operations ask for one.
    """
    if "fastapi" not in sys.modules:
        return None
    from postlude.frameworks.fastapi import joining

    return joining.depending_on(given) if joining.is_dependency(given) else None


def hook_if_possible(app: Starlette | None = None) -> None:
    """Install the hook for a Postlude that is off: what cannot be is said, and is no error."""
    try:
        hook(app)
    except UnsupportedFramework as error:
        EVENTS.emit(HookFailed(error))


def install(
    app: Starlette, host: Host, keep_state: Callable[[MutableMapping[str, Any]], None] | None = None
) -> None:
    """Make an application's requests give receipts, and its lifespan start and stop a host.

    Args:
        app: the application.
        host: what its lifespan starts and stops.
        keep_state: given the dict into which the application puts what its lifespan yields.

    Raises:
        UnsupportedFramework: see `hook`.
        PostludeError: the application has started already.
    """
    hook(app)
    join(app, PostludeMiddleware, host=host, keep_state=keep_state)
    watch_handlers(app, lambda: host.port)


def install_passthrough(
    app: Starlette,
    off: Passthrough,
    announce: Callable[[], None],
    keep_state: Callable[[MutableMapping[str, Any]], None],
) -> None:
    """Let an application work without Postlude, its routes that were written for Postlude included.

    Args:
        app: the application.
        off: gives handles.
        announce: called when the application starts.
        keep_state: given the dict into which the application puts what its lifespan yields.

    Raises:
        PostludeError: the application has started already.
    """
    hook_if_possible(app)
    verify = partial(hook_if_possible, app)
    join(app, PassthroughMiddleware, off=off, verify=verify, announce=announce, keep_state=keep_state)
