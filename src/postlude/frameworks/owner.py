"""Asking an application whose the jobs of a request are."""

from typing import Any

from starlette.types import Scope

from postlude.frameworks.asking import ApplicationQuestion
from postlude.request.owners import checked


class ApplicationOwner(ApplicationQuestion):
    """Asks what `Postlude(owner=...)` was given: a function of the request, or a dependency of FastAPI.

    Args:
        owner: the function, or `Depends(function)`.

    Raises:
        PostludeError: it is neither.
    """

    def __init__(self, owner: Any) -> None:
        super().__init__(
            owner,
            "owner=",
            "whose a request's jobs are, for instance a dependency that gives the user's id",
        )

    async def __call__(self, scope: Scope) -> str | None:
        """Return whose the jobs of a request are; None: nobody's.

        Raises:
            TypeError: what the application says is no text.
            Exception: what it raises itself, for instance an HTTPException.
        """
        return checked(await super().__call__(scope), "owner=")
