"""How jobs leave their runners in a memory store: an attempt's end, a release, a death, a cancel.

Nothing here is thread-safe; the store holds its lock.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from postlude.model.crash import RELEASED, End, Started, Verdict, judge
from postlude.model.failure import failure_by, failure_of
from postlude.model.history import CANCELLED, INTERRUPTED, KILLED, MAY_HAVE_RUN
from postlude.model.job import AttemptRecord, Cancel, Hold
from postlude.model.outcome import Failed, Finish, Succeeded
from postlude.model.state import QUEUED, Reason, Stored
from postlude.model.transition import ending, may_be_written
from postlude.stores.memory.row import NOBODY, Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.shelves import Shelves

_CANCELLABLE = QUEUED | {Stored.PARKED}


class Buried(NamedTuple):
    """What became of a dead runner's jobs."""

    released: int
    ended: int


def may_finish(row: Row, fence: int) -> bool:
    """Say whether an attempt's end may be written: nobody has taken the job over, nor ended it."""
    return may_be_written(row.stored, row.unended, row.fence, fence)


def write_finish(shelves: Shelves, row: Row, finish: Finish, now: int, of: str) -> None:
    """Write an attempt's end; `of`: the release that has run it."""
    outcome = finish.outcome
    after, due, reason, release, note, attempt = ending(outcome, asked=row.cancel_asked is not None)
    shelves.ledger.of(now).add_end(row.job.task, finish.queue, finish, after)
    row.unended = False
    row.suspect = row.suspect and after is Stored.PARKED  # it has not run
    row.started = finish.started
    if finish.logs:
        number = row.failures + 1
        row.logs += tuple((number, line) for line in finish.logs)
    if row.stored is Stored.BLOCKED:
        # Released, and blocked when the next claim met it: it ends from where it was.
        shelves.move(row, Stored.READY)
    if isinstance(outcome, Succeeded):
        row.result = outcome.result
    if attempt is not None:
        _note_attempt(row, finish, *attempt, of)
    if release is not None:
        row.release, row.note = release, note
    elif due is None:  # neither parked nor to go on: it has ended
        row.finished = finish.finished
    if after is Stored.FAILED and isinstance(outcome, Failed):
        shelves.failures[row.seq] = failure_of(outcome)
    shelves.move(row, after, reason, due)
    ready_follower(shelves, row)


def _note_attempt(row: Row, finish: Finish, error: str, traceback: str, release: str) -> None:
    row.failures += 1
    attempt = AttemptRecord(
        number=row.failures,
        started=finish.started,
        finished=finish.finished,
        error=error,
        traceback=traceback,
        host=socket.gethostname(),
        pid=os.getpid(),
        release=release,
    )
    row.attempts = (*row.attempts, attempt)


def ready_follower(shelves: Shelves, row: Row) -> None:
    """Let the job start that waited for the end of this one's first attempt."""
    follower = shelves.follower_of(row)
    row.follower = None
    if follower is not None:
        shelves.ready(follower)


def cancel(shelves: Shelves, row: Row | None, now: int) -> Cancel:
    """Cancel a job that nobody runs; ask one that runs to stop."""
    if row is None:
        return Cancel.TOO_LATE
    if row.stored is Stored.RUNNING:
        if row.cancel_asked is None:
            row.cancel_asked = now
            shelves.said.asked = shelves.said.changed = True
        return Cancel.ASKED
    if row.stored not in _CANCELLABLE:
        return Cancel.TOO_LATE
    _end_cancelled(shelves, row, now)
    return Cancel.CANCELLED


def _end_cancelled(shelves: Shelves, row: Row, now: int) -> None:
    row.finished, row.unended = now, False
    shelves.ledger.of(now).add(row.job.task, row.job.queue, CANCELLED)
    before = shelves.rows.get(row.follows or 0)
    after = shelves.follower_of(row)
    shelves.move(row, Stored.CANCELLED, due=row.due)
    if before is None or before.follower != row.seq:
        ready_follower(shelves, row)
        return
    row.follower = None
    before.follower = None if after is None else after.seq
    if after is not None:
        after.follows = before.seq


def give_back(shelves: Shelves, row: Row, now: int) -> None:
    """Make a claimed job ready for anybody, unless it was asked to stop; it keeps its fence."""
    row.runner = NOBODY
    if row.cancel_asked is None:
        shelves.move(row, Stored.READY)
    else:
        _end_cancelled(shelves, row, now)


def note_release(shelves: Shelves, row: Row, started: int, now: int) -> None:
    """Note with a job that its runner has let go of it while it ran."""
    if row.cancel_asked is None:  # else it is cancelled
        shelves.ledger.of(now).add(row.job.task, row.job.queue, INTERRUPTED)
    row.started = started
    end = End(socket.gethostname(), os.getpid(), RELEASED)
    row.logs += ((row.failures + 1, end.note(started, now)),)


def block_behind(shelves: Shelves, holds: Sequence[Hold], released: Mapping[int, Row]) -> None:
    """Let followers that were given back wait again for the ones before them, if those wait too."""
    for hold in sorted(holds):
        before = released.get(hold.follows or 0)
        if before is not None and hold.seq in released:
            _block_behind(shelves, before, released[hold.seq], hold.due)


def _block_behind(shelves: Shelves, before: Row, row: Row, due: int | None) -> None:
    if (
        row.stored is Stored.READY
        and row.job.terms.concurrency_key is None
        and before.stored in (Stored.READY, Stored.BLOCKED)
    ):
        shelves.move(row, Stored.BLOCKED, due=due)
        row.follows, before.follower = before.seq, row.seq


def bury(shelves: Shelves, runner: MemoryRunner, now: int, end: End, *, draining: bool) -> Buried:
    """Judge a runner's death over the jobs it held, and note it with those that it ran.

    Returns:
        how many of them are ready again, and how many have failed by it.
    """
    held = list(runner.held.values())
    runner.held.clear()
    marked = runner.marks.running()
    ran = [row for row in held if row.seq in marked]
    started = [Started(row.seq, row.suspect, row.deaths) for row in ran if not row.job.terms.once]
    for row in ran:
        row.started = marked[row.seq]
        row.logs += ((row.failures + 1, end.note(row.started, now)),)
    verdicts = {verdict.seq: verdict for verdict in judge(started, draining=draining)}
    released = ended = 0
    for row in held:
        verdict = verdicts.get(row.seq)
        if verdict is not None:
            row.suspect, row.deaths = verdict.suspect, verdict.deaths
        reason = _condemned(row, verdict)
        sums = shelves.ledger.of(now)
        if reason is None:
            give_back(shelves, row, now)
            released += row.stored is Stored.READY
            if row.stored is Stored.READY and row.seq in marked:
                sums.add(row.job.task, row.job.queue, INTERRUPTED)
        else:
            row.runner, row.finished = NOBODY, now
            row.unended = False
            word = MAY_HAVE_RUN if reason is Reason.MAY_HAVE_RUN else KILLED
            sums.add(row.job.task, row.job.queue, word)
            shelves.failures[row.seq] = failure_by(reason)
            shelves.move(row, Stored.FAILED, reason)
            ended += 1
        if verdict is not None or reason is not None:
            ready_follower(shelves, row)
    return Buried(released, ended)


def _condemned(row: Row, verdict: Verdict | None) -> Reason | None:
    if row.job.terms.once:
        return Reason.MAY_HAVE_RUN
    return Reason.KILLED if verdict is not None and verdict.killed else None
