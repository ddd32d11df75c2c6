"""The routes that tell of one job, and cancel it: what the `Location` of a 202 points to."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Response
from starlette.requests import Request

from postlude.errors import JobNotFound, JournalUnavailable
from postlude.jobs.control import Control, raw_id
from postlude.jobs.inspector import Inspector, JobStatus
from postlude.jobs.subscriptions import Subscription
from postlude.jobs.view import ErrorDetail, JobLinks, JobView, Shown, Viewer, is_merged
from postlude.model.job import Cancel
from postlude.model.state import State
from postlude.request.responses import CANCEL_ROUTE, EVENTS_ROUTE, STATUS_ROUTE
from postlude.web.events import EventStream, nothing_new
from postlude.web.owners import noting, refuse_others
from postlude.web.waiting import preferred_wait, wait_for_end

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


def status_router(
    inspector: Callable[[], Inspector],
    prefix: str = "",
    dependencies: Sequence[Any] | None = None,
    *,
    owner: Any = None,
    control: Callable[[], Control] | None = None,
    subscription: Callable[[bytes], Subscription] | None = None,
    errors: ErrorDetail = "code",
    show: Collection[Shown] = (),
    **options: Any,
) -> APIRouter:
    """Return a router that tells of jobs: `GET {prefix}/{id}`, named `postlude:job`.

    Args:
        inspector: gives the inspector; asked at each request, so that the router can be made
            before the journal is open.
        prefix: path of the router.
        dependencies: FastAPI dependencies of the routes; an id is no secret, so say here who may ask.
        owner: says who asks: each is told of their own jobs only; see `postlude.web.owners`.
        control: gives what cancels jobs; with it there is `POST {prefix}/{id}/cancel`.
        subscription: hears of a job; with it there is `GET {prefix}/{id}/events`, server-sent events, and
            `GET` waits if the client prefers that (`Prefer: wait=20`).
        errors: how much to show of why a job failed: `"code"`, one word; `"type"`, the class of the exception
            too; `"text"`, what it said too, which may hold secrets.
        show: what else to show: `"task"` and `"queue"`, `"arguments"`, which may hold secrets.
        options: further arguments of `fastapi.APIRouter`.

    Raises:
        ValueError: `errors` or `show` is none of the choices.
    """
    viewer = Viewer(errors, show)
    if owner is not None:
        dependencies = [*(dependencies or ()), noting(owner)]
    router = APIRouter(prefix=prefix, dependencies=dependencies, **options)
    told = Telling(viewer, events=subscription is not None, cancel=control is not None)
    _add_state(router, inspector, told, subscription)
    if control is not None:
        _add_cancelling(router, inspector, control, told)
    if subscription is not None:
        _add_events(router, inspector, subscription, told)
    return router


class Telling:
    """Writes views with the paths of the router that is asked.

    Args:
        viewer: writes views.
        events: there is a route of events.
        cancel: there is one that cancels.
    """

    def __init__(self, viewer: Viewer, *, events: bool, cancel: bool) -> None:
        self.model = viewer.model
        self._viewer = viewer
        self._events = events
        self._cancel = cancel

    def view(self, status: JobStatus, id: str, request: Request, suffix: str = "") -> JobView[Any]:
        """Return what is told of a job.

        Args:
            status: the job.
            id: the id that was asked for.
            request: which asked.
            suffix: what follows the job's own path in the request's.
        """
        here = request.url.path.removesuffix(suffix)
        links = JobLinks(
            self=here,
            events=f"{here}/events" if self._events else None,
            cancel=f"{here}/cancel" if self._cancel else None,
        )
        return self._viewer.view(status, id, links)


def _add_state(
    router: APIRouter,
    inspector: Callable[[], Inspector],
    told: Telling,
    subscription: Callable[[bytes], Subscription] | None,
) -> None:
    @router.get(
        "/{id}",
        name=STATUS_ROUTE,
        summary="A job as it is",
        description="With `Prefer: wait=20` the answer comes when the job has ended, or after 20 seconds.",
        response_model=told.model,
        responses={200: {"headers": {"Retry-After": _RETRY_AFTER}}, **_UNKNOWN},
    )
    async def job(id: str, request: Request, response: Response) -> Any:
        response.headers.update(_NO_STORE)
        with _said_in_http():
            status = await _find(inspector(), id, request)
            seconds = preferred_wait(request.headers.getlist("prefer"))
            if seconds is not None and subscription is not None:
                response.headers["Preference-Applied"] = f"wait={seconds}"
                if not status.ended:
                    await wait_for_end(subscription(raw_id(id)), request, seconds)
                    status = await _find(inspector(), id, request)
        if not status.ended:
            response.headers["Retry-After"] = str(retry_after(status, datetime.now(UTC)))
        return told.view(status, id, request)


def _add_cancelling(
    router: APIRouter, inspector: Callable[[], Inspector], control: Callable[[], Control], told: Telling
) -> None:
    @router.post(
        "/{id}/cancel",
        name=CANCEL_ROUTE,
        summary="Cancel a job",
        response_model=told.model,
        responses={
            200: {"description": "It is cancelled."},
            202: {"description": "It runs, and is asked to stop.", "model": told.model},
            409: {"description": "It has ended already, or was merged into another call by its key."},
            **_UNKNOWN,
        },
    )
    async def cancel(id: str, request: Request, response: Response) -> Any:
        response.headers.update(_NO_STORE)
        with _said_in_http():
            if is_merged(await _find(inspector(), id, request), id):
                raise HTTPException(409, "Another call's job stands for this one", headers=_NO_STORE)
            outcome = await control().cancel(id)
            if outcome is Cancel.TOO_LATE:
                raise HTTPException(409, "The job has ended already", headers=_NO_STORE)
            status = await _find(inspector(), id, request)
        if outcome is Cancel.ASKED:
            response.status_code = 202
            response.headers["Retry-After"] = str(SOONEST)
        return told.view(status, id, request, "/cancel")


def _add_events(
    router: APIRouter,
    inspector: Callable[[], Inspector],
    subscription: Callable[[bytes], Subscription],
    told: Telling,
) -> None:
    @router.get(
        "/{id}/events",
        name=EVENTS_ROUTE,
        summary="A job whenever it has changed",
        response_class=EventStream,
        status_code=200,  # FastAPI looks for a default in the response class, and this one has none
        responses={
            200: {
                "description": "Server-sent events without names; each has the job as JSON, as `GET` has. "
                "The last one says `done`."
            },
            204: {"description": "The job has ended, and the client has seen that (`Last-Event-ID`)."},
            **_UNKNOWN,
        },
    )
    async def events(id: str, request: Request) -> Response:
        with _said_in_http():
            status = await _find(inspector(), id, request)
        if nothing_new(status, request.headers.get("last-event-id")):
            return Response(status_code=204, headers=_NO_STORE)
        return EventStream(
            subscription(raw_id(id)),
            inspector().read,
            lambda status: told.view(status, id, request, "/events").model_dump_json(),
        )


def retry_after(status: JobStatus, now: datetime) -> int:
    """Return in how many seconds it is worth asking for an unfinished job again."""
    if status.state is State.PARKED:
        return LATEST
    if status.due is None or status.state is State.RUNNING:
        return SOONEST
    return min(LATEST, max(SOONEST, math.ceil((status.due - now).total_seconds())))


async def _find(inspector: Inspector, id: str, request: Request) -> JobStatus:
    status = await inspector.get(id)
    refuse_others(status, request)
    return status


@contextmanager
def _said_in_http() -> Iterator[None]:
    try:
        yield
    except JobNotFound as error:
        raise HTTPException(404, "No such job", headers=_NO_STORE) from error
    except JournalUnavailable as error:
        headers = {**_NO_STORE, "Retry-After": str(SOONEST)}
        raise HTTPException(503, "The journal cannot be used now", headers=headers) from error
