"""Who follows whom is a column of the follower: how older journals get it, and how it is found."""

from pathlib import Path

import apsw
import pytest

from postlude.clock import SECOND, ManualClock
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.connection import APPLICATION_ID
from postlude.stores.sqlite.sql import MIGRATIONS, SQL

pytestmark = pytest.mark.disk

CHAIN = [
    # state, followed
    (0, 1),
    (10, 1),
    (10, 1),
    (2, 1),
    (2, 0),
    (2, 0),  # held, and follows nobody
    (10, 1),
    (2, 0),  # whom it followed was cancelled, and that followed nobody
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of version 2 with followers that have places instead of names."""
    path = tmp_path / "journal.db"
    db = apsw.Connection(str(path))
    db.execute("".join(MIGRATIONS[:2]))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("UPDATE meta SET value = 2 WHERE key = 'version'")
    db.execute("INSERT INTO meta VALUES ('host', 'h'), ('epoch', 'e')")
    db.execute("INSERT INTO task_name VALUES (1, 'shop:send')")
    for seq, (state, followed) in enumerate(CHAIN, 1):
        db.execute(
            "INSERT INTO job (seq, id, task, queue, state, followed, created, due)"
            " VALUES (?, ?, 1, 'q', ?, ?, 1, ?)",
            (seq, seq.to_bytes(16), state, followed, 10**15 if state == 2 else None),
        )
        db.execute("INSERT INTO payload VALUES (?, 0, x'7b7d')", (seq,))
        db.execute("INSERT INTO stat VALUES (1, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (state,))
    db.close()
    path.chmod(0o600)
    return path


def test_older_journals_get_the_column(path: Path) -> None:
    store = SqliteStore(path, clock=ManualClock())
    store.open()
    store.close()
    db = apsw.Connection(str(path))
    assert db.execute("SELECT seq, follows FROM job WHERE follows IS NOT NULL").fetchall() == [(4, 1), (5, 4)]
    db.close()


def test_their_chains_run_on(path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(path, clock=clock)
    store.open()
    runner = store.enlist(NewRunner("r", 15.0)).wait(5).runner
    for seq in (1, 4, 5):
        (claim,) = store.claim(runner, 10, suspect=False).wait(5).claims
        assert claim.seq == seq
        end = Finish(seq, claim.fence, claim.task, clock.now() - SECOND, clock.now(), SUCCEEDED)
        assert store.finish([end]).wait(5) == [True]
    assert store.claim(runner, 10, suspect=False).wait(5).claims == []
    store.close()


@pytest.mark.parametrize(
    ("name", "bindings"), [("waiting_for", (None,)), ("followers", (1, 10, 0)), ("follow_others", (1, 2))]
)
def test_followers_are_found_by_an_index_that_has_nothing_else(
    path: Path, name: str, bindings: tuple[int | None, ...]
) -> None:
    store = SqliteStore(path, clock=ManualClock())
    store.open()
    store.close()
    db = apsw.Connection(str(path))
    steps = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", bindings)]
    db.close()
    assert any("job_follows (follows=?)" in step for step in steps)
    assert not any(step.startswith("SCAN job") for step in steps)
