"""Adding and cancelling jobs in the SQLite journal."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from postlude.model.job import Added, Cancel, NewJob
from postlude.model.state import MOVES, Reason, Stored
from postlude.stores.sqlite.transaction import Transaction


class AddCall(NamedTuple):
    """One call of `add`: stored whole or not at all."""

    jobs: Sequence[NewJob]
    claim_for: int | None


def add(tx: Transaction, calls: Sequence[AddCall]) -> list[list[Added]]:
    """Insert the jobs of all calls with as few statements as can be."""
    rows: list[tuple[Any, ...]] = []
    payloads: list[bytes] = []
    holders: list[bool] = []
    may_claim: dict[tuple[int, str], bool] = {}
    for jobs, claim_for in calls:
        claimed = claim_for is not None and _born_claimed(tx, jobs, claim_for, may_claim)
        holders.append(claimed)
        last = len(jobs) - 1
        for place, job in enumerate(jobs):
            task = tx.task_id(job.task)
            due: int | None = None
            followed = False
            if claimed:
                state, fence, runner = Stored.RUNNING, 1, claim_for
            else:
                state, fence, runner = _waiting(job, place, tx.now), 0, None
                due = None if state is Stored.READY else job.due
                followed = place < last and jobs[place + 1].follows
                if state is Stored.READY:
                    for key in may_claim:
                        if key[1] == job.queue:
                            may_claim[key] = False
            rows.append(
                (
                    job.id, task, job.queue, int(state), job.priority, due, fence, runner, job.created,
                    job.once, followed, job.owner, job.request,
                )
            )  # fmt: skip
            payloads.append(job.payload)
            tx.count(task, None, state)
    tx.insert("add_jobs", rows)
    first = tx.db.last_insert_rowid() - len(rows) + 1
    tx.insert("add_payloads", list(enumerate(payloads, first)))
    return _places(calls, holders, first)


def _places(calls: Sequence[AddCall], holders: Sequence[bool], first: int) -> list[list[Added]]:
    results: list[list[Added]] = []
    seq = first
    for call, claimed in zip(calls, holders, strict=True):
        fence = 1 if claimed else 0
        results.append([Added(place, fence) for place in range(seq, seq + len(call.jobs))])
        seq += len(call.jobs)
    return results


def _waiting(job: NewJob, place: int, now: int) -> Stored:
    if job.follows and place:
        return Stored.BLOCKED
    if job.due is not None and job.due > now:
        return Stored.SCHEDULED
    return Stored.READY


def _born_claimed(
    tx: Transaction, jobs: Sequence[NewJob], runner: int, known: dict[tuple[int, str], bool]
) -> bool:
    """Whether a runner may start at once: it is alive and would overtake nobody."""
    for job in jobs:
        if job.once or (job.due is not None and not job.follows):
            return False
        key = (runner, job.queue)
        if key not in known:
            known[key] = bool(tx.value("may_be_born_claimed", runner, job.queue))
        if not known[key]:
            return False
    return True


def cancel(tx: Transaction, calls: Sequence[Sequence[bytes]]) -> list[list[Cancel]]:
    """Cancel what is queued or parked."""
    return [[_cancel_one(tx, id) for id in ids] for ids in calls]


def _cancel_one(tx: Transaction, id: bytes) -> Cancel:
    found = tx.value("job_by_id", id)
    if found is None:
        return Cancel.TOO_LATE
    seq, task, state, followed = found
    if Stored.CANCELLED not in MOVES[Stored(state)] or state == Stored.RUNNING:
        return Cancel.TOO_LATE
    tx.run("cancel", seq, tx.now, None)
    tx.count(task, Stored(state), Stored.CANCELLED)
    if followed:
        tx.unblock(seq + 1)
    return Cancel.CANCELLED


def disown(tx: Transaction, stored: Sequence[Sequence[Added]]) -> None:
    """Cancel what was stored for callers who had been told that it was not."""
    for added in stored:
        for seq, _, joined in added:
            if joined:
                continue
            state, _, task, _, _ = tx.value("standing", seq)
            tx.run("cancel", seq, tx.now, Reason.UNACKNOWLEDGED)
            tx.count(task, Stored(state), Stored.CANCELLED)
