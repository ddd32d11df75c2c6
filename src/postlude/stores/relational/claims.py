"""Claiming, releasing and finishing jobs in the SQLite journal."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import compress, islice
from typing import Any, Final

from pydantic_core import from_json

from postlude.model.crash import RELEASED, End
from postlude.model.history import INTERRUPTED
from postlude.model.job import Claim, Claimed
from postlude.model.outcome import Finish, Succeeded
from postlude.model.refusal import Refusal, all_refused
from postlude.model.state import Stored
from postlude.stores.grouped.backend import ReleaseCall
from postlude.stores.relational.cells import queue_of
from postlude.stores.relational.claiming import FOLLOWED, TASK, Search, claims_of
from postlude.stores.relational.claiming_by_id import Pick
from postlude.stores.relational.concurrency import Leaving, block_behind, follow_clock, free_followers, refill
from postlude.stores.relational.control import release_jobs
from postlude.stores.relational.finish import finish_each, finish_successes
from postlude.stores.relational.transaction import Transaction
from postlude.stores.values import ClaimCall, Marks


class Claims:
    """The verbs about claims, and what this process must remember of the claims it made.

    Args:
        host: this machine's name, noted with failed attempts.
        pid: this process.
        marks: the start marks of this process's runners, by number.
    """

    def __init__(self, host: str, pid: int, marks: Mapping[int, Marks]) -> None:
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
        if call.ids is not None:
            queues = "[]" if tx.value("is_enlisted", call.runner) else None
        else:
            queues = tx.value("ready_queues", call.runner)
        if queues is None:  # there is no such runner any more
            return Claimed([], refused=all_refused(call.ids, Refusal.BURIED))
        self._turn += 1
        search = (Search if call.ids is None else Pick)(tx, call, from_json(queues), self._turn)
        claimed = search.run()
        if call.ids is not None and not call.ahead:
            tx.afterwards.append(partial(self._mark, call.runner, claimed.claims, tx.now))
        self._followed.update(
            row[0] for row in search.found if row[FOLLOWED] and row[0] not in search.accompanied
        )
        return claimed

    def claimed(self, tx: Transaction, call: ClaimCall, rows: Sequence[Sequence[Any]]) -> Claimed:
        """Return a claim of published jobs that is written: rows with the fields of `Ready`."""
        tasks = Counter(row[TASK] for row in rows)
        for task, jobs in tasks.items():
            tx.count(task, Stored.PUBLISHED, Stored.RUNNING, jobs)
        claims = claims_of(rows, {task: tx.task_name(task) for task in tasks})
        if not call.ahead:
            tx.afterwards.append(partial(self._mark, call.runner, claims, tx.now))
        return Claimed(claims)

    def is_followed(self, seq: int) -> bool:
        """Whether another job waits for this one, which this process has claimed."""
        return seq in self._followed

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
        held = {row[0]: row for row in tx.rows("held", json.dumps(list(dict.fromkeys(_given_back(calls)))))}
        mine: list[dict[int, Leaving]] = []
        begun: list[tuple[int, int]] = []
        ended: list[tuple[int, str]] = []
        for runner, holds in calls:
            mine.append({})
            for hold in {hold.seq: hold for hold in holds}.values():
                seq, task, key, followed, asked, queue, fence, holder = held.get(hold.seq) or _NOBODYS
                if (holder, fence) != (runner, hold.fence):
                    continue
                del held[seq]
                mine[-1][seq] = Leaving(seq, task, key, followed, asked, queue)
                if hold.started is not None:
                    if not asked:  # else it is cancelled
                        tx.sums.add(task, queue_of(queue), INTERRUPTED)
                    end = End(self._host, self._pid, RELEASED)
                    begun.append((seq, hold.started))
                    ended.append((seq, json.dumps([end.note(hold.started, tx.now)])))
        tx.run_for("note_begun", begun)
        tx.run_for("add_logs", ended)
        ready = release_jobs(tx, [job for jobs in mine for job in jobs.values()])
        back = [
            (call.holds, {seq: job for seq, job in jobs.items() if seq in ready})
            for call, jobs in zip(calls, mine, strict=True)
        ]
        self._followed |= block_behind(tx, back)
        for call, jobs in zip(calls, mine, strict=True):
            tx.afterwards.append(partial(self._clear, call.runner, list(jobs)))
        return [len(jobs) for jobs in mine]

    def finish(self, tx: Transaction, calls: Sequence[Sequence[Finish]]) -> list[list[bool]]:
        """Write the ends of attempts; successes with one statement, if all of their claims still hold."""
        plain = [finish for call in calls for finish in call if finish.outcome.__class__ is Succeeded]
        if len(plain) == sum(map(len, calls)) and finish_successes(tx, plain):  # nearly always
            self._let_next(tx, plain)
            return [[True] * len(call) for call in calls]
        ends = [finish for call in calls for finish in call]
        kept = self._finish_some(tx, ends, plain) if len(plain) < len(ends) else self._finish_each(tx, ends)
        self._let_next(tx, list(compress(ends, kept)))
        answers = iter(kept)
        return [list(islice(answers, len(call))) for call in calls]

    def _finish_some(self, tx: Transaction, ends: Sequence[Finish], plain: Sequence[Finish]) -> list[bool]:
        """Write successes with one statement, and look at the others one after another."""
        others = [finish for finish in ends if finish.outcome.__class__ is not Succeeded]
        # Of two ends of one claim the first counts: then all are looked at.
        apart = {finish.seq for finish in plain}.isdisjoint([finish.seq for finish in others])
        if not (plain and apart and finish_successes(tx, plain)):
            return self._finish_each(tx, ends)
        answers = iter(self._finish_each(tx, others))
        return [finish.outcome.__class__ is Succeeded or next(answers) for finish in ends]

    def _finish_each(self, tx: Transaction, ends: Sequence[Finish]) -> list[bool]:
        return finish_each(tx, ends, self._host, self._pid)

    def _let_next(self, tx: Transaction, ended: Sequence[Finish]) -> None:
        """Ready what waited for these: the next of their concurrency keys, those that follow."""
        limits = tx.rules.limits
        tx.said.anew |= bool(tx.rules.queue_limits)  # of such a queue more may run now
        if limits:
            limited = [f.seq for f in ended if tx.task_id(f.task) in limits]
            if limited:
                refill(tx, [(task, key) for task, key in tx.rows("lanes_of", json.dumps(limited))])
        if self._followed:
            followed = [f.seq for f in ended if f.seq in self._followed]
            free_followers(tx, followed)
            # Not before it is written, or they would be forgotten with a group that is tried again.
            tx.afterwards.append(partial(self._followed.difference_update, followed))


_NOBODYS: Final = (0, 0, None, 0, 0, "", 0, 0)


def _given_back(calls: Sequence[ReleaseCall]) -> Iterator[int]:
    return (hold.seq for call in calls for hold in call.holds)
