"""A journal of a million jobs in SQLite, and what it costs to look at it: `python -m bench.million`.

Times are those of the reader of the store, without the start of the command line, and of the processor:
what else runs on the machine has no part in them. `--wall` is by the clock on the wall, for a free machine.
Each is the median of several looks after a first one. The million is written by SQL and not by the verbs of
the store: that takes seconds.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import apsw

from postlude.clock import SECOND, SystemClock
from postlude.model.history import MINUTE, MINUTES_KEPT
from postlude.model.job import JobFilter
from postlude.model.state import State
from postlude.stores.relational.columns import SUM_CELLS, SUMMED
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.reader import JournalReader

NEWEST: Final = 100_000
"""Jobs among which `postlude jobs` looks."""

FAILED: Final = 20_000
RUNNING: Final = 30
QUEUED: Final = 20_000
TASKS: Final = 20
RARE: Final = "shop:rare"

Row = tuple[str, float, float | None]
"""What was looked for, the milliseconds that it took, and how many it may take."""


def fill(path: Path, jobs: int) -> None:
    """Write a journal of so many jobs, which the last 90 days have brought."""
    store = SqliteStore(path)
    store.open()
    store.close()
    now = SystemClock().now()
    db = apsw.Connection(str(path))
    db.execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN")
    names = [(f"shop:task_{number}",) for number in range(TASKS)] + [(RARE,)]
    db.executemany("INSERT INTO task_name (name) VALUES (?)", names)
    each = 90 * 86_400 * SECOND // jobs
    failed_every = jobs // FAILED
    values = (jobs, now - each * jobs, each, failed_every, jobs - QUEUED, jobs - QUEUED - RUNNING)
    db.execute(
        """
        WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1),
        made AS (
            SELECT n, ?2 + n * ?3 AS created, CASE
                WHEN n > ?5 THEN 0 WHEN n > ?6 THEN 3 WHEN n % ?4 = 0 THEN 9 WHEN n % 97 = 0 THEN 10 ELSE 8
            END AS state FROM number
        )
        INSERT INTO job (
            seq, id, task, queue, state, fence, failures, runner, created, started, finished, owner, key
        )
        SELECT n, randomblob(16), iif(n % 200000 = 77, 21, 1 + n % 20),
            CASE n % 10 WHEN 0 THEN 'mail' ELSE 'default' END, state, 1, state = 9, state = 3,
            created, iif(state > 2, created + 1000, NULL), iif(state > 7, created + 51000, NULL),
            'owner' || (n % 5000), iif(n % 50 = 0, 'key:' || n, NULL)
        FROM made
        """,
        values,
    )
    db.execute(
        """
        INSERT INTO payload (seq, codec, args)
        SELECT seq, 0, CAST('{"a":[],"k":{"tenant":"t' || (seq % 300) || '","order":' || seq || '}}' AS BLOB)
        FROM job
        """
    )
    trace = (
        'Traceback (most recent call last):\n  File "/srv/shop/mail.py", line 31, in send\nValueError: no'
        + " " * 1500
    )
    db.execute(
        "INSERT INTO attempt (job, n, started, finished, error, traceback, host, pid) "
        "SELECT seq, 1, started, finished, 'ValueError: no ' || seq, ?1, 'h', 1 FROM job WHERE state = 9",
        (trace,),
    )
    db.executemany(
        "INSERT INTO failure_kind (id, kind, place) VALUES (?, 'ValueError', ?)",
        [(number, f"shop/mail.py:{number} in send") for number in range(1, 41)],
    )
    db.execute(
        "INSERT INTO failure (seq, kind) SELECT seq, 1 + seq / ?1 % 40 FROM job WHERE state = 9",
        (failed_every,),
    )
    db.execute("INSERT INTO stat (task, state, n) SELECT task, state, count(*) FROM job GROUP BY task, state")
    _sums(db, now // MINUTE)
    db.execute("COMMIT")
    db.close()


def _sums(db: apsw.Connection, minute: int) -> None:
    """Write a week of minutes in which each task has ended."""
    numbers = {"n": 10, "ran": 500_000, "waited": 100_000, "run_4": 10, "wait_2": 10}
    cells = ", ".join(str(numbers.get(name, 0)) for name in SUM_CELLS)
    db.execute(
        "WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < ?2 - 1) "
        f"INSERT INTO sums ({', '.join(SUMMED)}) "
        f"SELECT ?1 - n, id, 'default', 'succeeded', {cells} FROM number, task_name WHERE id <= 8 "
        f"UNION ALL SELECT 0, id, 'default', 'succeeded', {cells} FROM task_name",
        (minute, MINUTES_KEPT),
    )


def looks(path: Path, clock: Callable[[], float]) -> list[Row]:
    """Measure each look, by a clock that tells seconds."""
    took = partial(_took, clock)
    reader = JournalReader(path)
    now = SystemClock().now()
    page = JobFilter(limit=51, within=NEWEST)
    filters = {
        "newest page": page,
        "--state running": replace(page, states=(State.RUNNING,)),
        **{
            f"--state {state}": replace(page, states=(state,))
            for state in State
            if state is not State.RUNNING
        },
        "--task, of many": replace(page, task="shop:task_3"),
        "--task, of few": replace(page, task=RARE),
        "--task --state succeeded": replace(page, task="shop:task_3", states=(State.SUCCEEDED,)),
        "--queue": replace(page, queue="mail"),
        "--queue --state queued": replace(page, queue="mail", states=(State.QUEUED,)),
        "--queue of none": replace(page, queue="nothing"),
        "--owner": replace(page, owner="owner7"),
        "--owner of none": replace(page, owner="nobody"),
        "--key of one": replace(page, key="key:500"),
        "--error": replace(page, error="no 9"),
        "--error of none": replace(page, error="never"),
        "--since": replace(page, since=now - 3600 * SECOND),
        "--until long ago": replace(page, until=now - 80 * 86_400 * SECOND),
        "--arg": replace(page, arguments=(("tenant", "t7"),)),
        "--arg of none": replace(page, arguments=(("tenant", "nobody"),)),
        "--state failed --error of none": replace(page, states=(State.FAILED,), error="never"),
        "--before, the last page": replace(page, before=60),
    }
    limits = {"--state running": 10.0}
    rows: list[Row] = [
        (name, took(lambda asked=asked: reader.page(asked)), limits.get(name, 150.0))  # type: ignore[misc]
        for name, asked in filters.items()
    ]
    minute = now // MINUTE
    rows += [
        (f"groups of {FAILED:,} failures", took(lambda: reader.groups(0)), 100.0),
        ("groups of an hour", took(lambda: reader.groups(now - 3600 * SECOND)), 100.0),
        ("sums of a day, by the minute", took(lambda: reader.history(minute - 1439, minute, 1)), None),
        ("sums of a week, by the hour", took(lambda: reader.history(minute - 10_079, minute, 60)), None),
        ("sums of all time, as for metrics", took(lambda: reader.history(0, 0, 1)), None),
        ("totals", took(reader.totals), None),
        ("counts", took(reader.counts), None),
        ("queues", took(reader.queues), None),
    ]
    reader.close()
    return rows


def _took(clock: Callable[[], float], look: Callable[[], Any], times: int = 5) -> float:
    look()
    taken = []
    for _ in range(times):
        began = clock()
        look()
        taken.append((clock() - began) * 1000)
    return median(taken)


def main() -> None:
    """Run from the command line; exits with 1 if something takes longer than it may."""
    parser = argparse.ArgumentParser(prog="python -m bench.million", description=__doc__.partition(":")[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--journal", type=Path, help="keep it there, or look at the one that is there")
    parser.add_argument("--wall", action="store_true", help="by the clock on the wall")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = asked.journal or Path(folder) / "million.db"
        if not path.exists():
            began = time.perf_counter()
            fill(path, asked.jobs)
            size = path.stat().st_size / 2**20
            print(f"{asked.jobs:,} jobs written in {time.perf_counter() - began:.1f} s, {size:.0f} MiB")
        rows = looks(path, time.perf_counter if asked.wall else time.process_time)
    for name, took, most in rows:
        verdict = "" if most is None else f"of {most:.0f}" + ("" if took <= most else "  TOO LONG")
        print(f"{name:40} {took:8.1f} ms  {verdict}")
    if any(most is not None and took > most for _, took, most in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
