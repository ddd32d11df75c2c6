"""How long claims take: on an empty table, with a million jobs waiting, and beside a transaction held open.

    python -m bench.postgres.claims URL SCHEMA WAITING HELD SECONDS

Fills the journal with WAITING jobs, holds a snapshot beside it if HELD is 1, and then adds, claims and
finishes 1,000 jobs a second, in hundreds, for so many seconds; a hundred that is late is followed by the next
at once. Looks for held transactions each five seconds, as a runner does. Prints one line of JSON: jobs a
second, percentiles in milliseconds, and what was told of transactions held open.
"""

import itertools
import json
import os
import sys
import time
from typing import Final

import psycopg

from bench.load import quantile
from bench.machine import pin
from postlude.model.event.journal import TransactionHeld
from postlude.model.job import NewJob
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.stores.postgres import PostgresStore
from postlude.stores.protocol import NewRunner

EVERY: Final = 0.1
JOBS: Final = 100
PATIENCE: Final = 60.0
RENEW_EVERY: Final = 5.0
TASK: Final = "bench.tasks:nothing"
_PARTS: Final = 10

_ids = itertools.count()


def run(url: str, schema: str, waiting: int, held: bool, seconds: float) -> dict[str, object]:
    """Measure; see the module."""
    store = PostgresStore(url, schema=schema)
    store.open()
    runner = store.enlist(NewRunner("bench", 60.0)).wait(PATIENCE).runner
    for _ in range(0, waiting, 1000):
        store.add(_jobs(1000)).wait(PATIENCE)
    if waiting:
        with psycopg.connect(url, autocommit=True) as db:  # as autovacuum does within a minute
            db.execute(f"VACUUM ANALYZE {schema}.job")
    beside = psycopg.connect(url, application_name="bench-report") if held else None
    if beside is not None:
        beside.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        beside.execute("SELECT 1")
    told: list[TransactionHeld] = []
    store.events.listen(told.append, TransactionHeld)
    taken: dict[str, list[float]] = {"add": [], "claim": [], "finish": []}
    began = time.monotonic()
    renewed = began
    for number in range(round(seconds / EVERY)):
        time.sleep(max(0.0, began + number * EVERY - time.monotonic()))
        if time.monotonic() - began >= seconds:
            break
        if time.monotonic() - renewed > RENEW_EVERY:
            renewed = time.monotonic()
            store.renew(runner).wait(PATIENCE)
            store.reap().wait(PATIENCE)
        _measured(store, runner, taken)
    spent = time.monotonic() - began
    if beside is not None:
        beside.close()
    store.close()
    last = taken["claim"][-len(taken["claim"]) // 5 :]
    part = -(-len(taken["claim"]) // _PARTS)
    return {
        "claim": _percentiles(taken["claim"]),
        "claim, last fifth": _percentiles(last),
        "add": _percentiles(taken["add"]),
        "finish": _percentiles(taken["finish"]),
        "claims on the way, p50": [
            round(quantile(sorted(taken["claim"][first : first + part]), 0.5), 2)
            for first in range(0, len(taken["claim"]), part)
        ],
        "jobs a second": round(JOBS * len(taken["claim"]) / spent),
        "told of": [f"{one.application}, open for {one.seconds} s" for one in told],
    }


def _measured(store: PostgresStore, runner: int, taken: dict[str, list[float]]) -> None:
    started = time.perf_counter()
    store.add(_jobs(JOBS)).wait(PATIENCE)
    added = time.perf_counter()
    claims = store.claim(runner, JOBS, suspect=True).wait(PATIENCE).claims
    claimed = time.perf_counter()
    assert len(claims) == JOBS, len(claims)
    now = store.now()
    ends = [Finish(claim.seq, claim.fence, claim.task, now, now, SUCCEEDED) for claim in claims]
    assert all(store.finish(ends).wait(PATIENCE))
    finished = time.perf_counter()
    for name, spent in (("add", added - started), ("claim", claimed - added), ("finish", finished - claimed)):
        taken[name].append(spent * 1000)


def _jobs(number: int) -> list[NewJob]:
    now = time.time_ns()
    start = (now // 1_000_000).to_bytes(6)
    return [
        NewJob(
            start + next(_ids).to_bytes(4) + os.urandom(6), TASK, "default", b'{"a":[],"k":{}}', now // 1000
        )
        for _ in range(number)
    ]


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(quantile(ordered, 0.5), 2),
        "p99": round(quantile(ordered, 0.99), 2),
        "worst": round(ordered[-1], 2),
    }


if __name__ == "__main__":
    pin(1)
    url, schema, waiting, held, seconds = sys.argv[1:]
    print(json.dumps(run(url, schema, int(waiting), held == "1", float(seconds))))
