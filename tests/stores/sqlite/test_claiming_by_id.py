"""Claiming by ids what has been given to a broker."""

from pathlib import Path

import apsw
import pytest

from postlude.clock import ManualClock
from postlude.model.refusal import Refusal
from postlude.model.state import State, Stored
from postlude.testing.conformance import Driver
from tests.stores.benches import SqliteBench

pytestmark = pytest.mark.disk


def test_a_published_job_is_claimed_or_blocked_and_counted_where_it_was(tmp_path: Path) -> None:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    jobs = [driver.new(task) for task in ("runs", "paused", "stays")]
    driver.add(*jobs)
    driver.store.close()
    db = apsw.Connection(str(tmp_path / "journal.db"))
    db.execute("UPDATE job SET state = 5; UPDATE stat SET state = 5")
    db.close()
    driver.store.open()
    driver.pause("task", "paused")
    runner = driver.enlist()
    claimed = driver.claimed(runner, ids=[job.id for job in jobs[:2]])
    assert [claim.id for claim in claimed.claims] == [jobs[0].id]
    assert claimed.refused == ((jobs[1].id, Refusal.PAUSED),)
    assert [stored for stored, _ in driver.lie(*jobs)] == [Stored.RUNNING, Stored.BLOCKED, Stored.PUBLISHED]
    assert driver.finish(claimed.claims[0])
    counts = {(one.task, one.state): one.jobs for one in driver.store.counts().wait(5)}
    assert counts == {
        ("runs", State.SUCCEEDED): 1, ("paused", State.QUEUED): 1, ("stays", State.QUEUED): 1,
    }  # fmt: skip
    driver.store.close()
    stats = (
        apsw.Connection(str(tmp_path / "journal.db")).execute("SELECT state, n FROM stat WHERE n").fetchall()
    )
    assert sorted(stats) == [(2, 1), (5, 1), (8, 1)]
