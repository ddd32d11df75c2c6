"""Schedules in a journal in SQL: what is declared of them, and the due times that become jobs.

A row per schedule, which PostgreSQL locks while somebody deals with it, and a row per due time, which there
can be once. Which process looks does not matter.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from postlude.clock import SECOND
from postlude.errors import KeyTaken
from postlude.model.cron import BadRule
from postlude.model.job import Added
from postlude.model.schedule import DueTime, Schedule, digest_of, due_times, job_of, next_after
from postlude.stores.relational.add import add
from postlude.stores.relational.transaction import Transaction
from postlude.stores.scheduling import Fired, FiredTime, RunCall, ScheduleSet

AT_ONCE: Final = 1000
"""Jobs after which one call leaves the other schedules to the next."""

KEPT_FOR: Final = 2 * 24 * 3600 * SECOND
KEPT: Final = 100
"""How long due times are shown, and how many of each schedule at least."""


def fire(tx: Transaction, calls: Sequence[None]) -> list[Fired]:
    """Add the jobs of the due times that have come, with one statement for each table."""
    found: list[tuple[Schedule, list[DueTime]]] = []
    times, more = 0, False
    for *cells, done in tx.rows("schedules_due", tx.now):
        if times >= AT_ONCE:
            more = True
            break
        schedule = _schedule(cells)
        try:
            found.append((schedule, due_times(schedule, done, tx.now)))
        except BadRule:  # a newer release's, which it fires itself
            continue
        times += len(found[-1][1])
    fired = _fire(tx, found) if found else []
    upcoming = tx.now if more else tx.value("next_fire", tx.now)
    return [Fired(fired, upcoming)] + [Fired([], upcoming)] * (len(calls) - 1)


def _fire(tx: Transaction, found: Sequence[tuple[Schedule, list[DueTime]]]) -> list[FiredTime]:
    wanted = [(one.name, time.due) for one, times in found for time in times]
    there = {(name, due) for name, due in tx.rows("times_marked", json.dumps(wanted))}
    new = [(one, time) for one, times in found for time in times if (one.name, time.due) not in there]
    jobs = {(one.name, time.due): job_of(one, tx.now, due=time.due) for one, time in new if time.runs}
    answers = zip(jobs, add(tx, [([job], None) for job in jobs.values()]) if jobs else (), strict=True)
    seqs = {of: answer[0].seq for of, answer in answers if not isinstance(answer, KeyTaken)}
    tx.run_for("mark_times", [(one.name, due, seqs.get((one.name, due))) for one, (due, _, _) in new])
    tx.run_for("schedules_done", [(one.name, tx.now, next_after(one, tx.now)) for one, _ in found])
    tx.run("forget_times", json.dumps([one.name for one, _ in found]), tx.now - KEPT_FOR, KEPT)
    return [
        FiredTime(one.name, due, jobs[one.name, due].id if (one.name, due) in seqs else None, missed)
        for one, (due, _, missed) in new
    ]


def run_schedule(tx: Transaction, calls: Sequence[RunCall]) -> list[Added | KeyTaken | None]:
    """Add a job of each schedule now."""
    answers: list[Added | KeyTaken | None] = []
    for name, id in calls:
        found = _in_force(tx, name)
        if found is None:
            answers.append(None)
            continue
        (answer,) = add(tx, [([job_of(found, tx.now, id=id)], None)])
        answers.append(answer if isinstance(answer, KeyTaken) else answer[0])
    return answers


def pause_schedule(tx: Transaction, calls: Sequence[str]) -> list[bool]:
    """Note that they are paused."""
    return [tx.run("pause_schedule", name, tx.now) > 0 for name in calls]


def resume_schedule(tx: Transaction, calls: Sequence[str]) -> list[bool]:
    """Forget that they are, and what was due meanwhile."""
    return [_resume(tx, name) for name in calls]


def _resume(tx: Transaction, name: str) -> bool:
    found = _in_force(tx, name)
    if found is None:
        return False
    resumed = tx.run("resume_schedule", name, tx.now, next_after(found, tx.now)) > 0
    tx.said.schedules |= resumed
    return resumed


def _in_force(tx: Transaction, name: str) -> Schedule | None:
    for *cells, _ in tx.rows("schedule_in_force", name):
        return _schedule(cells)
    return None


def _schedule(cells: Sequence[Any]) -> Schedule:
    *texts, args, terms = cells
    return Schedule._make([*texts, bytes.fromhex(args), terms])


def declare_schedules(tx: Transaction, calls: Sequence[ScheduleSet]) -> list[bool]:
    """Take over the sets that are in force."""
    return [_declare(tx, call) for call in calls]


def _declare(tx: Transaction, call: ScheduleSet) -> bool:
    runner, application, schedules = call
    digest = digest_of(schedules)
    known: Mapping[str, int] = dict(tx.rows("schedule_sets", application))
    if digest not in known:
        if not schedules and not known:
            return True  # an application without schedules leaves no trace
        # Later than all others, whatever the clock says.
        known = {**known, digest: max(tx.now, *(first + 1 for first in known.values()), 0)}
        tx.run("add_schedule_set", application, digest, known[digest])
    declarers: dict[int, str] = dict(tx.rows("schedule_declarers", application))
    if runner is not None and declarers.get(runner) != digest:
        tx.run("forget_declarers")
        tx.run("note_declarer", runner, application, digest)
        declarers[runner] = digest
    newest = max((known.get(each, 0) for each in declarers.values()), default=0)
    if known[digest] < newest:
        return False
    _take_over(tx, application, schedules)
    return True


def _take_over(tx: Transaction, application: str, schedules: Sequence[Schedule]) -> None:
    names = json.dumps([one.name for one in schedules])
    found = {row[0]: row for row in tx.rows("declared_schedules", application, names)}
    for new in schedules:
        row = found.pop(new.name, None)
        if row is None:
            _put(tx, application, new, tx.now, None)
            continue
        *cells, of, done, paused, removed = row
        old = _schedule(cells)
        # A clock that was ahead and is not any more must not keep it silent; what has fired is noted.
        stays = removed is None and (old.rule, old.zone) == (new.rule, new.zone) and done <= tx.now
        if not stays or old != new or of != application:
            _put(tx, application, new, done if stays else tx.now, paused)
    gone = [name for name, row in found.items() if row[-1] is None and row[-4] == application]
    if gone:
        tx.run("remove_schedules", json.dumps(gone), tx.now)


def _put(tx: Transaction, application: str, one: Schedule, done: int, paused: int | None) -> None:
    upcoming = next_after(one, done) if paused is None else None
    tx.run("put_schedule", *one[:7], one.payload, one.terms, application, done, upcoming)
    tx.said.schedules = True
