"""Health: what is wrong, in sentences, the worst first, each with the way to what helps."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from postlude.dashboard.charts import quantile
from postlude.dashboard.site import Visit
from postlude.dashboard.words import Moment, counted, in_a_row, length, rough, short_name
from postlude.jobs.selection import Selection
from postlude.model.failure import FailureGroup
from postlude.model.history import DEATHS, ENDS, MINUTE, WAIT, Sum
from postlude.model.state import Reason, State
from postlude.stores.protocol import LivingRunner, QueueState
from postlude.stores.values import is_unserved

LONG: Final = 60.0
"""Seconds that a job may be ready before that is told, at least."""

USUAL: Final = 5.0
"""So many times the usual wait is long."""

RECENT: Final = 10
"""Minutes in which failures are told."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something that is not as it should be."""

    level: str
    """`bad` or `warn`."""
    text: str
    link: str
    href: str
    resume: tuple[str, str] | None = None
    """What a button resumes: its kind and name."""
    retry: str = ""
    """What a button retries, in the words of a filter: first it is shown which those are."""
    last: Moment | None = None
    """When it happened last: whether it is over."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What health is told by."""

    queues: Sequence[QueueState]
    living: Sequence[LivingRunner]
    hour: Sequence[Sum]
    """What happened in the last hour, by the minute."""
    groups: Sequence[FailureGroup]
    """Of the last minutes (`RECENT`), the largest first."""
    parked: Sequence[tuple[str, str]]
    """The tasks and reasons of parked jobs."""
    hung: int
    """Threads of this process that hang."""
    memory: int
    """Tasks that ran in memory in this process."""


def health(visit: Visit, seen: Seen) -> tuple[Sentence, ...]:
    """Return what is wrong, the worst first."""
    found = [
        *_processes(visit, seen),
        *_failures(visit, seen),
        *_queues(visit, seen),
        *_others(visit, seen),
    ]
    return tuple(sorted(found, key=lambda one: one.level != "bad"))


def _processes(visit: Visit, seen: Seen) -> Iterator[Sentence]:
    waiting = sum(one.ready + one.blocked for one in seen.queues)
    serving = [one for one in seen.living if one.serves]
    if waiting and not serving:
        yield Sentence(
            "bad",
            f"No process runs jobs; {counted(waiting, 'waits', 'wait')}.",
            "Processes",
            visit.url("processes"),
        )
    for one in seen.living:
        if one.deaf is not None:
            told = f"A worker of Celery's on {one.host} is deaf: its broker has messages for it and for "
            told += f"{rough(one.deaf)} none has reached it."
            yield Sentence("bad", told, "Processes", visit.url("processes"))


def _failures(visit: Visit, seen: Seen) -> Iterator[Sentence]:
    last = visit.desk.store.now() // MINUTE - RECENT
    failed = Counter[str]()
    ended = 0
    for one in seen.hour:
        state = ENDS.get(one.outcome)
        if one.minute > last and state is not None:
            ended += one.n
            if state is State.FAILED:
                failed[one.task] += one.n
    many = failed.total()
    if not many:
        return
    fresh = [group for group in seen.groups if visit.age(group.last) < RECENT * 60]
    told = f"{counted(many, 'job', 'jobs')} failed in the last {RECENT} min"
    level = "bad" if many >= 10 or many * 10 >= ended else "warn"
    if not fresh:
        yield Sentence(level, f"{told}.", "Failures", visit.url("failures"))
        return
    top = fresh[0]
    which = f"{top.kind.rpartition('.')[2] or 'failures'} in {short_name(top.task)}"
    href = visit.url("failures/group", task=top.task, kind=top.kind or "-", place=top.place)
    told = f"{told}, {top.jobs:,} of them {which}." if len(fresh) > 1 else f"{told}: {which}."
    newest = visit.moment(max(group.last for group in fresh))
    words = (
        ""
        if top.kind == Reason.MAY_HAVE_RUN
        else Selection(task=top.task, failure=top.kind or "-", raised=top.place or None).words()
    )
    yield Sentence(level, told, "Look", href, retry=words, last=newest)


def _queues(visit: Visit, seen: Seen) -> Iterator[Sentence]:
    for one in seen.queues:
        href = visit.url("jobs", q=f"state:queued {Selection(queue=one.name).words()}")
        waiting = one.ready + one.blocked  # a limit blocks all but a few, also while nothing runs
        if one.paused:
            if waiting:
                told = f"Queue {one.name} is paused; {counted(waiting, 'job waits', 'jobs wait')} in it."
                yield Sentence("warn", told, "Show", href, ("queue", one.name))
            continue
        if waiting and is_unserved(one.name, seen.living):
            told = f"Nobody works queue {one.name}: no process that lives takes it; "
            told += f"{counted(waiting, 'waits', 'wait')}."
            yield Sentence("bad", told, "Show", href)
        elif one.ready and one.oldest is not None:
            age = visit.age(one.oldest)
            usual = _usual_wait(seen.hour, one.name)
            if age > max(LONG, USUAL * (usual or 0)):
                told = f"Queue {one.name} has waited for {rough(age)}"
                told += f" (usual: {length(usual)})." if usual is not None else "."
                yield Sentence("bad" if age > 10 * LONG else "warn", told, "Show", href)


def _usual_wait(hour: Sequence[Sum], queue: str) -> float | None:
    waits = [sum(many) for many in zip(*(one.waits for one in hour if one.queue == queue), strict=True)]
    return quantile(waits, WAIT, 0.5) if waits else None


def _others(visit: Visit, seen: Seen) -> Iterator[Sentence]:
    died = sum(one.n for one in seen.hour if one.outcome in DEATHS)
    if died:
        told = counted(died, "attempt was", "attempts were")
        yield Sentence(
            "warn",
            f"{told} cut off by the end of a process, or its death, in the last hour.",
            "Processes",
            visit.url("processes"),
        )
    releases = {one.release for one in seen.living if one.serves and one.release}
    if len(releases) > 1:
        told = f"Processes of {len(releases)} releases run side by side."
        yield Sentence("warn", told, "Processes", visit.url("processes"))
    if seen.parked:
        names = sorted({short_name(task) for task, _ in seen.parked})
        many = counted(len(seen.parked), "job is", "jobs are")
        told = f"{many} parked: this release cannot run {in_a_row(names[:3])}."
        yield Sentence("warn", told, "Show", visit.url("jobs", q="state:parked"))
    if seen.hung:
        told = f"{counted(seen.hung, 'thread hangs', 'threads hang')} in this process."
        yield Sentence("warn", told, "Running jobs", visit.url("jobs", q="state:running"))
    if seen.memory:
        told = f"{counted(seen.memory, 'task', 'tasks')} ran in memory only in this process since its start."
        yield Sentence("warn", told, "", "")
