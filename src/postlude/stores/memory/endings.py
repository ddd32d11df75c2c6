"""How jobs leave their runners in a memory store: an attempt's end, a release, a death.

Nothing here is thread-safe; the store holds its lock.
"""

import os
import socket

from postlude.model.death import Started, Verdict, judge
from postlude.model.job import AttemptRecord
from postlude.model.outcome import Failed, Finish, Parked
from postlude.model.state import Reason, Stored
from postlude.stores.memory.row import NOBODY, Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.shelves import Shelves

_UNENDED = frozenset({Stored.RUNNING, Stored.READY})


def may_finish(row: Row, fence: int) -> bool:
    """Say whether an attempt's end may be written: nobody has taken the job over, nor ended it."""
    return row.fence == fence and row.unended and row.stored in _UNENDED


def write_finish(shelves: Shelves, row: Row, finish: Finish) -> None:
    """Write an attempt's end."""
    outcome = finish.outcome
    row.unended = False
    row.suspect = False
    if isinstance(outcome, Parked):
        row.reason, row.release = outcome.reason, outcome.release
        shelves.move(row, Stored.PARKED)
    elif isinstance(outcome, Failed):
        _write_failure(shelves, row, finish, outcome)
    else:
        row.started, row.finished = finish.started, finish.finished
        shelves.move(row, Stored.SUCCEEDED)
    ready_follower(shelves, row)


def _write_failure(shelves: Shelves, row: Row, finish: Finish, outcome: Failed) -> None:
    row.failures += 1
    attempt = AttemptRecord(
        number=row.failures,
        started=finish.started,
        finished=finish.finished,
        error=outcome.error,
        traceback=outcome.traceback,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    row.attempts = (*row.attempts, attempt)
    row.started, row.reason = finish.started, outcome.reason
    if outcome.retry_at is None:
        row.finished = finish.finished
        shelves.move(row, Stored.FAILED)
        return
    row.due = outcome.retry_at
    shelves.move(row, Stored.SCHEDULED)


def ready_follower(shelves: Shelves, row: Row) -> None:
    """Let the job start that waited for the end of this one's first attempt."""
    follower, row.follower = row.follower, None
    if follower is not None and follower.stored is Stored.BLOCKED:
        shelves.move(follower, Stored.READY)


def give_back(shelves: Shelves, row: Row) -> None:
    """Make a claimed job ready for anybody; it keeps its fence."""
    row.runner = NOBODY
    shelves.move(row, Stored.READY)


def bury(shelves: Shelves, runner: MemoryRunner, now: int, *, draining: bool) -> tuple[int, int]:
    """Judge a runner's death over the jobs it held.

    Returns:
        how many of them are ready again, and how many have failed by it.
    """
    held = list(runner.held.values())
    runner.held.clear()
    marked = runner.marks.seqs()
    started = [Started(row.seq, row.suspect, row.deaths) for row in held if row.seq in marked]
    verdicts = {verdict.seq: verdict for verdict in judge(started, draining=draining)}
    ended = 0
    for row in held:
        verdict = verdicts.get(row.seq)
        if verdict is not None:
            row.suspect, row.deaths = verdict.suspect, verdict.deaths
        reason = _condemned(row, verdict)
        if reason is None:
            give_back(shelves, row)
        else:
            row.runner, row.reason, row.finished = NOBODY, reason, now
            row.unended = False
            shelves.move(row, Stored.FAILED)
            ended += 1
        if verdict is not None or reason is not None:
            ready_follower(shelves, row)
    return len(held) - ended, ended


def _condemned(row: Row, verdict: Verdict | None) -> Reason | None:
    if row.job.once:
        return Reason.MAY_HAVE_RUN
    return Reason.KILLED if verdict is not None and verdict.killed else None
