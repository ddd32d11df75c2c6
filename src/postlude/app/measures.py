"""What metrics tell, whoever is told: read at one moment from the journal, which knows of all processes.

Prometheus gets it by `postlude.metrics()`, OpenTelemetry by `postlude.integrations.opentelemetry`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from typing import Final, Literal, NamedTuple

from postlude.app.exposition import Histogram, Labels, Measured, Metric
from postlude.clock import SECOND
from postlude.model import counted as names
from postlude.model.counted import ADD, Counted
from postlude.model.history import RUN, WAIT, Sum
from postlude.stores.location import StoreKind
from postlude.stores.protocol import LivingRunner, QueueState, Totals
from postlude.stores.scheduling import ScheduleRecord
from postlude.telemetry.refusals import WHY

MOST_TASKS: Final = 200
"""Tasks that are told apart: those that the journal has met first. All others are `OTHER` together."""

OTHER: Final = "other"

Values = list[tuple[Labels, float]]


@dataclass(frozen=True)
class Measures:
    """What metrics are made of."""

    totals: Sequence[Totals] = ()
    """How many jobs there have been."""
    ever: Sequence[Sum] = ()
    """What has happened to them, of all time."""
    queues: Sequence[QueueState] = ()
    living: Sequence[LivingRunner] = ()
    """Who runs jobs."""
    counted: Sequence[Counted] = ()
    """What processes have counted."""
    schedules: Sequence[ScheduleRecord] = ()
    size: int | None = None
    """How much room the journal takes. Bytes."""
    now: int = 0
    """The journal's time (microseconds, UTC)."""
    outbox: int | None = None
    """How many jobs wait in the application's outboxes; None: it has none, or they do not answer."""
    slots: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of this process: how many there are of each kind, and how many are busy."""
    hung: int = 0
    """Of this process: threads that hang."""
    location: str = ""
    """Where the journal is."""


class Measure(NamedTuple):
    """A counter or a gauge.

    Attributes:
        name: OpenTelemetry's, after `postlude.`.
        kind: counters never fall.
        unit: as OpenTelemetry writes units.
        about: what it counts, in a sentence.
        of: its value, for each of its labels' values.
        prometheus: its name there, if it is another than the standard translation's.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    about: str
    of: Callable[[Measures], Values]
    prometheus: str = ""

    @property
    def exposed(self) -> str:
        """Its name for Prometheus."""
        unit = {"s": ["seconds"], "By": ["bytes"]}.get(self.unit, [])
        parts = ["postlude", *self.name.split("."), *unit, *(["total"] if self.kind == "counter" else [])]
        return self.prometheus or "_".join(parts)


class _Names:
    """The names of tasks as labels: those that the journal has met first as they are, all others as one."""

    def __init__(self, measures: Measures) -> None:
        tasks = dict.fromkeys(one.task for one in measures.totals)
        self._known = frozenset(islice(tasks, MOST_TASKS))

    def __call__(self, task: str) -> str:
        return task if task in self._known else OTHER


def _added(measures: Measures) -> Values:
    task, sums = _Names(measures), Counter[tuple[str, str]]()
    for one in measures.totals:
        sums[task(one.task), one.queue] += one.added
    return [({"task": name, "queue": queue}, jobs) for (name, queue), jobs in sums.items()]


def _ended(measures: Measures) -> Values:
    task, sums = _Names(measures), Counter[tuple[str, str, str]]()
    for one in measures.totals:
        for state in ("succeeded", "failed", "cancelled"):
            sums[task(one.task), one.queue, state] += getattr(one, state)
    return [({"task": name, "queue": queue, "state": state}, n) for (name, queue, state), n in sums.items()]


def _attempts(measures: Measures) -> Values:
    task, sums = _Names(measures), Counter[tuple[str, str, str]]()
    for one in measures.ever:
        if one.attempts:
            sums[task(one.task), one.queue, one.outcome] += one.attempts
    return [({"task": name, "queue": queue, "outcome": word}, n) for (name, queue, word), n in sums.items()]


def _current(measures: Measures) -> Values:
    return [
        ({"queue": queue.name, "state": state}, jobs)
        for queue in measures.queues
        for state, jobs in (
            ("queued", queue.ready),
            ("scheduled", queue.scheduled - queue.retrying),
            ("retrying", queue.retrying),
            ("blocked", queue.blocked),
            ("running", queue.running),
            ("parked", queue.parked),
        )
    ]


def _oldest(measures: Measures) -> Values:
    return [
        ({"queue": one.name}, 0 if one.oldest is None else max(0, measures.now - one.oldest) / SECOND)
        for one in measures.queues
    ]


def _paused(measures: Measures) -> Values:
    return [({"queue": one.name}, int(one.paused)) for one in measures.queues]


def _processes(measures: Measures) -> Values:
    kinds = Counter(sorted(runner.kind for runner in measures.living))
    return [({"kind": kind}, number) for kind, number in kinds.items()]


def _counted(name: str, label: str = "", zero: Iterable[str] = ("",)) -> Callable[[Measures], Values]:
    """Return what gives the numbers that were counted under a name, by its label; 0 of those in `zero`."""

    def of(measures: Measures) -> Values:
        found = dict.fromkeys(zero, 0) | {one.label: one.n for one in measures.counted if one.name == name}
        return [({label: value} if label else {}, n) for value, n in found.items()]

    return of


