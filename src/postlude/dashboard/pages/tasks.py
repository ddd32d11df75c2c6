"""Tasks and queues: what is done, what it costs, and who is loaded."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from postlude.dashboard import charts
from postlude.dashboard.pages.failures import GroupRow, groups_since, rows_of_groups
from postlude.dashboard.pages.rows import JobRow, rows_of
from postlude.dashboard.pages.series import (
    Figures,
    Span,
    SpanLink,
    by_step,
    ended_chart,
    figures_of,
    run_chart,
    span_links,
    span_of,
    sums_of,
    wait_chart,
)
from postlude.dashboard.site import Visit
from postlude.dashboard.words import length, percent, rough, short_name
from postlude.jobs.selection import Selection
from postlude.model.history import Sum
from postlude.model.job import JobFilter, JobRecord
from postlude.model.state import State
from postlude.stores.protocol import Counts, LivingRunner, Pause, QueueState
from postlude.stores.values import is_unserved

ORDERS: Final[dict[str, Callable[[Any], float]]] = {
    "total": lambda row: row.figures.ran,
    "ended": lambda row: row.figures.ended,
    "failed": lambda row: row.figures.failed,
    "run": lambda row: row.figures.run_most or 0.0,
    "wait": lambda row: row.figures.wait_most or 0.0,
}
"""By what tasks are sorted, the most first."""

SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task."""

    name: str
    function: str
    href: str
    figures: Figures
    share: float
    """Of all time that tasks took, from 0 to 1."""
    total: str
    failed: str
    run_median: str
    run_most: str
    wait_most: str
    waiting: int
    running: int
    paused: bool


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue."""

    name: str
    href: str
    ready: int
    scheduled: int
    blocked: int
    running: int
    parked: int
    oldest: str
    wait_most: str
    served: int
    """How many processes take it."""
    unserved: bool
    paused: bool


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column, and the way to its order."""

    key: str
    name: str
    href: str
    here: bool


@dataclass(frozen=True, slots=True)
class TasksPage:
    """What the page shows."""

    span: Span
    spans: tuple[SpanLink, ...]
    heads: tuple[Head, ...]
    tasks: tuple[TaskRow, ...]
    queues: tuple[QueueRow, ...]
    csv: str
    may_pause: bool


@dataclass(frozen=True, slots=True)
class TaskPage:
    """What the page of one task shows."""

    row: TaskRow
    span: Span
    spans: tuple[SpanLink, ...]
    states: tuple[tuple[str, int, str], ...]
    charts: tuple[charts.Chart, ...]
    groups: tuple[GroupRow, ...]
    jobs: tuple[JobRow, ...]
    jobs_href: str
    may_pause: bool


async def page(visit: Visit) -> Response:
    """Answer with both tables; with the first as CSV, if that is asked for."""
    span = span_of(visit)
    order = visit.asked("by") if visit.asked("by") in ORDERS else "total"
    sums = await sums_of(visit, span)
    rows = sorted(await _tasks(visit, sums), key=lambda row: (-ORDERS[order](row), row.name))
    if visit.asked("as") == "csv":
        return _csv(rows, span)
    names = (
        ("total", "Total time"),
        ("ended", "Ended"),
        ("failed", "Failed"),
        ("run", "Run"),
        ("wait", "Wait"),
    )
    shown = TasksPage(
        span=span,
        spans=span_links(visit, span, "tasks", by=order),
        heads=tuple(
            Head(key, name, visit.url("tasks", span=span.name, by=key), key == order) for key, name in names
        ),
        tasks=tuple(rows),
        queues=await queue_rows(visit, sums),
        csv=visit.url("tasks", span=span.name, **{"as": "csv"}),
        may_pause="pause" in visit.access.act,
    )
    return await visit.page("tasks.html", "Tasks and queues", "tasks", page=shown)


async def one(visit: Visit) -> Response:
    """Answer with one task."""
    name, span = visit.asked("name"), span_of(visit)
    sums = await sums_of(visit, span)
    row = next((row for row in await _tasks(visit, sums) if row.name == name), None)
    if row is None:
        return await visit.page("missing.html", "No such task", "tasks", status=404, what="task")
    steps = by_step(visit, [one for one in sums if one.task == name], span)
    words = Selection(task=name).words()
    counts: list[Counts] = await visit.kept("counts", visit.desk.store.counts)
    states = Counter({count.state: count.jobs for count in counts if count.task == name})
    wanted = JobFilter(task=name, limit=SHOWN, within=100_000)
    records: list[JobRecord] = await visit.kept(("jobs", wanted), lambda: visit.desk.store.page(wanted))
    groups = [group for group in await groups_since(visit, 86_400) if group.task == name]
    shown = TaskPage(
        row=row,
        span=span,
        spans=span_links(visit, span, "tasks/one", name=name),
        states=tuple(
            (state.value, states[state], visit.url("jobs", q=f"state:{state.value} {words}"))
            for state in State
            if states[state]
        ),
        charts=(ended_chart(visit, steps, span, words), run_chart(steps, span), wait_chart(steps, span)),
        groups=await rows_of_groups(visit, groups[:5]),
        jobs=rows_of(visit, records),
        jobs_href=visit.url("jobs", q=words),
        may_pause="pause" in visit.access.act,
    )
    return await visit.page("task.html", row.function, "tasks", page=shown)


