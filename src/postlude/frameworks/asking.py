"""Asking an application something about a request: a function of the request, or a dependency of FastAPI."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.types import Scope

from postlude.errors import PostludeError
from postlude.request.owners import ask, ask_by_request, takes_one, takes_request


class ApplicationQuestion:
    """Asks what an application has given for that.

    Args:
        answer: the function, or `Depends(function)`.
        of: the argument that it was given as, for errors: `owner=`.
        what: what it returns, for errors.

    Raises:
        PostludeError: it is neither.
    """

    def __init__(self, answer: Any, of: str, what: str) -> None:
        if not callable(getattr(answer, "dependency", answer)) or isinstance(answer, type):
            raise PostludeError(f"{of}{answer!r:.80}: give a function that returns {what}")
        self._answer = answer
        self._of = of
        self._ask: Callable[[Scope], Awaitable[Any]] = self._ask_directly
        self._joined: Starlette | None = None

    def join(self, app: Starlette) -> None:
        """Resolve it as a dependency of this application, if that is FastAPI's.

        Raises:
            PostludeError: it takes something of the request's body, which the route has read by then.
        """
        if app is self._joined:
            return
        fastapi: Any = sys.modules.get("fastapi")
        if fastapi is not None and isinstance(app, fastapi.FastAPI) and not takes_request(self._answer):
            from postlude.frameworks.fastapi.owner import OwnerDependency

            self._ask = OwnerDependency(app, self._answer, self._of)
        self._joined = app

    async def __call__(self, scope: Scope) -> Any:
        """Return the answer about a request.

        Raises:
            Exception: what the application raises itself, for instance an HTTPException.
        """
        return await self._ask(scope)

    async def _ask_directly(self, scope: Scope) -> Any:
        answer: Callable[..., Any] = getattr(self._answer, "dependency", self._answer)
        return await (ask_by_request(answer, scope) if takes_one(answer) else ask(answer))