def _last_runs(measures: Measures) -> Values:
    return [
        ({"schedule": one.schedule.name}, one.last.due / SECOND)
        for one in measures.schedules
        if one.last is not None and one.last.ran
    ]


def _missed(measures: Measures) -> Values:
    return _counted(names.TIMES_MISSED, "schedule", [one.schedule.name for one in measures.schedules])(
        measures
    )


def _slots(measures: Measures, which: int) -> Values:
    return [({"kind": kind}, both[which]) for kind, both in measures.slots.items()]


def _hung(measures: Measures) -> Values:
    return _one(measures.hung)


def _one(value: float | None) -> Values:
    return [] if value is None else [({}, value)]


_died, _lost, _stale, _stalls = map(
    _counted, (names.PROCESSES_DIED, names.LEASES_LOST, names.ENDS_STALE, names.LOOP_STALLS)
)


MEASURES: Final = (
    Measure("jobs.added", "counter", "{job}", "Jobs that were added.", _added),
    Measure("jobs.ended", "counter", "{job}", "Jobs that have ended.", _ended),
    Measure("attempts", "counter", "{attempt}", "Attempts that have ended.", _attempts),
    Measure("jobs.current", "gauge", "{job}", "Jobs that have not ended.", _current),
    Measure("queue.oldest", "gauge", "s", "For how long a job could have run; 0: none waits.", _oldest),
    Measure("queue.paused", "gauge", "", "Whether a queue is paused.", _paused),
    Measure("processes", "gauge", "{process}", "Runners that live.", _processes),
    Measure("processes.died", "counter", "{process}", "Runners that have died.", _died),
    Measure("leases.lost", "counter", "{lease}", "Leases that runners have lost.", _lost),
    Measure("ends.stale", "counter", "{attempt}", "Ends of attempts that came too late.", _stale),
    Measure("loop.stalls", "counter", "{stall}", "Times that a loop stood still.", _stalls),
    Measure(
        "adds.refused", "counter", "{job}", "Jobs that were not added.",
        _counted(names.ADDS_REFUSED, "why", WHY),
    ),
    Measure(
        "memory_only", "counter", "{task}", "Tasks that ran in memory only.",
        _counted(names.MEMORY_ONLY, "task", ()),
    ),
    Measure(
        "schedule.last_run", "gauge", "s", "The last due time of a schedule that became a job, since 1970.",
        _last_runs, "postlude_schedule_last_run_timestamp_seconds",
    ),
    Measure("schedule.missed", "counter", "{time}", "Due times at which nobody was there.", _missed),
    Measure("journal.size", "gauge", "By", "Room that the journal takes on disk.", lambda m: _one(m.size)),
    Measure(
        "outbox.waiting", "gauge", "{job}", "Jobs that wait in an outbox for the journal.",
        lambda m: _one(m.outbox),
    ),
    Measure("slots", "gauge", "{slot}", "Jobs that this process can run at once.", lambda m: _slots(m, 0)),
    Measure("slots.busy", "gauge", "{slot}", "Jobs that this process runs.", lambda m: _slots(m, 1)),
    Measure("threads.hung", "gauge", "{thread}", "Threads of this process that hang.", _hung),
)  # fmt: skip
"""The last three are of the process that answers; all others are of all: each process tells the same."""


def metrics_of(measures: Measures) -> list[Metric | Histogram]:
    """Return every metric, for Prometheus."""
    task, ever = _Names(measures), measures.ever
    build = {"version": version("postlude"), "store": kind_of(measures.location)}
    return [
        *(Metric(one.exposed, one.kind, one.about, one.of(measures)) for one in MEASURES),
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
        Histogram(
            "postlude_add_duration_seconds",
            "For how long responses have waited for the journal.",
            ADD,
            list(_adds(measures.counted)),
        ),
        Metric("postlude_build_info", "gauge", "Always 1.", [(build, 1)]),
    ]


def kind_of(location: str) -> str:
    """Return the kind of a store; a path, which tells where on the host it is, is SQLite's."""
    return StoreKind.SQLITE if os.path.isabs(location) else location.partition(":")[0]


def _adds(counted: Iterable[Counted]) -> Iterator[tuple[Labels, Measured]]:
    found = {(one.name, one.label): one.n for one in counted}
    numbers = [found.get((names.ADDS_TIMED, str(place)), 0) for place in range(len(ADD) + 1)]
    yield {}, Measured(numbers, found.get((names.ADDS_TIME, ""), 0) / SECOND)


def _measured(
    ever: Iterable[Sum], key: Callable[[Sum], tuple[str, ...]], counts: str, total: str
) -> list[tuple[Labels, Measured]]:
    """Add up the measures of all that have a key."""
    found: dict[tuple[str, ...], tuple[list[int], int]] = {}
    for one in ever:
        mine: tuple[int, ...] = getattr(one, counts)
        if any(mine):
            labels = key(one)
            before, spent = found.get(labels, ([0] * len(mine), 0))
            both = [a + b for a, b in zip(before, mine, strict=True)]
            found[labels] = both, spent + getattr(one, total)
    return [
        (dict(zip(("task", "queue", "outcome"), labels, strict=False)), Measured(numbers, spent / SECOND))
        for labels, (numbers, spent) in found.items()
    ]
