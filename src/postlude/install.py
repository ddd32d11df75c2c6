"""Joining an application: the middleware, and the hook if FastAPI is about."""

import sys

from starlette.applications import Starlette

from postlude.middleware import Host, join


def install(app: Starlette, host: Host) -> None:
    """Make an application's requests give receipts, and its lifespan start and stop a host.

    Raises:
        UnsupportedFramework: this version of FastAPI does not behave as the hook needs.
        PostludeError: the application has started already.
    """
    if "fastapi" in sys.modules:
        from postlude import fastapi_hook

        fastapi_hook.install()
        fastapi_hook.cover(app)
    join(app, host)


def verify(app: Starlette) -> None:
    """Make sure that every route gives receipts, also those that came later.

    Raises:
        UnsupportedFramework: a route does not, and cannot be made to.
    """
    if "fastapi" in sys.modules:
        from postlude import fastapi_hook

        fastapi_hook.install()
        fastapi_hook.cover(app)
