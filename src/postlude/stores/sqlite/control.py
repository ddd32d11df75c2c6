"""What people and releases ask of jobs that are there: cancel, retry, pause, resume, declare."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from postlude.errors import KeyTaken
from postlude.messages.quoting import quoted
from postlude.model.job import Added, Cancel
from postlude.model.limits import DeclaredLimits
from postlude.model.overrides import lifted
from postlude.model.state import QUEUED, Reason, Stored
from postlude.stores.protocol import Pause
from postlude.stores.sqlite.concurrency import (
    Entering,
    enter,
    free_follower,
    ready_blocked,
    rebalance,
    refill,
)
from postlude.stores.sqlite.transaction import Transaction

_WAITING = QUEUED | {Stored.PARKED}
_ENDED = frozenset({Stored.FAILED, Stored.CANCELLED})
_UNBOUNDED = (None, None, 1)


def cancel(tx: Transaction, calls: Sequence[Sequence[bytes]]) -> list[list[Cancel]]:
    """Cancel what is queued or parked; ask what runs to stop."""
    return [[_cancel_one(tx, id) for id in ids] for ids in calls]


def _cancel_one(tx: Transaction, id: bytes) -> Cancel:
    found = tx.value("job_by_id", id)
    if found is None:
        return Cancel.TOO_LATE
    seq, task, state, followed, follows, concurrency_key, _, _ = found
    if state == Stored.RUNNING:
        tx.run("ask", seq, tx.now)
        return Cancel.ASKED
    if state not in _WAITING:
        return Cancel.TOO_LATE
    _end(tx, seq, task, state, None)
    if followed and follows is not None:
        tx.run("follow_another", seq, follows)
    elif followed:
        free_follower(tx, seq)
    if concurrency_key is not None:
        refill(tx, [(task, concurrency_key)])
    return Cancel.CANCELLED


def cancel_asked(tx: Transaction, seqs: str) -> set[int]:
    """Cancel those running jobs, of these (as JSON), that were asked to stop; returns which."""
    ended = tx.rows("asked_among", seqs)
    for seq, task, concurrency_key, followed in ended:
        _end(tx, seq, task, Stored.RUNNING, None)
        if followed:
            free_follower(tx, seq)
        if concurrency_key is not None:
            refill(tx, [(task, concurrency_key)])
    return {row[0] for row in ended}


def _end(tx: Transaction, seq: int, task: int, state: int, reason: Reason | None) -> None:
    tx.run("cancel", seq, tx.now, reason)
    tx.count(task, Stored(state), Stored.CANCELLED)


def disown(tx: Transaction, stored: Sequence[Sequence[Added]]) -> None:
    """Cancel what was stored for callers who had been told that it was not.

    A job that stands for another caller's call too, who was told that it is stored, is left to run.
    """
    gone = Counter(added.seq for added in chain.from_iterable(stored) if added.joined)
    for added in chain.from_iterable(stored):
        if added.joined:
            continue
        state, _, task, _, _, concurrency_key, _, _ = tx.value("standing", added.seq)
        if tx.value("ids_joined", added.seq) > gone[added.seq]:
            if state == Stored.RUNNING:  # born claimed, and who was to run it has given up
                tx.run("release", json.dumps([added.seq]))
                tx.count(task, Stored.RUNNING, Stored.READY)
            continue
        _end(tx, added.seq, task, state, Reason.UNACKNOWLEDGED)
        if concurrency_key is not None:
            refill(tx, [(task, concurrency_key)])


def retry(tx: Transaction, calls: Sequence[Sequence[bytes]]) -> list[list[bool] | KeyTaken]:
    """Make jobs ready that have ended without success."""
    return [_retry(tx, ids) for ids in calls]


def _retry(tx: Transaction, ids: Sequence[bytes]) -> list[bool] | KeyTaken:
    found = [tx.value("job_by_id", id) for id in ids]
    ended = {row[0]: row for row in found if row is not None and row[2] in _ENDED}
    keys: set[tuple[int, str]] = set()
    for _, task, *_, key, _ in ended.values():
        if key is None:
            continue
        if (task, key) in keys or tx.value("keyed", task, key) is not None:
            return KeyTaken(f"{tx.task_name(task)}: a job with the key {quoted(key)} waits or runs")
        keys.add((task, key))
    for seq, *_, opts in ended.values():
        tx.run("retry", seq, lifted(opts))
    enter(
        tx,
        [
            Entering(seq, task, concurrency_key, state)
            for seq, task, state, _, _, concurrency_key, _, _ in ended.values()
        ],
    )
    return [row is not None and row[0] in ended for row in found]


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
    before: Any = tx.db.total_changes()
    tx.run(statement, what.kind, what.name)
    tx.forget_rules()
    return bool(tx.db.total_changes() != before)


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
        rebalance(tx, task)
    else:
        ready_blocked(tx, task, Reason.LIMIT)
    if rerated:  # the turns that they were given are of another rate
        ready_blocked(tx, task, Reason.RATE)
