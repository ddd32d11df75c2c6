"""What a memory store needs from time to time: due jobs, parked jobs, pruning.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Collection, Sequence
from typing import Final

from postlude.clock import SECOND
from postlude.config import Keep
from postlude.stores.memory.shelves import Shelves
from postlude.stores.protocol import Promoted

PRUNED_AT_ONCE: Final = 500
"""Jobs that one call of `prune` deletes at most."""


def promote(shelves: Shelves, now: int) -> Promoted:
    """Ready what is due, as far as concurrency keys have room."""
    promoted = 0
    while (row := shelves.next_due()) is not None and row.due is not None and row.due <= now:
        promoted += shelves.ready(row)
    return Promoted(promoted, None if row is None else row.due)


def unpark(shelves: Shelves, pairs: Collection[tuple[str, str]], suspects: bool) -> int:
    """Ready the parked jobs of these pairs, as far as concurrency keys have room; returns how many were
    parked."""
    parked = [row for pair in set(pairs) for row in shelves.parked.get(pair, {}).values()]
    rows = [row for row in parked if suspects or not row.suspect]
    shelves.ready_all(rows)
    for row in rows:
        row.release = ""
    return len(rows)


def delete(shelves: Shelves, ids: Sequence[bytes]) -> list[bool]:
    """Delete jobs that have ended; False for each that has not."""
    rows = [shelves.by_id.get(id) for id in ids]
    ended = {row.seq: row for row in rows if row is not None and row.stored.final}
    for row in ended.values():
        shelves.forget(row)
    return [row is not None and row.seq in ended for row in rows]


def prune(shelves: Shelves, keep: Keep, now: int) -> int:
    """Delete a bounded number of jobs that are kept no longer."""
    deleted = 0
    for ended, most, seconds in (
        (shelves.succeeded, keep.successes, keep.success_seconds),
        (shelves.unsuccessful, keep.failures, keep.failure_seconds),
    ):
        oldest = now - round(seconds * SECOND)
        while ended and deleted < PRUNED_AT_ONCE:
            row = next(iter(ended.values()))
            if len(ended) <= most and (row.finished or 0) >= oldest:
                break
            shelves.forget(row)
            deleted += 1
    return deleted