async def _tasks(visit: Visit, sums: Sequence[Sum]) -> list[TaskRow]:
    counts: list[Counts] = await visit.kept("counts", visit.desk.store.counts)
    paused = {each.name for each in await _paused(visit) if each.kind == "task"}
    states: dict[str, Counter[State]] = {}
    for count in counts:
        states.setdefault(count.task, Counter())[count.state] += count.jobs
    found: dict[str, list[Sum]] = {name: [] for name in [*states, *paused]}
    for each in sums:
        found.setdefault(each.task, []).append(each)
    whole = sum(each.ran for each in sums) / 1_000_000
    return [
        _task(visit, name, figures_of(some), whole, states.get(name, Counter()), name in paused)
        for name, some in found.items()
    ]


def _task(
    visit: Visit, name: str, figures: Figures, whole: float, states: Counter[State], paused: bool
) -> TaskRow:
    return TaskRow(
        name=name,
        function=short_name(name),
        href=visit.url("tasks/one", name=name),
        figures=figures,
        share=figures.ran / whole if whole else 0.0,
        total=length(figures.ran) if figures.ran else "",
        failed=percent(figures.failed, figures.ended) if figures.failed else "",
        run_median=length(figures.run_median),
        run_most=length(figures.run_most),
        wait_most=length(figures.wait_most),
        waiting=states[State.QUEUED],
        running=states[State.RUNNING],
        paused=paused,
    )


async def queue_rows(visit: Visit, sums: Iterable[Sum]) -> tuple[QueueRow, ...]:
    """Return the queues as they stand in a list."""
    queues: list[QueueState] = await visit.kept("queues", visit.desk.store.queues)
    living: list[LivingRunner] = await visit.kept("living", visit.desk.store.living)
    by_queue: dict[str, list[Sum]] = {}
    for each in sums:
        by_queue.setdefault(each.queue, []).append(each)
    known = {one.name: one for one in queues}
    names = sorted({*known, *by_queue, *visit.desk.queues})
    return tuple(
        _queue(visit, known.get(name) or QueueState(name, False, 0, 0, 0, 0, 0, None), living, by_queue)
        for name in names
        if name
    )


def _queue(
    visit: Visit, one: QueueState, living: Sequence[LivingRunner], by_queue: dict[str, list[Sum]]
) -> QueueRow:
    return QueueRow(
        name=one.name,
        href=visit.url("jobs", q=Selection(queue=one.name).words()),
        ready=one.ready,
        scheduled=one.scheduled,
        blocked=one.blocked,
        running=one.running,
        parked=one.parked,
        oldest="" if one.oldest is None else rough(visit.age(one.oldest)),
        wait_most=length(figures_of(by_queue.get(one.name, ())).wait_most),
        served=sum(runner.serves and one.name in runner.queues for runner in living),
        unserved=is_unserved(one.name, living),
        paused=one.paused,
    )


async def _paused(visit: Visit) -> list[Pause]:
    found: list[Pause] = await visit.kept("paused", visit.desk.store.paused)
    return found


def _csv(rows: Sequence[TaskRow], span: Span) -> Response:
    """Write the tasks for a spreadsheet. A name that it would take for a formula gets a mark before it."""
    heads = "task,added,succeeded,failed,cancelled,attempts,run_seconds,run_median,run_95,wait_95"
    lines = [heads, *(_csv_line(row) for row in rows)]
    name = f'attachment; filename="postlude-tasks-{span.name}.csv"'
    text = "\r\n".join(lines) + "\r\n"
    return Response(text, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})


def _csv_line(row: TaskRow) -> str:
    one = row.figures
    cells: list[Any] = [
        row.name, one.added, one.succeeded, one.failed, one.cancelled, one.attempts, round(one.ran, 3),
        one.run_median, one.run_most, one.wait_most,
    ]  # fmt: skip
    return ",".join(map(_cell, cells))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        return text
    text = f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
    return '"' + text.replace('"', '""') + '"'
