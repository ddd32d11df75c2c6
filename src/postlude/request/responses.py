"""What Postlude adds to an application's answers: the body of a 202, the 503, and where a job is told of."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from postlude.enqueue.port import Prepared
from postlude.errors import JournalUnavailable, KeyTaken, PostludeError
from postlude.jobs.handle import Job
from postlude.jobs.view import JobLinks, JobView
from postlude.jobs.view import accepted as view_of_accepted
from postlude.model.event.request import KeyConflict, StatusRouteMissing
from postlude.model.ids import made_at
from postlude.telemetry.process import EVENTS

_WARNED: Final[set[int]] = set()
"""Which applications have been told that they have no status route. By `id`: not all can be hashed."""

STATUS_ROUTE: Final = "postlude:job"
"""The name of the route that tells a job's state; its path parameter is ``id``."""

EVENTS_ROUTE: Final = f"{STATUS_ROUTE}:events"
CANCEL_ROUTE: Final = f"{STATUS_ROUTE}:cancel"
"""The names of the others."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def unavailable() -> HTTPException:
    """Return the answer to a client whose jobs the journal did not take."""
    # FastAPI's is a subclass, and the one that its applications write handlers and `except` for.
    kind: type[HTTPException] = getattr(sys.modules.get("fastapi"), "HTTPException", HTTPException)
    return kind(503, "The journal did not confirm the request's jobs.", {"Retry-After": "1"})


def conflict(error: KeyTaken) -> HTTPException:
    """Return the answer to a client whose job's key is taken. Whose it is, and the key, are for the log."""
    EVENTS.emit(KeyConflict(error))
    kind: type[HTTPException] = getattr(sys.modules.get("fastapi"), "HTTPException", HTTPException)
    return kind(409, "A job with this key waits or runs")


def refused(error: PostludeError) -> Exception:
    """Return what a request fails with whose jobs are not stored: a 503, a 409 for a taken key.

    What is the program's fault stays what it is, and is a 500: trying again would not mend it.
    """
    if not isinstance(error, (KeyTaken, JournalUnavailable)):
        return error
    told = conflict(error) if isinstance(error, KeyTaken) else unavailable()
    told.__cause__ = error
    return told


def point_to(job: Job[Any], scope: Scope, response: Response) -> None:
    """Let a response say where the state of a job is told, if the application tells it.

    Warns once if it does not, unless the response says itself where.
    """
    headers = response.headers
    headers.setdefault("Retry-After", "1")
    if "Location" in headers:
        return
    path = _path(STATUS_ROUTE, scope, job.id)
    if path is not None:
        headers["Location"] = path
        return
    app = id(scope.get("app"))
    if app not in _WARNED and len(_WARNED) < 1000:
        _WARNED.add(app)
        EVENTS.emit(StatusRouteMissing())


def accepted(job: Job[Any], scope: Scope, prepared: Prepared | None) -> JobView[Any]:
    """Return the body of a 202.

    Args:
        job: the job that it tells of.
        scope: of the request.
        prepared: the job's call, if this request makes it.
    """
    names = (STATUS_ROUTE, EVENTS_ROUTE, CANCEL_ROUTE)
    here, events, cancel = (_path(name, scope, job.id) for name in names)
    links = JobLinks(self=here, events=events, cancel=cancel)
    if prepared is None:
        return view_of_accepted(job.id, made_at(job.raw_id), None, None, links)
    due = None if prepared.due is None else _time(prepared.due)
    return view_of_accepted(job.id, _time(prepared.created), prepared.attempts, due, links)


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _path(route: str, scope: Scope, job: str) -> str | None:
    root = scope.get("root_path", "")
    outermost, outer = scope.get("router"), scope.get("app_root_path", root)
    app = scope.get("app")
    # A router that is mounted by itself has its own root, and the application around it.
    own = outer if getattr(app, "router", None) is outermost else root
    for provider, prefix in ((app, own), (outermost, outer)):
        if provider is None:
            continue
        for shared in _shared_parameters(scope):
            try:
                path = str(provider.url_path_for(route, **shared, id=job))
            except Exception:  # `NoMatchFound`, or a convertor does not take the value
                continue
            return str(prefix).rstrip("/") + path
    return None


def _shared_parameters(scope: Scope) -> Iterator[dict[str, Any]]:
    """Give what the status route's path may have of this request's: nothing, the first parameter, ... all."""
    yield {}
    shared: dict[str, Any] = {}
    for name, value in scope.get("path_params", {}).items():
        if name != "id":
            shared[name] = quote(value, safe="") if isinstance(value, str) else value
            yield shared
