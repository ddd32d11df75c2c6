"""The state of one job as JSON: what the `Location` of a 202 points to."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from postlude.errors import JobNotFound, JournalUnavailable
from postlude.inspector import Arguments, Inspector, JobStatus
from postlude.model.state import Reason, State

ROUTE_NAME: Final = "postlude:job"
"""The name that `request.url_for` finds the route by."""

SOONEST: Final = 1
LATEST: Final = 60
"""Bounds of `Retry-After`, in seconds."""

_NO_STORE: Final = {"Cache-Control": "no-store"}
_RETRY_AFTER: Final[dict[str, Any]] = {
    "description": "Seconds; only while the job has not ended.",
    "schema": {"type": "integer"},
}


class JobReport(BaseModel):
    """A job, for those who wait for it. Times are UTC."""

    id: str
    task: str
    queue: str
    state: State
    scheduled: bool = Field(description="It waits for its due time, and has not been attempted.")
    retrying: bool = Field(description="It waits for another attempt.")
    attempt: int = Field(description="The number of the attempt that comes, runs or was the last, from 1.")
    reason: Reason | None = Field(description="Why it is where it is, when the state does not say.")
    created: datetime
    due: datetime | None
    started: datetime | None
    finished: datetime | None
    error: str | None = Field(description="The last attempt's error: type and message, one line.")


class DetailedJobReport(JobReport):
    """A job with what it was called with."""

    arguments: Arguments | None


def status_router(
    inspector: Callable[[], Inspector],
    prefix: str = "",
    dependencies: Sequence[Any] | None = None,
    *,
    arguments: bool = False,
    **options: Any,
) -> APIRouter:
    """Return a router with `GET {prefix}/{id}`, named `postlude:job`.

    Args:
        inspector: gives the inspector; asked at each request, so that the router can be made
            before the journal is open.
        prefix: path of the router.
        dependencies: FastAPI dependencies of the route; an id is no secret, so say here who may ask.
        arguments: show what the job was called with. Off by default: arguments may hold secrets.
        options: further arguments of `fastapi.APIRouter`.
    """
    report = DetailedJobReport if arguments else JobReport
    router = APIRouter(prefix=prefix, dependencies=dependencies, **options)

    @router.get(
        "/{id}",
        name=ROUTE_NAME,
        summary="State of a job",
        response_model=report,
        responses={
            200: {"headers": {"Retry-After": _RETRY_AFTER}},
            404: {"description": "No job has this id, or it is not kept any more."},
            503: {"description": "The journal cannot be read now."},
        },
    )
    async def job(id: str, response: Response) -> JobReport:
        status = await _look(inspector(), id)
        response.headers.update(_NO_STORE)
        if not status.ended:
            response.headers["Retry-After"] = str(retry_after(status, datetime.now(UTC)))
        return report.model_validate(status, from_attributes=True)

    return router


def retry_after(status: JobStatus, now: datetime) -> int:
    """Return in how many seconds it is worth asking for an unfinished job again."""
    if status.state is State.PARKED:
        return LATEST
    if status.due is None or status.state is State.RUNNING:
        return SOONEST
    return min(LATEST, max(SOONEST, math.ceil((status.due - now).total_seconds())))


async def _look(inspector: Inspector, id: str) -> JobStatus:
    try:
        return await inspector.get(id)
    except JobNotFound as error:
        raise HTTPException(404, "No such job", headers=_NO_STORE) from error
    except JournalUnavailable as error:
        headers = {**_NO_STORE, "Retry-After": str(SOONEST)}
        raise HTTPException(503, "The journal cannot be read now", headers=headers) from error
