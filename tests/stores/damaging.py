"""A journal with a job in every state, and ways to damage one cell of it."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from postlude.clock import SECOND, ManualClock
from postlude.model.job import NewJob, Progress, ProgressNote
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import LogLine, Outcome, Parked, Succeeded
from postlude.model.state import Reason
from postlude.stores.protocol import Enlisted, Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance import Driver, StoreBench

VALUES: Final[dict[str, str]] = {
    "no UTF-8": "CAST(x'ff41' AS TEXT)",
    "a blob": "x'ff'",
    "a text": "'text'",
    "nothing": "NULL",
    "0": "0",
    "-1": "-1",
    "99": "99",
    "huge": "9223372036854775807",
    "a fraction": "2.5",
    "broken JSON": "'{\"x\":'",
    "other JSON": "'[[1], {\"x\": [2]}]'",
}

TABLES: Final = (
    "job", "payload", "result", "attempt", "log", "progress", "note", "runner", "task_name", "alias",
    "stat", "bounds", "pause", "lead",
)  # fmt: skip

NOT_LOOKED_AT: Final = frozenset({("job", "seq"), ("runner", "id")})
"""The numbers by which rows are found."""


class Place(NamedTuple):
    """A cell, and what is put there."""

    table: str
    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} is {self.value}"


class Bench(StoreBench):
    """Journals in one file.

    Args:
        path: of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, clock: ManualClock) -> Store:
        return SqliteStore(self.path, clock=clock)


class Life:
    """A journal that holds a job in every state; each has others of its kind beside it.

    Args:
        path: where it is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.jobs: dict[str, list[NewJob]] = {}
        driver = Driver(Bench(path), self.clock)
        driver.declare(
            DeclaredLimits("task", "limited", 1),
            DeclaredLimits("task", "rated", every=SECOND),
            DeclaredLimits("queue", "bounded", 5),
        )
        self._fill(driver)
        # Not closed in order: a process died with what it ran.
        driver.store.close()

    def _fill(self, driver: Driver) -> None:
        runner = driver.enlist()
        driver.store.lead(runner.runner, "promote", 15.0).wait(5)
        for name in ("succeeded", "failed", "parked", "retrying", "cancelled", "running"):
            self._add(driver, name, key=name, opts='{"t":5}', context='{"c":1}', owner="ada")
            driver.add(driver.new(name, key=name))  # an alias
        claims = driver.claim(runner)
        for claim in claims:
            self._end(driver, runner, claim)
        self._add(driver, "ready", opts='{"t":5}', context='{"c":1}', key="k", owner="ada")
        self._add(driver, "scheduled", after=60)
        self._add(driver, "limited", concurrency_key="x")
        self._add(driver, "rated", rated=True)
        self._add(driver, "bounded", queue="bounded", rated=True)
        self._add(driver, "other", queue="other", priority=1)
        leader = driver.new("leader", after=30)
        self.jobs["leader"] = [leader]
        self.jobs["follower"] = [driver.new("follower", follows=True, after=90)]
        driver.add(leader, *self.jobs["follower"])
        driver.pause("task", "paused")
        self._add(driver, "paused")
        driver.resume("task", "paused")
        driver.pause("queue", "nobody's")

    def _add(self, driver: Driver, name: str, key: str | None = None, **fields: Any) -> None:
        jobs = [driver.new(name, key=key and f"{key}{place or ''}", **fields) for place in range(3)]
        self.jobs[name] = jobs
        driver.add(*jobs)

    def _end(self, driver: Driver, runner: Enlisted, claim: Any) -> None:
        driver.start(runner, claim)
        driver.store.progress([ProgressNote(claim.seq, claim.fence, Progress(1.0, 2.0, "half", 5))]).wait(5)
        line = (LogLine(driver.clock.now(), 30, "app", "a line"),)
        outcomes: dict[str, Outcome] = {
            "succeeded": Succeeded(b"7"),
            "failed": driver.failed(),
            "parked": Parked(Reason.UNKNOWN_TASK, "r1", "unknown"),
            "retrying": driver.failed(retry_after=50),
        }
        if claim.task in outcomes:
            driver.store.finish([driver.finish_of(claim, outcomes[claim.task], line)]).wait(5)
        elif claim.task == "cancelled":
            driver.release(runner, claim)
            driver.store.cancel([claim.id]).wait(5)


def places(path: Path) -> Iterator[Place]:
    """Give every cell that can be damaged, in every way."""
    with sqlite3.connect(path) as db:
        for table in TABLES:
            for _, column, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
                if (table, column) not in NOT_LOOKED_AT:
                    places = (Place(table, column, value) for value in VALUES)
                    # A job without a queue, which the schema forbids, waits in none and is never seen.
                    yield from (place for place in places if place != Place("job", "queue", "nothing"))


def damage(path: Path, place: Place, task: str | None) -> bool:
    """Damage a cell as a disk does: what the schema forbids too. Returns whether there was one.

    Args:
        path: of the journal.
        place: which cell, and how.
        task: the task whose first job's it is to be; None, in other tables: the first row's.
    """
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA writable_schema = ON")
        before = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        for name, sql in before:
            if sql.startswith("CREATE TABLE"):
                loose = sql.replace(" NOT NULL", "").replace(" CHECK (length(id) = 16)", "")
                loose = loose.replace(" CHECK (state BETWEEN 0 AND 15)", "")
                db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (loose, name))
        db.close()
        db = sqlite3.connect(path, isolation_level=None)
        where = {
            "job": "seq = (SELECT min(seq) FROM job JOIN task_name AS t ON t.id = task WHERE t.name = ?)",
        }.get(place.table)
        key = {"alias": "id", "stat": "task, state", "bounds": "kind, name", "pause": "kind, name"}.get(
            place.table, "rowid"
        )
        if where is None:
            where = f"({key}) = (SELECT {key} FROM {place.table} LIMIT 1)"
        try:
            changed = db.execute(
                f"UPDATE {place.table} SET {place.column} = {VALUES[place.value]} WHERE {where}",
                (task,) if place.table == "job" else (),
            ).rowcount
        except sqlite3.Error:
            changed = 0  # an index or a key of whole numbers does not take it, and no disk would make it so
        db.execute("PRAGMA writable_schema = ON")
        for name, sql in before:
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, name))
    finally:
        db.close()
    return changed > 0


def copied(path: Path, to: Path) -> Path:
    """Copy a closed journal."""
    shutil.copyfile(path, to)
    return to
