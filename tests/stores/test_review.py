"""What reviews of the stores have found: each of these was wrong once."""

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude.clock import SECOND, ManualClock
from postlude.errors import JournalUnavailable
from postlude.model.job import NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.state import State, Stored
from postlude.model.terms import Conflict
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.sql import SQL
from postlude.testing.conformance.bench import PATIENCE, Driver
from postlude.testing.conformance.hurting import StoreBench
from tests.stores.benches import MemoryBench, SqliteBench

pytestmark = pytest.mark.anyio

HOUR = 3600 * SECOND


@pytest.fixture(params=["memory", pytest.param("sqlite", marks=pytest.mark.disk)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> StoreBench:
    return MemoryBench() if request.param == "memory" else SqliteBench(tmp_path)


@pytest.fixture
def driver(bench: StoreBench) -> Iterator[Driver]:
    driver = Driver(bench, ManualClock())
    yield driver
    driver.store.close()


def rate(every: int, burst: int, concurrent: int | None = None) -> DeclaredLimits:
    return DeclaredLimits("task", "app:task", concurrent, every, burst)


def test_turns_of_a_slow_rate_are_not_waited_for_under_a_faster_one(driver: Driver) -> None:
    driver.declare(rate(HOUR, 1))
    runner, jobs = driver.enlist(), [driver.new(rated=True) for _ in range(5)]
    driver.add(*jobs)
    assert len(driver.claim(runner)) == 1
    driver.declare(rate(SECOND // 100, 100))
    driver.clock.advance(1)
    driver.add(driver.new(rated=True))
    assert len(driver.claim(runner)) == 5


def test_a_faster_rate_does_not_wait_for_what_the_slow_one_has_used_up(driver: Driver) -> None:
    driver.declare(rate(HOUR, 3))
    runner, jobs = driver.enlist(), [driver.new(rated=True) for _ in range(4)]
    driver.add(*jobs)
    assert len(driver.claim(runner)) == 3
    driver.declare(rate(SECOND, 2))
    assert driver.claim(runner) == []
    driver.clock.advance(2)
    driver.promote()
    assert [claim.id for claim in driver.claim(runner)] == [jobs[3].id]


def test_a_rate_that_is_taken_off_a_limited_task(driver: Driver) -> None:
    driver.declare(rate(HOUR, 1, 9))
    runner, jobs = driver.enlist(), [driver.new(concurrency_key="", rated=True) for _ in range(3)]
    driver.add(*jobs)
    assert len(driver.claim(runner)) == 1
    driver.declare(DeclaredLimits("task", "app:task", 9))
    assert len(driver.claim(runner)) == 2


@pytest.mark.parametrize("undo", ["resume", "declare"])
def test_those_that_were_blocked_take_their_places_by_priority(driver: Driver, undo: str) -> None:
    runner = driver.enlist()
    jobs = [driver.new(concurrency_key="", rated=True, priority=priority) for priority in (5, 4, -7, 3)]
    if undo == "resume":
        driver.declare(DeclaredLimits("task", "app:task", 1))
        driver.pause("task", "app:task")
    else:
        driver.declare(rate(HOUR, 1, 1))
        driver.add(driver.new(concurrency_key="", rated=True))
        driver.finish(driver.claim_one(runner))
    driver.add(*jobs)
    while any(driver.record(job).reason in (None, "limit") for job in jobs):
        assert driver.claim(runner) == []
    if undo == "resume":
        driver.resume("task", "app:task")
    else:
        driver.declare(DeclaredLimits("task", "app:task", 1))
    assert driver.claim_one(runner).id == jobs[2].id


class SlowCommit:
    """A store whose next commit takes until it is let go."""

    def __init__(self, store: SqliteStore) -> None:
        assert store._writer is not None
        backend: Any = store._writer._backend
        self.go = threading.Event()
        commit = backend.commit

        def slowly() -> None:
            backend.commit = commit
            assert self.go.wait(5)
            commit()

        backend.commit = slowly


@pytest.mark.disk
@pytest.mark.parametrize("born_claimed", [False, True])
@pytest.mark.parametrize("conflict", [Conflict.KEEP, Conflict.REPLACE])
async def test_what_one_caller_was_refused_another_one_was_promised(
    tmp_path: Path, conflict: Conflict, born_claimed: bool
) -> None:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    store = driver.store
    assert isinstance(store, SqliteStore)
    try:
        runner = (await store.enlist(NewRunner("r1", 15.0))).runner
        first, second = driver.new(key="k"), driver.new(key="k", conflict=conflict)
        commit = SlowCommit(store)
        hasty = store.add([first], claim_for=runner if born_claimed else None, budget=0.05)
        patient = store.add([second], budget=5.0)
        with pytest.raises(JournalUnavailable):
            await hasty
        commit.go.set()
        assert (await patient)[0].joined
        record = await store.get(second.id)
        assert record is not None
        assert record.stored is Stored.READY
        counts = [(one.state, one.jobs) for one in await store.counts()]
        assert counts == [(State.QUEUED, 1)]
        (claim,) = (await store.claim(runner, 9, suspect=False)).claims
        replaced = conflict is Conflict.REPLACE and not born_claimed
        assert claim.id == (second if replaced else first).id
    finally:
        await asyncio.to_thread(store.close)


@pytest.mark.disk
async def test_what_all_callers_were_refused_does_not_run(tmp_path: Path) -> None:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    store = driver.store
    assert isinstance(store, SqliteStore)
    try:
        jobs = [driver.new(key="k") for _ in range(2)]
        commit = SlowCommit(store)
        replies = [store.add([job], budget=0.05) for job in jobs]
        for reply in replies:
            with pytest.raises(JournalUnavailable):
                await reply
        commit.go.set()
        await store.promote()
        record = await store.get(jobs[1].id)
        assert record is not None
        assert record.stored is Stored.CANCELLED
    finally:
        await asyncio.to_thread(store.close)


def test_a_new_limit_takes_in_all_that_have_not_ended(driver: Driver) -> None:
    driver.declare(rate(HOUR, 1))
    runner = driver.enlist()
    held = driver.new(rated=True)
    driver.add(held)
    claim = driver.claim_one(runner)
    late, scheduled, ready = driver.new(rated=True), driver.new(after=1), driver.new(queue="other")
    driver.add(late, scheduled)
    assert driver.claim(runner) == []
    driver.add(ready)
    driver.declare(DeclaredLimits("task", "app:task", 1))
    driver.clock.advance(2)
    driver.promote()
    assert driver.claim(runner) == []
    waiting: list[NewJob] = [late, scheduled, ready]
    for _ in range(3):
        driver.finish(claim)
        claim = driver.claim_one(runner)
        waiting = [job for job in waiting if job.id != claim.id]
    assert waiting == []


@pytest.mark.disk
def test_tasks_without_limits_cost_claims_and_finishes_nothing(tmp_path: Path) -> None:
    """All that is declared is read in each of their transactions."""
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    driver.declare(*(DeclaredLimits("task", f"app:task{number}") for number in range(200)), rate(SECOND, 2))
    driver.declare(
        DeclaredLimits("queue", "q", 1),
        DeclaredLimits("task", "app:task"),
        DeclaredLimits("task", "app:other"),
    )
    driver.store.close()
    db = apsw.Connection(str(tmp_path / "journal.db"))
    try:
        assert db.execute("SELECT kind, name FROM bounds").fetchall() == [("queue", "q")]
    finally:
        db.close()


@pytest.mark.disk
def test_no_statement_of_limits_goes_through_jobs_that_have_ended(tmp_path: Path) -> None:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    driver.store.close()
    db = apsw.Connection(str(tmp_path / "journal.db"))
    try:
        for name in (
            "give_lane",
            "lanes",
            "in_lanes",
            "next_in_lanes",
            "surplus_in_lanes",
            "blocked_because",
            "ids_joined",
        ):
            numbers = [int(number) for number in re.findall(r"\?(\d+)", SQL[name])]
            bindings = (None,) * max(numbers, default=SQL[name].count("?"))
            for *_, step in db.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", bindings):
                assert not step.startswith("SCAN job") or "INDEX job_" in step, (name, step)
    finally:
        db.close()


@pytest.mark.disk
def test_the_next_of_a_lane_is_found_without_looking_at_those_that_wait_for_something_else(
    tmp_path: Path,
) -> None:
    """There may be very many: each claim and each finish took longer with their number."""
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    driver.store.close()
    db = apsw.Connection(str(tmp_path / "journal.db"))
    try:
        steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {SQL['next_in_lanes']}", ("[]",))]
        found = [step.partition("job_lane ")[2] for step in steps if "job_lane" in step]
        lane = "task=? AND lane=? AND state=?"
        assert found == [
            f"({lane})",
            f"({lane} AND reason=? AND priority=? AND seq>?)",
            f"({lane} AND reason=? AND priority>?)",
        ]
        assert not any("TEMP B-TREE" in step for step in steps), steps
    finally:
        db.close()


def test_applications_that_share_a_journal_keep_their_bounds(driver: Driver) -> None:
    """Each says what it knows of; what it does not know of stays as others have said."""
    driver.store.declare([DeclaredLimits("task", "shop:mail", 1), DeclaredLimits("queue", "mail", 3)]).wait(
        PATIENCE
    )
    driver.store.declare([DeclaredLimits("task", "crm:sync", 2), DeclaredLimits("task", "crm:free")]).wait(
        PATIENCE
    )
    jobs = [driver.new("shop:mail", concurrency_key="") for _ in range(2)]
    driver.add(*jobs)
    assert driver.states(*jobs) == [State.QUEUED] * 2
    assert [claim.id for claim in driver.claim(driver.enlist())] == [jobs[0].id]
    driver.store.declare([DeclaredLimits("task", "shop:mail")]).wait(PATIENCE)
    assert [claim.id for claim in driver.claim(driver.enlist())] == [jobs[1].id]
