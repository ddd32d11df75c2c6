"""A journal of every version that was ever released can be read, claimed from and written to."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from postlude.clock import SECOND, ManualClock
from postlude.model.job import JobFilter, JobRecord
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.reader import JournalReader
from tests.stores.golden.make_v1 import IDS

pytestmark = pytest.mark.disk

STATES = {
    "succeeded": Stored.SUCCEEDED,
    "failed": Stored.FAILED,
    "parked": Stored.PARKED,
    "retrying": Stored.SCHEDULED,
    "cancelled": Stored.CANCELLED,
    "scheduled": Stored.SCHEDULED,
    "ready": Stored.READY,
    "blocked": Stored.BLOCKED,
}


@pytest.fixture(params=["v1.journal"])
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kept = Path(__file__).parent / "golden" / request.param
    return Path(shutil.copyfile(kept, tmp_path / "journal.db"))


def records(store: SqliteStore) -> dict[str, JobRecord]:
    found = {name: store.get(id).wait(5) for name, id in IDS.items()}
    return {name: record for name, record in found.items() if record is not None}


def test_its_jobs_can_be_read(golden: Path) -> None:
    store = SqliteStore(golden)
    store.open()
    found = records(store)
    assert {name: record.stored for name, record in found.items()} == STATES
    for name, record in found.items():
        assert record.task == f"shop:{name}"
        assert record.payload == b'{"a":["%s"],"k":{}}' % name.encode()
    assert [attempt.error for attempt in found["failed"].attempts] == ["ValueError: no"]
    assert found["parked"].reason is Reason.UNKNOWN_TASK
    assert [record.id for record in store.page(JobFilter()).wait(5)] == list(reversed(IDS.values()))
    assert store.parked().wait(5) == [("shop:parked", "release-1")]
    assert sum(count.jobs for count in store.counts().wait(5)) == len(IDS)
    store.close()


def test_it_is_shown_the_same_before_anybody_has_migrated_it(golden: Path) -> None:
    before = golden.read_bytes()
    reader = JournalReader(golden)
    unmigrated = {name: reader.get(id) for name, id in IDS.items()}
    assert (reader.living(), len(reader.counts())) == ([], len(IDS))
    reader.close()
    assert golden.read_bytes() == before
    store = SqliteStore(golden)
    store.open()
    assert records(store) == unmigrated
    store.close()


def test_who_follows_whom_becomes_a_column(golden: Path) -> None:
    store = SqliteStore(golden)
    store.open()
    found = records(store)
    store.close()
    with sqlite3.connect(golden) as db:
        follows = db.execute("SELECT seq, follows FROM job WHERE follows IS NOT NULL").fetchall()
    assert follows == [(found["blocked"].seq, found["ready"].seq)]


def test_its_jobs_can_be_claimed_and_finished(golden: Path) -> None:
    clock = ManualClock()
    clock.advance(2 * 3600)  # all that was scheduled or blocked is due
    store = SqliteStore(golden, clock=clock)
    store.open()
    runner = store.enlist(NewRunner("release-2", 15.0)).wait(5).runner
    assert store.promote().wait(5).jobs == 3
    assert store.unpark([("shop:parked", "release-1")]).wait(5) == 1
    claims = store.claim(runner, 100, suspect=False).wait(5).claims
    unfinished = ("parked", "retrying", "scheduled", "ready", "blocked")
    assert {claim.id for claim in claims} == {IDS[name] for name in unfinished}
    now = clock.now()
    ends = [Finish(c.seq, c.fence, c.task, now - SECOND, now, SUCCEEDED) for c in claims]
    assert store.finish(ends).wait(5) == [True] * len(unfinished)
    states = {name: record.state for name, record in records(store).items()}
    assert states == {name: State.SUCCEEDED if name in unfinished else STATES[name].public for name in IDS}
    store.close()
