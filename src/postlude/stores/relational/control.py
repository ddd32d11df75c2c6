"""What people and releases ask of jobs that are there: cancel, retry, pause, resume, declare."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from postlude.errors import KeyTaken
from postlude.messages.quoting import quoted
from postlude.model.history import CANCELLED
from postlude.model.job import Added, Cancel
from postlude.model.limits import DeclaredLimits
from postlude.model.overrides import lifted
from postlude.model.state import QUEUED, Reason, Stored
from postlude.stores.protocol import Pause
from postlude.stores.relational.cells import queue_of
from postlude.stores.relational.concurrency import (
    Entering,
    Leaving,
    enter,
    let_next,
    ready_blocked,
    rebalance,
)
from postlude.stores.relational.finish import Standing, standings
from postlude.stores.relational.transaction import Transaction

_WAITING = QUEUED | {Stored.PARKED}
_UNBOUNDED = (None, None, 1)


def cancel(tx: Transaction, calls: Sequence[Sequence[bytes]]) -> list[list[Cancel]]:
    """Cancel what is queued or parked; ask what runs to stop."""
    found = _found(tx, "to_cancel", calls)
    states = {row[0]: row[2] for row in found.values()}
    ended: list[Leaving] = []
    instead: dict[int, int] = {}
    answers: list[list[Cancel]] = []
    for ids in calls:
        answers.append([])
        for row in map(found.get, ids):
            state = None if row is None else states[row[0]]
            if row is None or (state != Stored.RUNNING and state not in _WAITING):
                answers[-1].append(Cancel.TOO_LATE)
            elif state == Stored.RUNNING:
                answers[-1].append(Cancel.ASKED)
            else:
                seq, task, _, key, followed, follows, queue = row
                # Who follows one that follows waits for the one that it has waited for.
                if followed and follows is not None:
                    instead[seq] = follows
                ended.append(Leaving(seq, task, key, followed and follows is None))
                tx.count(task, Stored(states[seq]), Stored.CANCELLED)
                tx.sums.add(task, queue_of(queue), CANCELLED)
                states[seq] = Stored.CANCELLED
                answers[-1].append(Cancel.CANCELLED)
    asked = [seq for seq, state in states.items() if state == Stored.RUNNING]
    if asked:
        tx.run("ask_all", json.dumps(asked), tx.now)
    tx.run_for("follow_others", [(seq, _first_left(seq, instead)) for seq in instead])
    _end(tx, ended)
    return answers


def _first_left(seq: int, instead: Mapping[int, int]) -> int:
    """Return whom the follower of a cancelled job follows, past those that are cancelled with it."""
    for _ in instead:  # as often at most: damaged rows may follow one another in a circle
        seq = instead.get(seq, seq)
    return seq


def release_jobs(tx: Transaction, jobs: Sequence[Leaving]) -> set[int]:
    """Make running jobs ready again; those that were asked to stop are cancelled. Returns which are ready."""
    asked = [job for job in jobs if job.asked]
    _end(tx, asked)
    for job in asked:
        tx.count(job.task, Stored.RUNNING, Stored.CANCELLED)
        tx.sums.add(job.task, queue_of(job.queue), CANCELLED)
    ready = [job.seq for job in jobs if not job.asked]
    if ready:
        tx.run("release", json.dumps(ready))
        for task, number in Counter(job.task for job in jobs if not job.asked).items():
            tx.count(task, Stored.RUNNING, Stored.READY, number)
    return set(ready)


def _end(tx: Transaction, jobs: Sequence[Leaving], reason: Reason | None = None) -> None:
    """Cancel jobs, and ready what waited for them."""
    if jobs:
        tx.run("cancel_all", json.dumps([job.seq for job in jobs]), tx.now, reason)
        let_next(tx, jobs)


def _found(tx: Transaction, statement: str, calls: Sequence[Sequence[bytes]]) -> dict[bytes, list[Any]]:
    """Return a statement's row of each id that there is, without its place."""
    ids = list(dict.fromkeys(chain.from_iterable(calls)))
    rows = tx.rows(statement, json.dumps([id.hex() for id in ids]))
    return {ids[place]: row for place, *row in rows}


def disown(tx: Transaction, stored: Sequence[Sequence[Added]]) -> None:
    """Cancel what was stored for callers who had been told that it was not.

    A job that stands for another caller's call too, who was told that it is stored, is left to run.
    """
    added = list(chain.from_iterable(stored))
    gone = Counter(one.seq for one in added if one.joined)
    own = json.dumps([one.seq for one in added if not one.joined])
    shared = {seq for seq, ids in tx.rows("ids_joined", own) if ids > gone[seq]}
    found = standings(tx, [one.seq for one in added if not one.joined]).values()
    # Born claimed, and who was to run them has given up.
    release_jobs(tx, [_leaving(job) for job in found if job.seq in shared and job.state == Stored.RUNNING])
    ended = [job for job in found if job.seq not in shared and not Stored(job.state).final]
    for job in ended:
        tx.count(job.task, Stored(job.state), Stored.CANCELLED)
        tx.sums.add(job.task, queue_of(job.queue), CANCELLED)
    _end(tx, [_leaving(job) for job in ended], Reason.UNACKNOWLEDGED)


