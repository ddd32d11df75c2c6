"""Asking an application whose the jobs of a request are."""

import sys
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.types import Scope

from postlude.errors import PostludeError
from postlude.request.owners import AskOwner, ask, ask_by_request, checked, takes_one, takes_request


class ApplicationOwner:
    """Asks what `Postlude(owner=...)` was given: a function of the request, or a dependency of FastAPI.

    Args:
        owner: the function, or `Depends(function)`.

    Raises:
        PostludeError: it is neither.
    """

    def __init__(self, owner: Any) -> None:
        if not callable(getattr(owner, "dependency", owner)) or isinstance(owner, type):
            raise PostludeError(
                f"owner={owner!r:.80}: give a function that returns whose a request's jobs are, for instance "
                f"a dependency that returns the user's id"
            )
        self._owner = owner
        self._ask: AskOwner = self._ask_directly

    def join(self, app: Starlette) -> None:
        """Resolve it as a dependency of this application, if that is FastAPI's.

        Raises:
            PostludeError: it takes something of the request's body, which the route has read by then.
        """
        fastapi: Any = sys.modules.get("fastapi")
        if fastapi is None or not isinstance(app, fastapi.FastAPI) or takes_request(self._owner):
            return
        from postlude.frameworks.fastapi.owner import OwnerDependency

        self._ask = OwnerDependency(app, self._owner)

    async def __call__(self, scope: Scope) -> str | None:
        """Return whose the jobs of a request are; None: nobody's.

        Raises:
            TypeError: what the application says is no text.
            Exception: what it raises itself, for instance an HTTPException.
        """
        return checked(await self._ask(scope), "owner=")

    async def _ask_directly(self, scope: Scope) -> Any:
        owner: Callable[..., Any] = getattr(self._owner, "dependency", self._owner)
        return await (ask_by_request(owner, scope) if takes_one(owner) else ask(owner))
