"""What becomes of the jobs of runners that have died, or were ended."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from postlude.model.crash import End, Started, Verdict, judge
from postlude.model.failure import failure_by
from postlude.model.history import CANCELLED, INTERRUPTED, KILLED, MAY_HAVE_RUN
from postlude.model.state import Reason, Stored
from postlude.stores.relational.cells import queue_of
from postlude.stores.relational.concurrency import Leaving, let_next
from postlude.stores.relational.transaction import Transaction


class Left(Protocol):
    """What a dead runner had noted."""

    @property
    def draining(self) -> bool:
        """Whether its process was shutting down."""
        ...

    @property
    def started(self) -> Mapping[int, int | None]:
        """The jobs that had started and not ended, each with when (microseconds, UTC), if that is known."""
        ...


class Dead(NamedTuple):
    """A runner that is to be buried."""

    runner: int | None
    """None: of the jobs that run and have no runner's number."""
    left: Left
    end: End


class Buried(NamedTuple):
    """What became of the jobs that a dead runner held."""

    released: int = 0
    failed: int = 0
    cancelled: int = 0


class Held(NamedTuple):
    """A job that a dead runner held, as the statement `held_by` gives it."""

    seq: int
    task: int
    concurrency_key: str | None
    followed: int
    asked: int
    runner: int | None
    suspect: int
    deaths: int
    once: int
    queue: str


class _Fate(NamedTuple):
    """What becomes of one of its jobs."""

    job: Held
    state: Stored
    reason: Reason | None
    verdict: Verdict | None
    ran: bool
    """Whether an attempt at it had begun."""


def bury(tx: Transaction, dead: Sequence[Dead]) -> list[Buried]:
    """Judge runners' deaths over the jobs that they held, and note them with those that they ran."""
    if not dead:
        return []
    held: defaultdict[int | None, list[Held]] = defaultdict(list)
    for row in tx.rows("held_by", json.dumps(list({one.runner for one in dead}))):
        job = Held(*row)
        held[job.runner].append(job)
    fates: list[_Fate] = []
    logs: list[tuple[int, str]] = []
    rows: list[tuple[object, ...]] = []
    answers: list[Buried] = []
    for one in dead:
        ran = one.left.started
        mine = _judged(held.pop(one.runner, []), one.left)
        logs += [
            (fate.job.seq, json.dumps([one.end.note(ran[fate.job.seq], tx.now)]))
            for fate in mine
            if fate.job.seq in ran
        ]
        rows += [_row(fate, ran.get(fate.job.seq), tx.now) for fate in mine]
        states = Counter(fate.state for fate in mine)
        answers.append(Buried(states[Stored.READY], states[Stored.FAILED], states[Stored.CANCELLED]))
        fates += mine
    tx.run_for("add_logs", logs)
    tx.run_for("bury_all", rows)
    for (task, state), jobs in Counter((fate.job.task, fate.state) for fate in fates).items():
        tx.count(task, Stored.RUNNING, state, jobs)
    tx.note_failures(
        [(fate.job.seq, failure_by(fate.reason)) for fate in fates if fate.state is Stored.FAILED]
    )
    for fate in fates:
        if (word := _word(fate)) is not None:
            tx.sums.add(fate.job.task, queue_of(fate.job.queue), word)
    let_next(tx, [_leaving(fate) for fate in fates])
    tx.run("forget_these_runners", json.dumps([one.runner for one in dead]))
    return answers


def _judged(held: Sequence[Held], left: Left) -> list[_Fate]:
    started = [
        Started(job.seq, bool(job.suspect), job.deaths)
        for job in held
        if job.seq in left.started and not job.once
    ]
    verdicts = {verdict.seq: verdict for verdict in judge(started, draining=left.draining)}
    return [_fate(job, verdicts.get(job.seq), job.seq in left.started) for job in held]


def _fate(job: Held, verdict: Verdict | None, ran: bool) -> _Fate:
    if job.once:
        return _Fate(job, Stored.FAILED, Reason.MAY_HAVE_RUN, verdict, ran)
    if verdict is not None and verdict.killed:
        return _Fate(job, Stored.FAILED, Reason.KILLED, verdict, ran)
    return _Fate(job, Stored.CANCELLED if job.asked else Stored.READY, None, verdict, ran)


def _word(fate: _Fate) -> str | None:
    """Return what has happened to a job, for the sums; None: it had not started, and is ready as before."""
    if fate.state is Stored.FAILED:
        return MAY_HAVE_RUN if fate.reason is Reason.MAY_HAVE_RUN else KILLED
    if fate.state is Stored.CANCELLED:
        return CANCELLED
    return INTERRUPTED if fate.ran else None


def _row(fate: _Fate, started: int | None, now: int) -> tuple[object, ...]:
    job, verdict = fate.job, fate.verdict
    suspect, deaths = (job.suspect, job.deaths) if verdict is None else (verdict.suspect, verdict.deaths)
    finished = now if fate.state.final else None
    return job.seq, int(fate.state), started, suspect, deaths, fate.reason, finished


def _leaving(fate: _Fate) -> Leaving:
    """Of one that is ready again only what follows it may go on: its first attempt has ended, if not well."""
    job = fate.job
    key = job.concurrency_key if fate.state.final else None
    return Leaving(job.seq, job.task, key, job.followed and (fate.state.final or fate.verdict is not None))
