"""What brokers are told of a journal in SQL: which jobs are published, and which come again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic_core import to_json

from postlude.clock import SECOND
from postlude.model.queues import Queues
from postlude.model.state import Stored
from postlude.stores.outgoing import Outgoing, PublishCall, comes_again
from postlude.stores.relational.cells import queue_of
from postlude.stores.relational.concurrency import follow_clock
from postlude.stores.relational.transaction import Transaction

UNBOUNDED: Final = 1 << 40


def publish(tx: Transaction, calls: Sequence[PublishCall]) -> list[Outgoing]:
    """Publish for each caller in turn."""
    return [_publish(tx, call) for call in calls]


def _publish(tx: Transaction, call: PublishCall) -> Outgoing:
    follow_clock(tx)
    rules, queue = tx.rules, call.queue
    patience = round(call.patience * SECOND)
    out = tx.rows("out", queue)
    again = [(seq, id, text) for seq, id, at, times, text in out if comes_again(tx.now, at, times, patience)]
    allowed = UNBOUNDED
    limit, bucket = rules.queue_limits.get(queue), rules.queue_rates.get(queue)
    if queue in rules.paused_queues:
        allowed = 0
        again = []
    if limit is not None:
        allowed = min(allowed, limit - tx.value("running_in_queue", queue))
    if bucket is not None:
        allowed = min(allowed, bucket.allowed(tx.now))
    room = min(call.window, allowed) - len(out)
    found = tx.rows("next_ready", queue, room) if room > 0 else []
    if found or again:
        tx.run("publish", to_json([row[0] for row in found + again]).decode(), tx.now)
    for task, jobs in Counter(task for *_, task in found).items():
        tx.count(task, Stored.READY, Stored.PUBLISHED, jobs)
    given = again + [row[:3] for row in found]
    ids = [bytes.fromhex(id) for _, id, _ in given]
    contexts = {bytes.fromhex(id): _legible(text) for _, id, text in given if text is not None}
    waits = room <= len(found) and bool(tx.value("any_ready", queue))
    bound = allowed < call.window
    later = bucket.first(tx.now) if waits and bucket is not None else None
    return Outgoing(ids, len(out) + len(found), waits and not bound, later, contexts)


def _legible(text: str) -> str:
    """Return what stands in a cell, of which a byte may be damaged."""
    return bytes.fromhex(text).decode(errors="replace")


def withdraw(tx: Transaction, calls: Sequence[tuple[Queues, Sequence[bytes] | None]]) -> list[int]:
    """Make published jobs ready, for each caller in turn."""
    return [_withdraw(tx, queues, ids) for queues, ids in calls]


def _withdraw(tx: Transaction, queues: Queues, ids: Sequence[bytes] | None) -> int:
    if ids is None:
        found = tx.rows("all_out")
    else:
        found = tx.rows("out_of_these", to_json([id.hex() for id in ids]).decode())
    theirs = [(seq, task) for seq, task, queue in found if queue_of(queue) in queues]
    return give_back(tx, theirs)


def give_back(tx: Transaction, jobs: Iterable[tuple[int, int]]) -> int:
    """Make jobs ready that are published: their numbers, and their tasks'. Returns how many."""
    jobs = list(jobs)
    if jobs:
        tx.run("withdraw", to_json([seq for seq, _ in jobs]).decode())
        for task, number in Counter(task for _, task in jobs).items():
            tx.count(task, Stored.PUBLISHED, Stored.READY, number)
    return len(jobs)
