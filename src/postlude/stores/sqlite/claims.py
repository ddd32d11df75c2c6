"""Claiming, releasing and finishing jobs in the SQLite journal."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from postlude.model.job import Claim, Claimed, Hold, Room
from postlude.model.outcome import Failed, Finish, Parked, Succeeded
from postlude.model.state import Reason, Stored
from postlude.stores.sqlite.transaction import Transaction


class ClaimCall(NamedTuple):
    """One call of `claim`."""

    runner: int
    limit: int
    suspect: bool
    room: Room | None


class ReleaseCall(NamedTuple):
    """One call of `release`."""

    runner: int
    holds: Sequence[Hold]


class Claims:
    """The verbs about claims, and what this process must remember of the claims it made.

    Args:
        host: this machine's name, noted with failed attempts.
        pid: this process.
    """

    def __init__(self, host: str, pid: int) -> None:
        self._host = host
        self._pid = pid
        self._followed: set[int] = set()
        self._turn = 0

    def claim(self, tx: Transaction, calls: Sequence[ClaimCall]) -> list[Claimed]:
        """Claim for each caller in turn."""
        return [
            Claimed(claims, len(claims) >= call.limit)
            for call, claims in zip(calls, [self._claim(tx, call) for call in calls], strict=True)
        ]

    def _claim(self, tx: Transaction, call: ClaimCall) -> list[Claim]:
        if not tx.value("runner_exists", call.runner):
            return []
        found = self._find(tx, call)
        if not found:
            return []
        tx.run("claim", call.runner, json.dumps([row[0] for row in found]))
        for task, jobs in Counter(row[3] for row in found).items():
            tx.count(task, Stored.READY, Stored.RUNNING, jobs)
        names = {task: tx.task_name(task) for task in {row[3] for row in found}}
        self._followed.update(row[0] for row in found if row[9])
        return [
            Claim(
                seq, bytes.fromhex(id), fence, names[task], queue, args.encode(), failures,
                bool(suspect), bool(once), created,
            )
            for seq, id, fence, task, queue, failures, suspect, once, created, _, args in found
        ]  # fmt: skip

    def _find(self, tx: Transaction, call: ClaimCall) -> list[Any]:
        queues = tx.rows("ready_queues")
        found: list[Any] = []
        if call.suspect:
            for queue in queues:
                if rows := tx.rows("ready", queue, 1, 1, 0):
                    found += rows
                    break
        self._turn += 1
        first = self._turn % max(1, len(queues))
        seen = dict.fromkeys(queues[first:] + queues[:first], 0)
        while seen and len(found) < call.limit:
            # Each queue has the first choice in its turn, and an equal share while all have work.
            for left, queue in zip(range(len(seen), 0, -1), list(seen), strict=True):
                share = -(-(call.limit - len(found)) // left)
                rows = tx.rows("ready", queue, 0, share, seen[queue])
                found += rows
                seen[queue] += len(rows)
                if len(rows) < share:
                    del seen[queue]
        return found

    def release(self, tx: Transaction, calls: Sequence[ReleaseCall]) -> list[int]:
        """Make ready again what each caller still holds of what it gives back."""
        return [self._release(tx, call) for call in calls]

    @staticmethod
    def _release(tx: Transaction, call: ReleaseCall) -> int:
        fences = {hold.seq: hold.fence for hold in call.holds}
        held = tx.rows("held", call.runner, json.dumps(list(fences)))
        mine = [(seq, task) for seq, fence, task in held if fences[seq] == fence]
        return release_rows(tx, mine)

    def finish(self, tx: Transaction, calls: Sequence[Sequence[Finish]]) -> list[list[bool]]:
        """Write the ends of attempts; plain successes with one statement, if all of them still hold."""
        quick = [f for call in calls for f in call if f.outcome.__class__ is Succeeded]
        written = bool(quick) and self._finish_quickly(tx, quick)
        answers = [
            [(written and f.outcome.__class__ is Succeeded) or self._finish_one(tx, f) for f in call]
            for call in calls
        ]
        if self._followed:
            for call, written_one in zip(calls, answers, strict=True):
                self._unblock(tx, [f.seq for f, kept in zip(call, written_one, strict=True) if kept])
        return answers

    @staticmethod
    def _finish_quickly(tx: Transaction, quick: Sequence[Finish]) -> bool:
        rows = json.dumps([(f.seq, f.fence, f.started, f.finished) for f in quick])
        tx.run("finish_succeeded", rows)
        if tx.db.changes() != len(quick):
            # Some claim was lost. Finishes come first in a group, so nothing else is undone.
            tx.restart()
            return False
        for task, jobs in Counter(f.task for f in quick).items():
            tx.count(tx.task_id(task), Stored.RUNNING, Stored.SUCCEEDED, jobs)
        return True

    def _finish_one(self, tx: Transaction, finish: Finish) -> bool:
        standing = tx.value("standing", finish.seq)
        if standing is None:
            return False
        state, fence, task, failures, runner = standing
        outcome = finish.outcome
        # Ready, but with no runner: released since this claim, and claimed by nobody. (An attempt
        # that has ended leaves 0 there: it is not written again after a retry became due.)
        held = state == Stored.RUNNING or (state == Stored.READY and runner is None)
        if not fence or fence != finish.fence or not held:
            return False
        after, due, reason, release = _landing(outcome)
        if isinstance(outcome, Failed):
            failures += 1
            tx.run(
                "add_attempt", finish.seq, failures, finish.started, finish.finished,
                outcome.error, outcome.traceback, self._host, self._pid,
            )  # fmt: skip
        tx.run(
            "finish_one", finish.seq, int(after), finish.started, finish.finished if after.final else None,
            failures, due, reason, release,
        )  # fmt: skip
        tx.count(task, Stored(state), after)
        return True

    def _unblock(self, tx: Transaction, seqs: Sequence[int]) -> None:
        for seq in seqs:
            if seq in self._followed:
                self._followed.discard(seq)
                tx.unblock(seq + 1)


def _landing(outcome: Succeeded | Failed | Parked) -> tuple[Stored, int | None, Reason | None, str | None]:
    if isinstance(outcome, Succeeded):
        return Stored.SUCCEEDED, None, None, None
    if isinstance(outcome, Parked):
        return Stored.PARKED, None, outcome.reason, outcome.release
    if outcome.retry_at is None:
        return Stored.FAILED, None, outcome.reason, None
    return Stored.SCHEDULED, outcome.retry_at, None, None


def release_rows(tx: Transaction, rows: Sequence[tuple[int, int]]) -> int:
    """Make running jobs, given as (seq, task), ready again."""
    if rows:
        tx.run("release", json.dumps([seq for seq, _ in rows]))
        for task, jobs in Counter(task for _, task in rows).items():
            tx.count(task, Stored.RUNNING, Stored.READY, jobs)
    return len(rows)
