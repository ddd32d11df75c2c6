"""What brokers are told of a memory store: which jobs are published, and which come again.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Collection, Sequence
from heapq import nsmallest
from math import inf

from postlude.clock import SECOND
from postlude.model.queues import Queues
from postlude.model.state import Stored
from postlude.stores.memory.claim import running_in
from postlude.stores.memory.limits import Rules, follow_clock
from postlude.stores.memory.row import Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.shelves import Shelves
from postlude.stores.outgoing import Outgoing, OutState, PublishCall, comes_again


def publish(
    shelves: Shelves, rules: Rules, runners: Collection[MemoryRunner], call: PublishCall, now: int
) -> Outgoing:
    """Let ready jobs be published."""
    follow_clock(shelves, rules, now)
    queue, paused = call.queue, call.queue in rules.paused_queues
    lying = [row for row in shelves.rows.values() if row.job.queue == queue]
    out = sorted((row for row in lying if row.stored is Stored.PUBLISHED), key=lambda row: row.order)
    patience = round(call.patience * SECOND)
    again = [row for row in out if not paused and comes_again(now, row.published_at, row.publishes, patience)]
    limit, rate = rules.queues.get(queue, (None, None))
    allowed = 0 if paused else inf
    if limit is not None:
        allowed = min(allowed, limit - running_in(queue, runners))
    if rate is not None:
        allowed = min(allowed, rate.allowed(now))
    ready = [row for row in lying if row.stored is Stored.READY]
    room = max(0, int(min(call.window, allowed)) - len(out))
    found = nsmallest(room, ready, key=lambda row: (row.suspect, *row.order))
    for row in again:
        row.publishes += 1
    for row in found:
        shelves.move(row, Stored.PUBLISHED)
        row.publishes = 1
    for row in (*again, *found):
        row.published_at = now
    waits = len(ready) > len(found)
    later = rate.first(now) if waits and rate is not None else None
    jobs = [row.job for row in (*again, *found)]
    contexts = {job.id: text for job in jobs if (text := job.terms.given.context) is not None}
    ids = [job.id for job in jobs]
    return Outgoing(ids, len(out) + len(found), waits and allowed >= call.window, later, contexts)


def published(shelves: Shelves) -> list[OutState]:
    """Return of each queue what of it is published."""
    found: dict[str, list[Row]] = {}
    for row in shelves.rows.values():
        if row.stored is Stored.PUBLISHED:
            found.setdefault(row.job.queue, []).append(row)
    return [
        OutState(
            queue, len(rows), min(row.published_at or 0 for row in rows), max(row.publishes for row in rows)
        )
        for queue, rows in sorted(found.items())
    ]


def withdraw(shelves: Shelves, queues: Queues, ids: Sequence[bytes] | None) -> int:
    """Make published jobs ready; returns how many."""
    rows = shelves.rows.values() if ids is None else [shelves.by_id[id] for id in ids if id in shelves.by_id]
    found = [row for row in rows if row.stored is Stored.PUBLISHED and row.job.queue in queues]
    for row in found:
        shelves.move(row, Stored.READY)
    return len(found)
