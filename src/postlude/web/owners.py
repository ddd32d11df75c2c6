"""Who asks about a job: each is told of their own only."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import Depends
from starlette.requests import Request

from postlude.errors import JobNotFound
from postlude.jobs.inspector import JobStatus
from postlude.request.owners import ask, checked, takes_request

_ASKER: Final = "postlude.asker"
"""Where the scope of a request says who asks."""


def noting(owner: Any) -> Any:
    """Return a dependency that notes who asks.

    Args:
        owner: says so: a function of the request, a dependency, or `Depends(dependency)`.
    """
    if takes_request(owner):
        dependency: Any = Depends(_of_request(owner))
    else:
        dependency = owner if hasattr(owner, "dependency") else Depends(owner)

    async def note_asker(request: Request, asker: Any = dependency) -> None:
        request.scope[_ASKER] = checked(asker, "router(owner=)")

    return Depends(note_asker)


def refuse_others(status: JobStatus, request: Request) -> None:
    """Make sure that a job is one of whoever asks, if the router asks who that is.

    Raises:
        JobNotFound: it is somebody else's, or nobody's.
    """
    asker = request.scope.get(_ASKER, _ASKER)
    if asker is not _ASKER and (asker is None or status.call_owner != asker):
        raise JobNotFound(f"job {status.id} is not {asker!r}'s")


def _of_request(owner: Callable[..., Any]) -> Callable[..., Any]:
    async def asker(request: Request) -> Any:
        return await ask(owner, request)

    return asker
