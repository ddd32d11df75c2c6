"""Metrics for Prometheus: an ASGI application that answers with what the journal knows of all processes.

The text is written here: a client library's registry counts in one process, and what is counted here
stands in the journal.
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from inspect import isawaitable
from itertools import islice
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from postlude.app.components import Components
from postlude.app.exposition import MEDIA_TYPE, Histogram, Labels, Measured, Metric, text_of
from postlude.clock import SECOND
from postlude.model.history import RUN, WAIT, Sum
from postlude.stores.location import StoreKind
from postlude.stores.protocol import LivingRunner, QueueState, Totals

MOST_TASKS: Final = 200
"""Tasks that are told apart: those that the journal has met first. All others are `OTHER` together."""

OTHER: Final = "other"

Auth = Callable[[Request], bool | Awaitable[bool]]
"""Says whether a request may see the metrics. What it raises is the application's to answer."""


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
        totals, ever, queues = await store.totals(), await store.history(), await store.queues()
        living = await store.living()
        build = {"version": version("postlude"), "store": _kind_of(store.location)}
        metrics = metrics_of(totals, ever, queues, living, store.now(), build)
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
    ever: Sequence[Sum],
    queues: Sequence[QueueState],
    living: Sequence[LivingRunner],
    now: int,
    build: Labels,
) -> list[Metric | Histogram]:
    """Return every metric.

    Args:
        totals: how many jobs there have been.
        ever: what has happened to them, of all time.
        queues: what waits.
        living: who runs jobs.
        now: the journal's time (microseconds, UTC).
        build: what is told of the program.
    """
    kinds = dict.fromkeys(sorted(runner.kind for runner in living), 0)
    for runner in living:
        kinds[runner.kind] += 1
    task = _Names(one.task for one in totals)
    return [
        Metric("postlude_jobs_added_total", "counter", "Jobs that were added.", _added(totals, task)),
        Metric("postlude_jobs_ended_total", "counter", "Jobs that have ended.", _ended(totals, task)),
        Metric("postlude_attempts_total", "counter", "Attempts that have ended.", _attempts(ever, task)),
        Histogram(
            "postlude_run_duration_seconds",
            "For how long attempts have run.",
            RUN,
            _measured(ever, lambda one: (task(one.task), one.queue, one.outcome), "runs", "ran"),
        ),
        Histogram(
            "postlude_wait_duration_seconds",
            "From when jobs were due to the start of their first attempts.",
            WAIT,
            _measured(ever, lambda one: (task(one.task), one.queue), "waits", "waited"),
        ),
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


class _Names:
    """The names of tasks as labels: those that the journal has met first as they are, all others as one.

    Args:
        tasks: all of them, in the order in which the journal has met them.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        self._known = frozenset(islice(dict.fromkeys(tasks), MOST_TASKS))

    def __call__(self, task: str) -> str:
        return task if task in self._known else OTHER


def _added(totals: Iterable[Totals], task: _Names) -> list[tuple[Labels, float]]:
    sums: Counter[tuple[str, str]] = Counter()
    for one in totals:
        sums[task(one.task), one.queue] += one.added
    return [({"task": name, "queue": queue}, jobs) for (name, queue), jobs in sums.items()]


def _ended(totals: Iterable[Totals], task: _Names) -> list[tuple[Labels, float]]:
    sums: Counter[tuple[str, str, str]] = Counter()
    for one in totals:
        for state in ("succeeded", "failed", "cancelled"):
            sums[task(one.task), one.queue, state] += getattr(one, state)
    return [({"task": name, "queue": queue, "state": state}, n) for (name, queue, state), n in sums.items()]


def _attempts(ever: Iterable[Sum], task: _Names) -> list[tuple[Labels, float]]:
    sums: Counter[tuple[str, str, str]] = Counter()
    for one in ever:
        if one.attempts:
            sums[task(one.task), one.queue, one.outcome] += one.attempts
    return [({"task": name, "queue": queue, "outcome": word}, n) for (name, queue, word), n in sums.items()]


def _measured(
    ever: Iterable[Sum], key: Callable[[Sum], tuple[str, ...]], counts: str, total: str
) -> list[tuple[Labels, Measured]]:
    """Add up the measures of all that have a key."""
    found: dict[tuple[str, ...], tuple[list[int], int]] = {}
    for one in ever:
        mine: tuple[int, ...] = getattr(one, counts)
        if any(mine):
            names = key(one)
            before, spent = found.get(names, ([0] * len(mine), 0))
            both = [a + b for a, b in zip(before, mine, strict=True)]
            found[names] = both, spent + getattr(one, total)
    return [
        (dict(zip(("task", "queue", "outcome"), names, strict=False)), Measured(numbers, spent / SECOND))
        for names, (numbers, spent) in found.items()
    ]


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
