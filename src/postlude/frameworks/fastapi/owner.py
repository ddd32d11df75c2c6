"""FastAPI resolves the dependency that says whose a request's jobs are, by its own public class for routes.

It is asked for when the response is about to leave, in a scope of its own: what it opens it closes at once,
and what it raises comes out as it is.
"""

from contextlib import AsyncExitStack
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from postlude.errors import PostludeError
from postlude.frameworks.fastapi.internals import MIDDLEWARE_STACK, taken_from_request
from postlude.request.route import SCOPE_KEY

_FOUND: Final = "postlude.owner"

_OF_THE_REQUEST: Final = (SCOPE_KEY, "starlette.exception_handlers")
"""What a scope says of who stores its jobs, and who answers for its errors."""


class OwnerDependency:
    """Asks a dependency of a FastAPI application.

    Args:
        app: whose `dependency_overrides` count.
        owner: the dependency: a function, or `Depends(function)`.
        of: the argument that it was given as, for errors.

    Raises:
        PostludeError: it takes something of the request's body.
    """

    def __init__(self, app: FastAPI, owner: Any, of: str = "owner=") -> None:
        dependency: Any = owner if hasattr(owner, "dependency") else Depends(owner)

        async def endpoint(request: Request, found: Any = dependency) -> Response:
            request.scope[_FOUND] = found
            return _Nothing()

        self._route = APIRoute("", endpoint, response_model=None, dependency_overrides_provider=app)
        for taken in taken_from_request(self._route):
            if taken.kind == "body_params":
                raise PostludeError(
                    f"{of}: {taken.name!r} of {taken.of!r} is of the request's body, which the route "
                    f"reads; ask for a header, a cookie or the path, or annotate it so that FastAPI can tell"
                )

    async def __call__(self, scope: Scope) -> Any:
        """Return what it gives for a request; also for a WebSocket's session, by its HTTP request."""
        own = {name: value for name, value in scope.items() if name not in _OF_THE_REQUEST}
        own |= {"type": "http", "method": scope.get("method", "GET"), MIDDLEWARE_STACK: AsyncExitStack()}
        await self._route.app(own, _receive, _send)
        return own[_FOUND]


class _Nothing(Response):
    """The response of an endpoint that nobody has asked."""

    def __init__(self) -> None:
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.background is not None:
            await self.background()


async def _receive() -> Message:
    raise PostludeError("owner= is asked when the response is about to leave: the body has been read by then")


async def _send(message: Message) -> None:
    raise PostludeError("owner= sends no response; raise HTTPException")
