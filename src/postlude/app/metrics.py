"""Metrics for Prometheus: an ASGI application that answers with what the journal knows of all processes.

The text is written here: a client library's registry counts in one process, and what is counted here
stands in the journal.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from inspect import isawaitable
from typing import Any, Final, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from postlude.app.components import Components
from postlude.clock import SECOND
from postlude.stores.location import StoreKind
from postlude.stores.protocol import LivingRunner, QueueState, Totals

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

MOST_TASKS: Final = 200
"""Tasks that are told apart: those that the journal has met first. All others are `OTHER` together."""

OTHER: Final = "other"

Auth = Callable[[Request], bool | Awaitable[bool]]
"""Says whether a request may see the metrics. What it raises is the application's to answer."""

Labels = Mapping[str, str]


class Metric(NamedTuple):
    """One metric, and its value for each of its labels' values."""

    name: str
    kind: str
    help: str
    values: Sequence[tuple[Labels, float]]


class MetricsApp:
    """The application.

    Args:
        components: which journal, and what opens it.
        auth: who may see it; None: everybody.
    """

    def __init__(self, components: Callable[[], Components], auth: Auth | None) -> None:
        self._components = components
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> PlainTextResponse:
        if self._auth is not None:
            allowed = self._auth(request)
            if not (await allowed if isawaitable(allowed) else allowed):
                return PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET, HEAD"})
        components = self._components()
        await components.opened()
        store = components.store
        totals, queues, living = await store.totals(), await store.queues(), await store.living()
        build = {"version": version("postlude"), "store": _kind_of(store.location)}
        metrics = metrics_of(totals, queues, living, store.now(), build)
        return PlainTextResponse(text_of(metrics), media_type=MEDIA_TYPE)


def metrics_app(postlude: "HasComponents", *, auth: Auth | None = None) -> MetricsApp:
    """Return an ASGI application that answers Prometheus.

    For `app.mount("/metrics", postlude.metrics(auth=...))`. Each process of a service gives the same answer,
    and no counter falls, also when jobs are pruned or a process is killed.

    Args:
        postlude: whose journal.
        auth: says of a request whether it may see them, or awaitably so; None: who can reach it sees them.
    """
    return MetricsApp(lambda: postlude.components, auth)


class HasComponents(Protocol):
    """A `Postlude`."""

    @property
    def components(self) -> Components:
        """Its journal, and what works with it."""
        ...


def metrics_of(
    totals: Sequence[Totals],
    queues: Sequence[QueueState],
    living: Sequence[LivingRunner],
    now: int,
    build: Labels,
) -> list[Metric]:
    """Return every metric.

    Args:
        totals: how many jobs there have been.
        queues: what waits.
        living: who runs jobs.
        now: the journal's time (microseconds, UTC).
        build: what is told of the program.
    """
    kinds = dict.fromkeys(sorted(runner.kind for runner in living), 0)
    for runner in living:
        kinds[runner.kind] += 1
    return [
        Metric("postlude_jobs_added_total", "counter", "Jobs that were added.", _added(totals)),
        Metric("postlude_jobs_ended_total", "counter", "Jobs that have ended.", _ended(totals)),
        Metric("postlude_jobs_current", "gauge", "Jobs that have not ended.", list(_current(queues))),
        Metric(
            "postlude_queue_oldest_seconds",
            "gauge",
            "For how long the job that waits the longest could run; 0: none waits.",
            [
                ({"queue": one.name}, 0 if one.oldest is None else max(0, now - one.oldest) / SECOND)
                for one in queues
            ],
        ),
        Metric(
            "postlude_queue_paused",
            "gauge",
            "Whether a queue is paused.",
            [({"queue": one.name}, int(one.paused)) for one in queues],
        ),
        Metric(
            "postlude_processes",
            "gauge",
            "Runners that live.",
            [({"kind": kind}, number) for kind, number in kinds.items()],
        ),
        Metric("postlude_build_info", "gauge", "Always 1.", [(build, 1)]),
    ]


def _kind_of(location: str) -> str:
    """Return the kind of a store; a path, which tells where on the host it is, is SQLite's."""
    return StoreKind.SQLITE if os.path.isabs(location) else location.partition(":")[0]


def _added(totals: Iterable[Totals]) -> list[tuple[Labels, float]]:
    sums: dict[str, int] = {}
    for place, task in enumerate(totals):
        name = task.task if place < MOST_TASKS else OTHER
        sums[name] = sums.get(name, 0) + task.added
    return [({"task": name}, number) for name, number in sums.items()]


def _ended(totals: Iterable[Totals]) -> list[tuple[Labels, float]]:
    sums: dict[tuple[str, str], int] = {}
    for place, task in enumerate(totals):
        name = task.task if place < MOST_TASKS else OTHER
        for state in ("succeeded", "failed", "cancelled"):
            sums[name, state] = sums.get((name, state), 0) + getattr(task, state)
    return [({"task": name, "state": state}, number) for (name, state), number in sums.items()]


def _current(queues: Iterable[QueueState]) -> Iterator[tuple[Labels, float]]:
    for queue in queues:
        for state, jobs in (
            ("queued", queue.ready),
            ("scheduled", queue.scheduled),
            ("blocked", queue.blocked),
            ("running", queue.running),
            ("parked", queue.parked),
        ):
            yield {"queue": queue.name, "state": state}, jobs


def text_of(metrics: Iterable[Metric]) -> str:
    """Return metrics in Prometheus' text format, version 0.0.4."""
    return "".join(_lines(metrics))


def _lines(metrics: Iterable[Metric]) -> Iterator[str]:
    for name, kind, text, values in metrics:
        yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
        for labels, value in values:
            inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            yield f"{name}{{{inner}}} {value}\n"


def _escaped(text: Any) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
