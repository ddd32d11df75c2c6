"""Now: what is wrong, how much waits and runs, and what has happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from postlude.dashboard import charts
from postlude.dashboard.pages.audit import AuditRow, rows_of_lines
from postlude.dashboard.pages.failures import GroupRow, groups_since, rows_of_groups
from postlude.dashboard.pages.health import RECENT, Seen, Sentence, health
from postlude.dashboard.pages.series import (
    SPANS,
    SpanLink,
    by_step,
    ended_chart,
    figures_of,
    span_links,
    span_of,
    sums_of,
    wait_chart,
)
from postlude.dashboard.site import Visit
from postlude.dashboard.words import counted, length, number, percent, rough
from postlude.model.history import MINUTE
from postlude.model.job import JobFilter, JobRecord
from postlude.model.state import State
from postlude.stores.protocol import Counts, LivingRunner, QueueState

RATE: Final = 5
"""Minutes over which what happens in one is counted, with the one that goes on."""

LOOKED_AT: Final = 200
"""Running and parked jobs that are looked at."""

SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Number:
    """One of the numbers at the top."""

    name: str
    value: str
    beside: str
    href: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class NowPage:
    """What the page shows."""

    sentences: tuple[Sentence, ...]
    well: str
    """Said if nothing is wrong."""
    numbers: tuple[Number, ...]
    spans: tuple[SpanLink, ...]
    charts: tuple[charts.Chart, ...]
    groups: tuple[GroupRow, ...]
    acts: tuple[AuditRow, ...]
    none: bool
    """No job has been added yet."""


async def page(visit: Visit) -> Response:
    """Answer with the page."""
    store, span = visit.desk.store, span_of(visit)
    counts: list[Counts] = await visit.kept("counts", store.counts)
    queues: list[QueueState] = await visit.kept("queues", store.queues)
    living: list[LivingRunner] = await visit.kept("living", store.living)
    hour = await sums_of(visit, SPANS[0])
    sums = await sums_of(visit, span)
    groups = await groups_since(visit, 86_400)
    parked = await _some(visit, State.PARKED) if any(one.parked for one in queues) else []
    running = await _some(visit, State.RUNNING) if any(one.running for one in queues) else []
    counters = visit.desk.counters
    seen = Seen(
        queues,
        living,
        hour,
        await groups_since(visit, RECENT * 60) if groups else [],
        [(record.task, str(record.reason)) for record in parked],
        counters.hung_threads,
        counters.memory_only,
    )
    steps = by_step(visit, sums, span)
    shown = NowPage(
        sentences=health(visit, seen),
        well=_well(hour, living),
        numbers=(
            _waiting(visit, queues),
            _running(visit, living, running, queues),
            *_rates(visit, hour),
        ),
        spans=span_links(visit, span, ""),
        charts=(ended_chart(visit, steps, span), wait_chart(steps, span)),
        groups=await rows_of_groups(visit, groups[:SHOWN]),
        acts=rows_of_lines(visit, await visit.kept("acts8", lambda: store.audit(limit=SHOWN))),
        none=not counts,
    )
    return await visit.page("now.html", "Now", "now", page=shown)


async def _some(visit: Visit, state: State) -> list[JobRecord]:
    wanted = JobFilter(states=(state,), limit=LOOKED_AT)
    found: list[JobRecord] = await visit.kept(("jobs", wanted), lambda: visit.desk.store.page(wanted))
    return found


def _well(hour: Sequence[Any], living: Sequence[LivingRunner]) -> str:
    ended = figures_of(hour).ended
    serving = sum(one.serves for one in living)
    told = f"{counted(ended)} ended in the last hour" if ended else "No job has ended in the last hour"
    return f"All well. {told}; {counted(serving, 'process runs', 'processes run')} jobs."


def _waiting(visit: Visit, queues: Sequence[QueueState]) -> Number:
    waiting = sum(one.ready + one.blocked for one in queues)
    later = sum(one.scheduled for one in queues)
    oldest = min((one.oldest for one in queues if one.oldest is not None), default=None)
    beside = [f"oldest {rough(visit.age(oldest))}"] if oldest is not None and waiting else []
    beside += [f"{later:,} scheduled"] if later else []
    return Number("Waiting", f"{waiting:,}", " · ".join(beside), visit.url("jobs", q="state:queued"))


def _running(
    visit: Visit, living: Sequence[LivingRunner], running: Sequence[JobRecord], queues: Sequence[QueueState]
) -> Number:
    slots = sum(one.slots or 0 for one in living if one.serves)
    started = [record.started for record in running if record.started is not None]
    beside = [f"longest {rough(visit.age(min(started)))}"] if started else []
    beside += [f"of {counted(slots, 'slot', 'slots')}"] if slots else []
    number = sum(one.running for one in queues)
    return Number("Running", f"{number:,}", " · ".join(beside), visit.url("jobs", q="state:running"))


def _rates(visit: Visit, hour: Sequence[Any]) -> tuple[Number, Number]:
    until = visit.desk.store.now() // MINUTE
    last = figures_of(one for one in hour if one.minute > until - RATE)
    beside = f"95 % run within {length(last.run_most)}" if last.run_most is not None else "in the last 5 min"
    ended = Number("Ended per minute", number(last.ended / RATE), beside, visit.url("jobs", q="since:15m"))
    share = percent(last.failed, last.ended)
    failed = Number(
        "Failed per minute",
        number(last.failed / RATE),
        f"{share} of those that end" if last.failed else "in the last 5 min",
        visit.url("jobs", q="state:failed since:15m"),
        "failed" if last.failed else "",
    )
    return ended, failed
