"""Series: what has happened over an hour, a day or a week, as charts and as numbers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import add
from typing import Final

from postlude.clock import SECOND
from postlude.dashboard import charts
from postlude.dashboard.site import Visit
from postlude.dashboard.words import date_of, length, number
from postlude.model.history import ADDED, DEATHS, ENDS, MINUTE, RUN, RUN_BUCKETS, WAIT, WAIT_BUCKETS, Sum
from postlude.model.state import State

LEFT_OUT: Final = frozenset({ADDED, *DEATHS})


@dataclass(frozen=True, slots=True)
class Span:
    """How far back is looked, and in what steps."""

    name: str
    words: str
    minutes: int
    step: int
    """Minutes."""


SPANS: Final = (
    Span("1h", "hour", 60, 1),
    Span("24h", "24 hours", 24 * 60, 15),
    Span("7d", "7 days", 7 * 24 * 60, 120),
)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """The way to another span."""

    name: str
    href: str
    here: bool


def span_of(visit: Visit) -> Span:
    """Return the span that an address asks for."""
    asked = visit.asked("span")
    return next((span for span in SPANS if span.name == asked), SPANS[0])


def span_links(visit: Visit, here: Span, path: str, **query: str) -> tuple[SpanLink, ...]:
    """Return the ways to all spans of a page."""
    return tuple(SpanLink(one.name, visit.url(path, span=one.name, **query), one is here) for one in SPANS)


OPEN: Final = 2
"""Minutes that may still change: a write is counted in the minute in which it began."""


async def sums_of(visit: Visit, span: Span) -> list[Sum]:
    """Return what has happened in a span that ends now. Steps that are over are looked up once."""
    until = visit.desk.store.now() // MINUTE
    since = first_minute(until, span)
    begun = max(since, (until - OPEN) // span.step * span.step)
    over: list[Sum] = []
    if begun > since:
        over = await visit.pulse.for_good(
            ("history", since, begun, span.step), lambda: _history(visit, since, begun - 1, span.step)
        )
    fresh: list[Sum] = await visit.kept(
        ("history", begun, until, span.step), lambda: _history(visit, begun, until, span.step)
    )
    return [*over, *fresh]


async def _history(visit: Visit, since: int, until: int, step: int) -> list[Sum]:
    return await visit.desk.store.history(since, until, step)


def first_minute(until: int, span: Span) -> int:
    """Return the first minute of a span that ends in this one."""
    return (until - span.minutes) // span.step * span.step + span.step


@dataclass(frozen=True, slots=True)
class Figures:
    """What has happened, in numbers."""

    added: int
    succeeded: int
    failed: int
    cancelled: int
    attempts: int
    ran: float
    """Seconds, all together."""
    run_median: float | None
    run_most: float | None
    """95 of 100 attempts take less."""
    wait_median: float | None
    wait_most: float | None

    @property
    def ended(self) -> int:
        """How many jobs."""
        return self.succeeded + self.failed + self.cancelled


def figures_of(sums: Iterable[Sum]) -> Figures:
    """Return what sums come to."""
    ends = dict.fromkeys((State.SUCCEEDED, State.FAILED, State.CANCELLED), 0)
    added = attempts = ran = 0
    runs, waits = [0] * RUN_BUCKETS, [0] * WAIT_BUCKETS
    for one in sums:
        if one.outcome == ADDED:
            added += one.n
            continue
        state = ENDS.get(one.outcome)
        if state is not None:
            ends[state] += one.n
        attempts += one.attempts
        ran += one.ran
        runs = list(map(add, runs, one.runs))
        waits = list(map(add, waits, one.waits))
    return Figures(
        added,
        ends[State.SUCCEEDED],
        ends[State.FAILED],
        ends[State.CANCELLED],
        attempts,
        ran / SECOND,
        charts.quantile(runs, RUN, 0.5),
        charts.quantile(runs, RUN, 0.95),
        charts.quantile(waits, WAIT, 0.5),
        charts.quantile(waits, WAIT, 0.95),
    )


def by_step(visit: Visit, sums: Iterable[Sum], span: Span) -> list[tuple[int, Figures]]:
    """Return the figures of each step of a span, oldest first: its first minute, and what happened in it."""
    until = visit.desk.store.now() // MINUTE
    first = first_minute(until, span)
    found: dict[int, list[Sum]] = {minute: [] for minute in range(first, until + 1, span.step)}
    for one in sums:
        if one.minute in found:
            found[one.minute].append(one)
    return [(minute, figures_of(some)) for minute, some in found.items()]


def ended_chart(
    visit: Visit, steps: Sequence[tuple[int, Figures]], span: Span, words: str = ""
) -> charts.Chart:
    """Return how many jobs have ended in each step, by how.

    Args:
        visit: leads to the jobs of a step.
        steps: the figures.
        span: which they are of.
        words: the filter of those jobs.
    """
    columns = [
        [("succeeded", one.succeeded), ("failed", one.failed), ("cancelled", one.cancelled)]
        for _, one in steps
    ]
    top = charts.ceiling(max([sum(value for _, value in column) for column in columns] or [0]))

    def told(minute: int, one: Figures) -> tuple[str, str]:
        text = f"{clock(minute, span)}: {one.succeeded:,} succeeded, {one.failed:,} failed"
        begin, end = date_of(minute * MINUTE), date_of((minute + span.step) * MINUTE)
        query = f"{words} since:{begin:%Y-%m-%dT%H:%M} until:{end:%Y-%m-%dT%H:%M}".strip()
        return text, visit.url("jobs", q=query)

    told_of = [told(minute, one) for minute, one in steps]
    rows = [
        charts.Row(
            (clock(minute, span), *(f"{n:,}" for n in (one.added, one.succeeded, one.failed, one.cancelled))),
            href,
        )
        for (minute, one), (_, href) in zip(reversed(steps), reversed(told_of), strict=True)
        if one.added or one.ended
    ]
    return charts.Chart(
        title=f"Jobs that ended, per {per(span)}",
        top=number(top),
        bars=charts.stacked(columns, top),
        lines=(),
        slots=charts.slots(told_of),
        labels=_labels(steps, span),
        keys=(
            charts.Key("succeeded", "succeeded"),
            charts.Key("failed", "failed"),
            charts.Key("cancelled", "cancelled"),
        ),
        heads=("Time (UTC)", "Added", "Succeeded", "Failed", "Cancelled"),
        rows=tuple(rows),
        empty=not rows,
    )


def wait_chart(steps: Sequence[tuple[int, Figures]], span: Span) -> charts.Chart:
    """Return how long jobs have waited for their first attempts."""
    return _lines(
        f"Wait of jobs until they start, per {per(span)}",
        steps,
        span,
        ("Median", lambda one: one.wait_median),
        ("95 %", lambda one: one.wait_most),
    )


def run_chart(steps: Sequence[tuple[int, Figures]], span: Span) -> charts.Chart:
    """Return how long attempts have run."""
    return _lines(
        f"Run time of attempts, per {per(span)}",
        steps,
        span,
        ("Median", lambda one: one.run_median),
        ("95 %", lambda one: one.run_most),
    )


def _lines(
    title: str,
    steps: Sequence[tuple[int, Figures]],
    span: Span,
    *lines: tuple[str, Callable[[Figures], float | None]],
) -> charts.Chart:
    kinds = ("median", "most")
    found = [[value(one) for _, one in steps] for _, value in lines]
    top = charts.ceiling(max([value for values in found for value in values if value is not None] or [0]))
    rows = [
        charts.Row((clock(minute, span), *(length(value(one)) for _, value in lines)), "")
        for minute, one in reversed(steps)
        if any(value(one) is not None for _, value in lines)
    ]
    titles = [
        (
            f"{clock(minute, span)}: "
            + ", ".join(f"{name} {length(value(one)) or '-'}" for name, value in lines),
            "",
        )
        for minute, one in steps
    ]
    return charts.Chart(
        title=title,
        top=length(top),
        bars=(),
        lines=tuple(charts.line(values, top, kind) for values, kind in zip(found, kinds, strict=True)),
        slots=charts.slots(titles),
        labels=_labels(steps, span),
        keys=tuple(charts.Key(kind, name) for kind, (name, _) in zip(kinds, lines, strict=True)),
        heads=("Time (UTC)", *(name for name, _ in lines)),
        rows=tuple(rows),
        empty=not rows,
    )


def _labels(steps: Sequence[tuple[int, Figures]], span: Span) -> tuple[str, ...]:
    if not steps:
        return ()
    return f"{clock(steps[0][0], span)} UTC", clock(steps[len(steps) // 2][0], span), "now"


def clock(minute: int, span: Span) -> str:
    """Write the time of a step (UTC)."""
    time: datetime = date_of(minute * MINUTE)
    return f"{time:%H:%M}" if span.minutes <= 24 * 60 else f"{time:%a %H:%M}"


def per(span: Span) -> str:
    """Say how long a step is."""
    return "minute" if span.step == 1 else f"{span.step} min" if span.step < 60 else f"{span.step // 60} h"
