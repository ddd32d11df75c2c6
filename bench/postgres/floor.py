"""The floor: what the same writes cost one connection that does nothing else, in groups of 256.

Insert by `unnest`, claim by `SKIP LOCKED`, finish by `unnest`, each group a transaction; into Postlude's own
schema, with its indexes.

    python -m bench.postgres.floor URL JOBS

Prints one line of JSON.
"""

import json
import os
import sys
import time
from typing import Any, Final

import psycopg

from bench.machine import pin
from postlude.stores.postgres.connection import migrate

GROUP: Final = 256
SCHEMA: Final = "floor"

_ADD: Final = """
INSERT INTO floor.job (seq, id, task, queue, state, created)
SELECT seq, id, 1, 'default', 0, created
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS j(seq, id, created)
"""
_PAYLOAD: Final = """
INSERT INTO floor.payload (seq, codec, args)
SELECT seq, 0, args FROM unnest($1::bigint[], $2::bytea[]) AS p(seq, args)
"""
_CLAIM: Final = """
UPDATE floor.job SET state = 3, fence = fence + 1, runner = 1 FROM floor.payload AS p
WHERE job.seq IN (
    SELECT seq FROM floor.job WHERE state = 0 AND queue = 'default' AND NOT suspect
    ORDER BY priority, coalesce(position, seq) LIMIT 256 FOR UPDATE SKIP LOCKED
) AND p.seq = job.seq RETURNING job.seq, job.id, job.fence, job.task, job.queue, job.created, p.args
"""
_FINISH: Final = """
UPDATE floor.job SET state = 8, started = f.started, finished = f.finished
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS f(seq, fence, started, finished)
WHERE job.seq = f.seq AND job.fence = f.fence AND job.state = 3
"""


def run(url: str, jobs: int) -> dict[str, float]:
    """Add jobs, claim and finish them; returns figures as `bench.jobs` does."""
    db = psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor)
    db.execute("DROP SCHEMA IF EXISTS floor CASCADE")
    migrate(db, SCHEMA)
    began, cpu = time.perf_counter(), time.process_time()
    for first in range(0, jobs, GROUP):
        _add(db, list(range(first, min(first + GROUP, jobs))))
    added = time.perf_counter()
    done = 0
    while done < jobs:
        with db.transaction():
            claimed: list[Any] = db.execute(_CLAIM).fetchall()
        now = time.time_ns() // 1000
        rows = [(seq, fence, now, now) for seq, _, fence, *_ in claimed]
        with db.transaction():
            db.execute(_FINISH, [list(column) for column in zip(*rows, strict=True)])
        done += len(claimed)
    ended = time.perf_counter()
    db.close()
    return {
        "per_second": jobs / (ended - began),
        "added_per_second": jobs / (added - began),
        "cpu": (time.process_time() - cpu) / jobs,
    }


def _add(db: "psycopg.Connection[Any]", seqs: list[int]) -> None:
    now = time.time_ns() // 1000
    ids = [(now // 1000).to_bytes(6) + seq.to_bytes(4) + os.urandom(6) for seq in seqs]
    with db.transaction():
        db.execute(_ADD, [seqs, ids, [now] * len(seqs)])
        db.execute(_PAYLOAD, [seqs, [b'{"a":[],"k":{}}'] * len(seqs)])


if __name__ == "__main__":
    pin(1)
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]))))