def _leaving(job: Standing) -> Leaving:
    # Nobody waits for it: what follows it was stored for the same caller.
    return Leaving(job.seq, job.task, job.concurrency_key, 0, queue=job.queue)


def retry(tx: Transaction, calls: Sequence[Sequence[bytes]]) -> list[list[bool] | KeyTaken]:
    """Make jobs ready that have ended without success."""
    found = _found(tx, "to_retry", calls)
    ended = {row[0]: row for row in found.values()}
    wanted = [(row[1], row[4]) for row in ended.values() if row[4] is not None]
    taken = {(task, key) for task, key, *_ in tx.rows("keyed_all", json.dumps(wanted))} if wanted else set()
    revived: list[list[Any]] = []
    answers: list[list[bool] | KeyTaken] = []
    for ids in calls:
        mine = {row[0]: row for row in map(found.get, ids) if row is not None and row[0] in ended}
        refused = _refusal(tx, mine.values(), taken)
        if refused is None:
            revived += [ended.pop(seq) for seq in mine]
            answers.append([id in found and found[id][0] in mine for id in ids])
        else:
            answers.append(refused)
    if revived:
        tx.run_for("retry_all", [(row[0], lifted(row[5]), tx.now) for row in revived])
        tx.run("prune_failures", json.dumps([row[0] for row in revived]))
        enter(tx, [Entering(seq, task, key, state) for seq, task, state, key, _, _ in revived])
    return answers


def _refusal(tx: Transaction, rows: Iterable[list[Any]], taken: set[tuple[int, str]]) -> KeyTaken | None:
    """Take the keys of these jobs, or say that one is taken."""
    keys = [(row[1], row[4]) for row in rows if row[4] is not None]
    for place, (task, key) in enumerate(keys):
        if (task, key) in taken or (task, key) in keys[:place]:
            return KeyTaken(f"{tx.task_name(task)}: a job with the key {quoted(key)} waits or runs")
    taken.update(keys)
    return None


def pause(tx: Transaction, calls: Sequence[Pause]) -> list[bool]:
    """Note what is paused."""
    return [_changed(tx, "pause", what) for what in calls]


def resume(tx: Transaction, calls: Sequence[Pause]) -> list[bool]:
    """Forget that it is paused, and ready what was blocked by it."""
    answers = []
    for what in calls:
        answers.append(_changed(tx, "resume", what))
        if what.kind == "task":
            ready_blocked(tx, tx.task_id(what.name), Reason.PAUSED)
    return answers


def _changed(tx: Transaction, statement: str, what: Pause) -> bool:
    if what.kind == "task":
        tx.task_id(what.name)  # it has a number, by which claims know that it is paused
    changed = tx.run(statement, what.kind, what.name)
    tx.forget_rules()
    return changed > 0


def declare(tx: Transaction, calls: Sequence[Sequence[DeclaredLimits]]) -> list[None]:
    """Take over what releases say of their tasks and queues; the last one decides."""
    for bounds in calls:
        _declare(tx, bounds)
    return [None] * len(calls)


def _declare(tx: Transaction, bounds: Sequence[DeclaredLimits]) -> None:
    before = tx.rules.bounds
    declared = {(b.kind, b.name) for b in bounds}
    after = {
        (b.kind, b.name): (b.concurrent, b.every, b.burst)
        for b in bounds
        if b.concurrent is not None or b.every is not None  # all are read by each claim and each finish
    }
    changed = {name for name in declared if before.get(name) != after.get(name)}
    if not changed:
        return
    for kind, name in sorted(changed):
        if kind == "task":
            tx.task_id(name)
        if (kind, name) in after:
            tx.run("set_bounds", kind, name, *after[kind, name], tx.now)
        else:
            tx.run("drop_bounds", kind, name)
    tx.forget_rules()
    for kind, name in sorted(changed):
        if kind == "task":
            was, now = before.get((kind, name), _UNBOUNDED), after.get((kind, name), _UNBOUNDED)
            _apply(tx, tx.task_id(name), limited_before=was[0] is not None, rerated=was[1:] != now[1:])


def _apply(tx: Transaction, task: int, *, limited_before: bool, rerated: bool) -> None:
    """Let the jobs of a task that wait follow its present bounds."""
    if task in tx.rules.limits:
        if not limited_before:
            tx.run("give_lane", task)
        rebalance(tx, [task])
    else:
        ready_blocked(tx, task, Reason.LIMIT)
    if rerated:  # the turns that they were given are of another rate
        ready_blocked(tx, task, Reason.RATE)
