"""Claiming, releasing and finishing jobs in the SQLite journal."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from pydantic_core import from_json

from postlude.model.crash import RELEASED, End
from postlude.model.job import Claim, Claimed
from postlude.model.outcome import SUCCEEDED, Finish, Succeeded
from postlude.model.refusal import Refusal, all_refused
from postlude.model.state import Reason, Stored
from postlude.model.transition import ending, may_be_written
from postlude.stores.grouped.backend import ReleaseCall
from postlude.stores.sqlite.claiming import FOLLOWED, Search
from postlude.stores.sqlite.claiming_by_id import Pick
from postlude.stores.sqlite.concurrency import block_behind, follow_clock, free_follower, refill
from postlude.stores.sqlite.control import cancel_asked
from postlude.stores.sqlite.locks.marks import MarksFile
from postlude.stores.sqlite.transaction import Transaction
from postlude.stores.values import ClaimCall


class Claims:
    """The verbs about claims, and what this process must remember of the claims it made.

    Args:
        host: this machine's name, noted with failed attempts.
        pid: this process.
        marks: the start marks of this process's runners, by number.
    """

    def __init__(self, host: str, pid: int, marks: Mapping[int, MarksFile]) -> None:
        self._host = host
        self._marks = marks
        self._pid = pid
        self._followed: set[int] = set()
        self._turn = 0

    def claim(self, tx: Transaction, calls: Sequence[ClaimCall]) -> list[Claimed]:
        """Claim for each caller in turn."""
        return [self._claim(tx, call) for call in calls]

    def _claim(self, tx: Transaction, call: ClaimCall) -> Claimed:
        follow_clock(tx)
        queues = tx.value("ready_queues", call.runner)
        if queues is None:  # there is no such runner any more
            return Claimed([], refused=all_refused(call.ids, Refusal.BURIED))
        self._turn += 1
        search = (Search if call.ids is None else Pick)(tx, call, from_json(queues), self._turn)
        claimed = search.run()
        if call.ids is not None:
            tx.afterwards.append(partial(self._mark, call.runner, claimed.claims, tx.now))
        self._followed.update(
            row[0] for row in search.found if row[FOLLOWED] and row[0] not in search.accompanied
        )
        return claimed

    def _mark(self, runner: int, claims: Sequence[Claim], now: int) -> None:
        """Note that jobs have started with their claims, which are committed."""
        if (marks := self._marks.get(runner)) is not None:
            for claim in claims:
                marks.started(claim.seq, claim.fence, now)

    def _clear(self, runner: int, seqs: Sequence[int]) -> None:
        """Note that jobs have been given back: if they have started, that was with their claims."""
        if (marks := self._marks.get(runner)) is not None:
            for seq in seqs:
                marks.ended(seq)

    def release(self, tx: Transaction, calls: Sequence[ReleaseCall]) -> list[int]:
        """Make ready again what each caller still holds of what it gives back."""
        return [self._release(tx, call) for call in calls]

    def _release(self, tx: Transaction, call: ReleaseCall) -> int:
        holds = {hold.seq: hold for hold in call.holds}
        held = tx.rows("held", call.runner, json.dumps(list(holds)))
        mine = [(seq, task) for seq, fence, task in held if holds[seq].fence == fence]
        for hold in (holds[seq] for seq, _ in mine):
            if hold.started is not None:
                end = End(self._host, self._pid, RELEASED)
                tx.run("add_log", hold.seq, 1, json.dumps([end.note(hold.started, tx.now)]))
        tx.afterwards.append(partial(self._clear, call.runner, [seq for seq, _ in mine]))
        released, cancelled = release_rows(tx, mine)
        behind = [hold for hold in call.holds if hold.follows is not None]
        if behind:
            self._followed.update(block_behind(tx, behind, dict(mine)))
        return released + cancelled

    def finish(self, tx: Transaction, calls: Sequence[Sequence[Finish]]) -> list[list[bool]]:
        """Write the ends of attempts; plain successes with one statement, if all of them still hold."""
        quick = [f for call in calls for f in call if f.outcome.__class__ is Succeeded]
        written = bool(quick) and self._finish_quickly(tx, quick)
        if written and len(quick) == sum(map(len, calls)):
            answers = [[True] * len(call) for call in calls]  # nearly always
        else:
            answers = [
                [(written and f.outcome.__class__ is Succeeded) or self._finish_one(tx, f) for f in call]
                for call in calls
            ]
        limited = bool(tx.rules.limits)
        if self._followed or limited:
            ended = [
                finish.seq
                for call, kept in zip(calls, answers, strict=True)
                for finish, written_one in zip(call, kept, strict=True)
                if written_one
            ]
            self._let_next(tx, ended, limited)
        return answers

    @staticmethod
    def _finish_quickly(tx: Transaction, quick: Sequence[Finish]) -> bool:
        rows = [(seq, fence, started, finished) for seq, fence, _, started, finished, _, _ in quick]
        if tx.run_for("finish_succeeded", rows) != len(quick):
            # Some claim was lost. Finishes come first in a group, so nothing else is undone.
            tx.restart()
            return False
        for task, jobs in Counter(f.task for f in quick).items():
            tx.count(tx.task_id(task), Stored.RUNNING, Stored.SUCCEEDED, jobs)
        for f in quick:
            if f.outcome is not SUCCEEDED or f.logs:
                _keep(tx, f)
        return True

    def _finish_one(self, tx: Transaction, finish: Finish) -> bool:
        standing = tx.value("standing", finish.seq)
        if standing is None:
            return False
        state, fence, task, failures, runner, _, asked, _ = standing
        # No runner: released since this claim, and claimed by nobody. (An attempt that has ended
        # leaves 0 there: it is not written again after a retry became due.)
        if not may_be_written(state, runner is None, fence, finish.fence):
            return False
        after, due, reason, release, note, attempt = ending(finish.outcome, asked=asked is not None)
        _keep(tx, finish)
        if attempt is not None:
            failures += 1
            tx.run(
                "add_attempt", finish.seq, failures, finish.started, finish.finished,
                *attempt, self._host, self._pid,
            )  # fmt: skip
        tx.run(
            "finish_one", finish.seq, int(after), finish.started, finish.finished if after.final else None,
            failures, due, reason, release,
        )  # fmt: skip
        if after is Stored.PARKED:
            tx.run("set_note", finish.seq, note)
        tx.count(task, Stored(state), after)
        return True

    def _let_next(self, tx: Transaction, seqs: Sequence[int], limited: bool) -> None:
        """Ready what waited for these: the one that follows, the next of the concurrency key."""
        if limited:
            refill(
                tx,
                [(task, concurrency_key) for task, concurrency_key in tx.rows("lanes_of", json.dumps(seqs))],
            )
        for seq in seqs:
            if seq in self._followed:
                self._followed.discard(seq)
                free_follower(tx, seq)


def _keep(tx: Transaction, finish: Finish) -> None:
    """Write what an attempt returned and logged."""
    outcome = finish.outcome
    if isinstance(outcome, Succeeded):
        if outcome.result is not None:
            tx.run("add_result", finish.seq, outcome.result)
        elif outcome.dropped:
            tx.run("note_dropped", finish.seq, Reason.RESULT_DROPPED)
    if finish.logs:
        tx.run("add_log", finish.seq, 1, json.dumps(finish.logs))


def release_rows(tx: Transaction, rows: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Make running jobs, given as (seq, task), ready again; those that were asked to stop are cancelled.

    Returns:
        how many are ready, and how many were cancelled.
    """
    if not rows:
        return 0, 0
    ended = cancel_asked(tx, json.dumps([seq for seq, _ in rows]))
    rows = [row for row in rows if row[0] not in ended]
    tx.run("release", json.dumps([seq for seq, _ in rows]))
    for task, jobs in Counter(task for _, task in rows).items():
        tx.count(task, Stored.RUNNING, Stored.READY, jobs)
    return len(rows), len(ended)
