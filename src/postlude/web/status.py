"""The state of one job as JSON: what the `Location` of a 202 points to; and its cancelling."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel
from starlette.requests import Request

from postlude.errors import JobNotFound, JournalUnavailable
from postlude.jobs.control import Control, raw_id
from postlude.jobs.inspector import Inspector, JobStatus
from postlude.jobs.subscriptions import Subscription
from postlude.model.job import Cancel
from postlude.model.state import State
from postlude.web.events import EventStream, nothing_new
from postlude.web.report import ErrorDetail, Reporter, is_merged

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


class Cancelled(BaseModel):
    """What became of a request to cancel a job."""

    id: str
    outcome: Cancel


def status_router(
    inspector: Callable[[], Inspector],
    prefix: str = "",
    dependencies: Sequence[Any] | None = None,
    *,
    control: Callable[[], Control] | None = None,
    subscription: Callable[[bytes], Subscription] | None = None,
    arguments: bool = False,
    errors: ErrorDetail = "code",
    **options: Any,
) -> APIRouter:
    """Return a router for the state of jobs: `GET {prefix}/{id}`, named `postlude:job`.

    Args:
        inspector: gives the inspector; asked at each request, so that the router can be made
            before the journal is open.
        prefix: path of the router.
        dependencies: FastAPI dependencies of the routes; an id is no secret, so say here who may ask.
        control: gives what cancels jobs; with it there is `DELETE {prefix}/{id}`.
        watch: watches a job; with it there is `GET {prefix}/{id}/events`, server-sent events.
        arguments: show what the job was called with. Off by default: arguments may hold secrets.
        errors: how much to show of why a job failed: `"code"`, one word; `"type"`, the class of the exception
            too; `"text"`, what it said too, which may hold secrets.
        options: further arguments of `fastapi.APIRouter`.

    Raises:
        ValueError: `errors` is none of these.
    """
    reporter = Reporter(arguments, errors)
    router = APIRouter(prefix=prefix, dependencies=dependencies, **options)
    _add_state(router, inspector, reporter)
    if control is not None:
        _add_cancelling(router, inspector, control)
    if subscription is not None:
        _add_events(router, inspector, subscription, reporter)
    return router


def _add_state(router: APIRouter, inspector: Callable[[], Inspector], reporter: Reporter) -> None:
    @router.get(
        "/{id}",
        name=ROUTE_NAME,
        summary="State of a job",
        response_model=reporter.model,
        responses={200: {"headers": {"Retry-After": _RETRY_AFTER}}, **_UNKNOWN},
    )
    async def job(id: str, response: Response) -> Any:
        with _said_in_http():
            status = await inspector().get(id)
        response.headers.update(_NO_STORE)
        if not status.ended:
            response.headers["Retry-After"] = str(retry_after(status, datetime.now(UTC)))
        return reporter.report(status, id)


def _add_cancelling(
    router: APIRouter, inspector: Callable[[], Inspector], control: Callable[[], Control]
) -> None:
    @router.delete(
        "/{id}",
        name=f"{ROUTE_NAME}:cancel",
        summary="Cancel a job",
        response_model=Cancelled,
        responses={
            200: {"description": "It is cancelled."},
            202: {"description": "It runs, and is asked to stop.", "model": Cancelled},
            409: {"description": "It has ended already, or was merged into another call by its key."},
            **_UNKNOWN,
        },
    )
    async def cancel(id: str, response: Response) -> Cancelled:
        with _said_in_http():
            with suppress(JobNotFound):  # cancelling says so itself
                if is_merged(await inspector().get(id), id):
                    raise HTTPException(409, "Another call's job stands for this one", headers=_NO_STORE)
            outcome = await control().cancel(id)
        if outcome is Cancel.TOO_LATE:
            raise HTTPException(409, "The job has ended already", headers=_NO_STORE)
        response.headers.update(_NO_STORE)
        response.status_code = 202 if outcome is Cancel.ASKED else 200
        return Cancelled(id=id, outcome=outcome)


def _add_events(
    router: APIRouter,
    inspector: Callable[[], Inspector],
    subscription: Callable[[bytes], Subscription],
    reporter: Reporter,
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
            subscription(raw_id(id)),
            lambda status: reporter.report(status, id).model_dump_json(),
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
