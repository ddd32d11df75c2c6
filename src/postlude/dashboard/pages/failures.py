"""Failures: those of one kind in one row, and the page of one kind."""

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from postlude.clock import SECOND
from postlude.dashboard import charts
from postlude.dashboard.masking import MASK, Called, masker_of
from postlude.dashboard.pages.rows import REASONS, JobRow, rows_of
from postlude.dashboard.pages.series import SPANS, sums_of
from postlude.dashboard.site import Visit
from postlude.dashboard.tracebacks import Part, parts_of
from postlude.dashboard.words import Moment, short_name
from postlude.jobs.selection import Selection
from postlude.messages.quoting import cut
from postlude.model.failure import FailureGroup
from postlude.model.history import ENDS, Sum
from postlude.model.job import JobFilter, JobRecord
from postlude.model.state import Reason, State

PAGE: Final = 25
"""Kinds on a page."""

DAYS: Final = {"1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "all": 0}
SAMPLES: Final = 5
COMPARED: Final = 200
"""Jobs of a kind whose arguments are compared."""

EXPLAINED: Final = {
    Reason.KILLED: "Their processes died three times while they ran. Look for what kills them: memory?",
    Reason.MAY_HAVE_RUN: "They run at most once, and their process died after claiming them: they may have "
    "run, or not. To retry them is to run some of them twice.",
    Reason.TIMED_OUT: "Their last attempts took longer than they may.",
    Reason.DEADLINE: "The time for all of their attempts was over.",
    Reason.UNACKNOWLEDGED: "Their clients were told 503 although the write then went through.",
}


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Failures of one kind."""

    kind: str
    message: str
    place: str
    task: str
    name: str
    jobs: int
    href: str
    release: str
    """That has run the newest of them; empty: it is not known."""
    first: Moment | None
    last: Moment | None
    recent: bool
    """The last was within ten minutes."""
    spark: tuple[charts.Bar, ...]
    sparked: int
    """How many jobs of its task have failed in the 24 hours that the small chart shows."""


@dataclass(frozen=True, slots=True)
class SpanChoice:
    """The way to failures of another time."""

    name: str
    href: str
    here: bool


@dataclass(frozen=True, slots=True)
class FailuresPage:
    """What the page shows."""

    rows: tuple[GroupRow, ...]
    kinds: int
    jobs: int
    spans: tuple[SpanChoice, ...]
    more: str


@dataclass(frozen=True, slots=True)
class Shared:
    """A value that many of the arguments have."""

    name: str
    value: str
    jobs: int
    of: int
    href: str


@dataclass(frozen=True, slots=True)
class GroupPage:
    """What the page of one kind shows."""

    row: GroupRow
    explained: str
    parts: tuple[Part, ...]
    raw: str
    newest: str
    releases: tuple[str, ...]
    """Those that have run the oldest and the newest that were compared, in this order."""
    shared: tuple[Shared, ...]
    compared: int
    samples: tuple[JobRow, ...]
    query: str
    jobs_href: str
    once: bool
    """They may have run: to retry them is not a thing of one click."""
    acts: tuple[str, ...]


async def page(visit: Visit) -> Response:
    """Answer with the list."""
    name = visit.asked("span") if visit.asked("span") in DAYS else "24h"
    groups = await groups_since(visit, DAYS[name])
    many = PAGE * 8 if visit.asked("all") else PAGE
    shown = FailuresPage(
        rows=await rows_of_groups(visit, groups[:many]),
        kinds=len(groups),
        jobs=sum(group.jobs for group in groups),
        spans=tuple(SpanChoice(one, visit.url("failures", span=one), one == name) for one in DAYS),
        more=visit.url("failures", span=name, all=1) if len(groups) > many else "",
    )
    return await visit.page("failures.html", "Failures", "failures", page=shown)


async def groups_since(visit: Visit, seconds: int) -> list[FailureGroup]:
    """Return the kinds of failures of the last seconds; 0: of all that are kept. To the minute."""
    now = visit.desk.store.now()
    since = (now - seconds * SECOND) // (60 * SECOND) * 60 * SECOND if seconds else 0
    found: list[FailureGroup] = await visit.kept(("groups", since), lambda: visit.desk.store.groups(since))
    return found


async def rows_of_groups(visit: Visit, groups: list[FailureGroup]) -> tuple[GroupRow, ...]:
    """Return kinds of failures as they stand in a list, each with what its newest job says."""
    day = await sums_of(visit, SPANS[1])
    return tuple([await _row(visit, group, day) for group in groups])


async def _row(visit: Visit, group: FailureGroup, day: list[Sum]) -> GroupRow:
    record: JobRecord | None = await visit.kept(
        ("job", group.newest), lambda: visit.desk.store.get(group.newest)
    )
    hours = Counter[int]()
    for one in day:
        if one.task == group.task and ENDS.get(one.outcome) is State.FAILED:
            hours[one.minute // 60] += one.n
    now = visit.desk.store.now() // (3600 * SECOND)
    spark = [hours[hour] for hour in range(now - 23, now + 1)]
    return GroupRow(
        kind=_kind(group.kind),
        message=_message(visit, record, group),
        place=group.place,
        task=group.task,
        name=short_name(group.task),
        jobs=group.jobs,
        href=visit.url("failures/group", task=group.task, kind=group.kind or "-", place=group.place),
        release=_release(record),
        first=visit.moment(group.first),
        last=visit.moment(group.last),
        recent=visit.age(group.last) < 600,
        spark=charts.spark(spark),
        sparked=sum(spark),
    )


def _release(record: JobRecord | None) -> str:
    """Return the release that has run a job's last attempt; empty: it is not known."""
    return record.attempts[-1].release if record is not None and record.attempts else ""


def _kind(kind: str) -> str:
    """Return what a kind of failures is called."""
    if not kind:
        return "Of an older release"
    if kind in set(Reason):
        return REASONS[Reason(kind)].capitalize()
    return kind.rpartition(".")[2] or kind


def _message(visit: Visit, record: JobRecord | None, group: FailureGroup) -> str:
    if record is None or not record.error:
        return ""
    status = visit.desk.inspector.read(record)
    masker, parameters = masker_of(visit.desk.registry, record.task)
    Called(status.arguments, parameters, masker)
    text = masker.text(record.error).split("\n")[0]
    return cut(text.removeprefix(group.kind).removeprefix(":").strip(), 240)


async def group(visit: Visit) -> Response:
    """Answer with one kind."""
    task, kind, place = visit.asked("task"), visit.asked("kind"), visit.asked("place")
    kind = "" if kind == "-" else kind
    found = [
        one for one in await groups_since(visit, 0) if (one.task, one.kind, one.place) == (task, kind, place)
    ]
    if not found:
        return await visit.page("missing.html", "None left", "failures", what="failure")
    shown = await _group(visit, found[0])
    return await visit.page("group.html", f"{shown.row.kind} in {shown.row.name}", "failures", page=shown)


async def _group(visit: Visit, one: FailureGroup) -> GroupPage:
    store = visit.desk.store
    (row,) = await rows_of_groups(visit, [one])
    wanted = JobFilter(states=(State.FAILED,), task=one.task, failure=(one.kind, one.place), limit=COMPARED)
    records: list[JobRecord] = await visit.kept(("jobs", wanted), lambda: store.page(wanted))
    newest: JobRecord | None = await visit.kept(("job", one.newest), lambda: store.get(one.newest))
    selection = Selection(task=one.task, failure=one.kind or "-", raised=one.place or None)
    raw = ""
    if newest is not None and newest.attempts:
        masker, parameters = masker_of(visit.desk.registry, one.task)
        Called(visit.desk.inspector.read(newest).arguments, parameters, masker)
        raw = masker.text(newest.attempts[-1].traceback)
    return GroupPage(
        row=row,
        explained=EXPLAINED.get(Reason(one.kind), "") if one.kind in set(Reason) else "",
        parts=parts_of(raw) if raw.strip() else (),
        raw=raw,
        newest="" if newest is None else visit.url(f"jobs/{visit.desk.inspector.read(newest).id}"),
        releases=await _releases(visit, records),
        shared=_shared(visit, records, selection) if "arguments" in visit.access.see else (),
        compared=len(records),
        samples=rows_of(visit, records[:SAMPLES]),
        query=selection.words(),
        jobs_href=visit.url("jobs", q=selection.words()),
        once=one.kind == Reason.MAY_HAVE_RUN,
        acts=tuple(act for act in ("retry", "delete", "pause") if act in visit.access.act),
    )


async def _releases(visit: Visit, records: list[JobRecord]) -> tuple[str, ...]:
    """Return the releases of the oldest and of the newest; lists of jobs come without attempts."""
    found: dict[str, None] = {}
    for one in [*records[-1:], *reversed(records[:SAMPLES])]:
        record: JobRecord | None = await visit.kept(("job", one.id), partial(visit.desk.store.get, one.id))
        found[_release(record)] = None
    return tuple(release for release in found if release)


def _shared(visit: Visit, records: list[JobRecord], selection: Selection) -> tuple[Shared, ...]:
    """Return the values of arguments that at least half of the failures have, if there are several."""
    if len(records) < 2:
        return ()
    values: dict[str, Counter[str]] = {}
    masker, parameters = masker_of(visit.desk.registry, records[0].task)
    named: set[str] = set()
    for record in records:
        arguments = visit.desk.inspector.read(record).arguments
        named.update(() if arguments is None else arguments.named)
        for name, value in Called(arguments, parameters, masker.fresh()).named:
            if name and value != MASK:
                values.setdefault(name, Counter())[_text(value)] += 1
    found = [
        Shared(name, cut(value, 80), jobs, len(records), _with(visit, selection, name, value, named))
        for name, counter in values.items()
        for value, jobs in counter.most_common(1)
        if jobs * 2 >= len(records) and jobs > 1
    ]
    return tuple(sorted(found, key=lambda one: -one.jobs)[:5])


def _with(visit: Visit, selection: Selection, name: str, value: str, named: set[str]) -> str:
    """Return the way to those that have a value; positional arguments are in no filter."""
    if name not in named:
        return ""
    narrowed = Selection(**{**_fields(selection), "arguments": ((name, value),)})
    return visit.url("jobs", q=narrowed.words())


def _fields(selection: Selection) -> dict[str, Any]:
    return {name: getattr(selection, name) for name in ("task", "failure", "raised")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
