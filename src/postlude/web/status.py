"""The state of one job as JSON: what the `Location` of a 202 points to; and its cancelling."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field
from starlette.requests import Request

from postlude.errors import JobNotFound, JournalUnavailable
from postlude.inspector import Arguments, Inspector, JobProgress, JobStatus
from postlude.model.job import Cancel
from postlude.model.state import Reason, State
from postlude.operations import Operations, raw_id
from postlude.runner.changes import Watch
from postlude.web.events import EventStream, nothing_new

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
_UNKNOWN: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "No job has this id, or it is not kept any more."},
    503: {"description": "The journal cannot be used now."},
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
    cancel_asked: bool = Field(description="It runs, and somebody has asked it to stop.")
    progress: JobProgress | None = Field(description="How far it said that it was, last.")
    result: Any = Field(description="What it returned, once it has succeeded.")
    error: str | None = Field(description="The last attempt's error: type and message, one line.")


class DetailedJobReport(JobReport):
    """A job with what it was called with."""

    arguments: Arguments | None


class Cancelled(BaseModel):
    """What became of a request to cancel a job."""

    id: str
    outcome: Cancel


def status_router(
    inspector: Callable[[], Inspector],
    prefix: str = "",
    dependencies: Sequence[Any] | None = None,
    *,
    operations: Callable[[], Operations] | None = None,
    watch: Callable[[bytes], Watch] | None = None,
    arguments: bool = False,
    **options: Any,
) -> APIRouter:
    """Return a router for the state of jobs: `GET {prefix}/{id}`, named `postlude:job`.

    Args:
        inspector: gives the inspector; asked at each request, so that the router can be made
            before the journal is open.
        prefix: path of the router.
        dependencies: FastAPI dependencies of the routes; an id is no secret, so say here who may ask.
        operations: gives what cancels jobs; with it there is `DELETE {prefix}/{id}`.
        watch: watches a job; with it there is `GET {prefix}/{id}/events`, server-sent events.
        arguments: show what the job was called with. Off by default: arguments may hold secrets.
        options: further arguments of `fastapi.APIRouter`.
    """
    report = DetailedJobReport if arguments else JobReport
    router = APIRouter(prefix=prefix, dependencies=dependencies, **options)
    _add_state(router, inspector, report)
    if operations is not None:
        _add_cancelling(router, operations)
    if watch is not None:
        _add_events(router, inspector, watch, report)
    return router


def _add_state(router: APIRouter, inspector: Callable[[], Inspector], report: type[JobReport]) -> None:
    @router.get(
        "/{id}",
        name=ROUTE_NAME,
        summary="State of a job",
        response_model=report,
        responses={200: {"headers": {"Retry-After": _RETRY_AFTER}}, **_UNKNOWN},
    )
    async def job(id: str, response: Response) -> JobReport:
        with _said_in_http():
            status = await inspector().get(id)
        response.headers.update(_NO_STORE)
        if not status.ended:
            response.headers["Retry-After"] = str(retry_after(status, datetime.now(UTC)))
        return report.model_validate(status, from_attributes=True)


def _add_cancelling(router: APIRouter, operations: Callable[[], Operations]) -> None:
    @router.delete(
        "/{id}",
        name=f"{ROUTE_NAME}:cancel",
        summary="Cancel a job",
        response_model=Cancelled,
        responses={
            200: {"description": "It is cancelled."},
            202: {"description": "It runs, and is asked to stop.", "model": Cancelled},
            409: {"description": "It has ended already."},
            **_UNKNOWN,
        },
    )
    async def cancel(id: str, response: Response) -> Cancelled:
        with _said_in_http():
            outcome = await operations().cancel(id)
        if outcome is Cancel.TOO_LATE:
            raise HTTPException(409, "The job has ended already", headers=_NO_STORE)
        response.headers.update(_NO_STORE)
        response.status_code = 202 if outcome is Cancel.ASKED else 200
        return Cancelled(id=id, outcome=outcome)


def _add_events(
    router: APIRouter,
    inspector: Callable[[], Inspector],
    watch: Callable[[bytes], Watch],
    report: type[JobReport],
) -> None:
    @router.get(
        "/{id}/events",
        name=f"{ROUTE_NAME}:events",
        summary="State of a job, whenever it has changed",
        response_class=EventStream,
        status_code=200,  # FastAPI looks for a default in the response class, and this one has none
        responses={
            200: {"description": "Server-sent events; each has the state as JSON. Ends with the job."},
            204: {"description": "The job has ended, and the client has seen that (`Last-Event-ID`)."},
            **_UNKNOWN,
        },
    )
    async def events(id: str, request: Request) -> Response:
        with _said_in_http():
            status = await inspector().get(id)
        if nothing_new(status, request.headers.get("last-event-id")):
            return Response(status_code=204, headers=_NO_STORE)
        return EventStream(
            watch(raw_id(id)),
            lambda status: report.model_validate(status, from_attributes=True).model_dump_json(),
        )


def retry_after(status: JobStatus, now: datetime) -> int:
    """Return in how many seconds it is worth asking for an unfinished job again."""
    if status.state is State.PARKED:
        return LATEST
    if status.due is None or status.state is State.RUNNING:
        return SOONEST
    return min(LATEST, max(SOONEST, math.ceil((status.due - now).total_seconds())))


@contextmanager
def _said_in_http() -> Iterator[None]:
    try:
        yield
    except JobNotFound as error:
        raise HTTPException(404, "No such job", headers=_NO_STORE) from error
    except JournalUnavailable as error:
        headers = {**_NO_STORE, "Retry-After": str(SOONEST)}
        raise HTTPException(503, "The journal cannot be used now", headers=headers) from error
