"""Claiming jobs by their ids: these and no others, each claimed or refused with a reason."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from postlude.model.job import Claimed
from postlude.model.refusal import Refusal, Refused, refusal_of
from postlude.model.state import Reason, Stored
from postlude.stores.relational.claiming import SEQ, SUSPECT, TASK, Ready, Search
from postlude.stores.relational.outgoing import give_back


class Pick(Search):
    """One claim by ids."""

    def run(self) -> Claimed:
        """Claim what may start."""
        ids = to_json([id.hex() for id in self._call.ids or ()]).decode()
        lying = self._tx.rows("lie", ids)
        refusals = [Refusal.UNKNOWN if seq is None else self._lies(*lies) for _, seq, *lies in lying]
        ready = [seq for (_, seq, *_), why in zip(lying, refusals, strict=True) if why is None]
        rows = {row[SEQ]: row for row in self._rows("ready_these", to_json(ready).decode())}
        published = {seq for _, seq, state, *_ in lying if state == Stored.PUBLISHED}
        tasks = {seq: row[TASK] for seq, row in rows.items() if seq in published}
        refused = [
            Refused(bytes.fromhex(id), refusal)
            for (id, seq, *_), why in zip(lying, refusals, strict=True)
            if (refusal := why or self._pick(rows.pop(seq, None))) is not None
        ]
        moved = self._count_published(published)
        # Whoever asked has a broker's message of it, which is used up.
        give_back(self._tx, [(seq, task) for seq, task in tasks.items() if seq not in moved])
        claims = self._claim()
        self._block()
        return Claimed(claims, refused=tuple(refused))

    def _count_published(self, seqs: set[int]) -> set[int]:
        """Let those of these that are claimed or blocked count as ready before; returns which these are."""
        moved: set[int] = set()
        told = self._tx.said.anew
        found = [(row[SEQ], row[TASK]) for row in self.found] + [(job.seq, job.task) for job in self._paused]
        for seq, task in found + [(row.seq, row.task) for row, _ in self._late]:
            if seq in seqs:
                self._tx.count(task, Stored.PUBLISHED, Stored.READY)
                moved.add(seq)
        self._tx.said.anew = told  # none of them waits to be claimed by others
        return moved

    def _lies(self, state: int, reason: str | None, queue: str) -> Refusal | None:
        """Say why a job that lies here cannot be claimed."""
        why = refusal_of(Stored(state), None if reason is None else Reason(reason))
        return Refusal.QUEUE if why is None and queue not in self._call.queues else why

    def _pick(self, row: Sequence[Any] | None) -> Refusal | None:
        """Take a ready job, or say why not."""
        if row is None:  # it was named twice
            return Refusal.RUNNING
        job = Ready._make(row)
        if job.suspect and (not self._call.suspect or any(one[SUSPECT] for one in self.found)):
            return Refusal.SUSPECT
        if len(self.found) >= self._call.limit:
            return Refusal.FULL
        if job.queue in self._rules.paused_queues:
            return Refusal.PAUSED
        if self._rules.bounded(job.queue) and self._allowed(job.queue) <= 0:
            bucket = self._rules.queue_rates.get(job.queue)
            return Refusal.LIMIT if bucket is None or bucket.allowed(self._tx.now) else Refusal.RATE
        if not self._admit(job):
            return Refusal.FULL
        if self.found and self.found[-1] is job:
            return None
        return Refusal.PAUSED if job.task in self._rules.paused_tasks else Refusal.RATE
