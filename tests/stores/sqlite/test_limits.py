"""What is remembered of the journal while it is written: bounds and pauses, who has a key."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude.clock import ManualClock
from postlude.model.job import NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.terms import Conflict, Terms
from postlude.stores.grouped.backend import Verb
from postlude.stores.protocol import NewRunner, Pause
from postlude.stores.relational.limits import Rules
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.values import ClaimCall
from tests.stores.scripted import PATIENCE

pytestmark = pytest.mark.disk

NUMBERS = count(1)
QUEUE = Pause("queue", "q")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[SqliteStore, SqliteStore]]:
    """Two processes' views of one journal."""
    both = SqliteStore(tmp_path / "journal.db"), SqliteStore(tmp_path / "journal.db")
    for store in both:
        store.open()
    yield both
    for store in both:
        store.close()


def add(store: SqliteStore, task: str = "m:task") -> None:
    job = NewJob(next(NUMBERS).to_bytes(16, "big"), task, "q", b'{"a":[],"k":{}}', 1)
    store.add([job]).wait(PATIENCE)


def claimed(store: SqliteStore, runner: int) -> int:
    return len(store.claim(runner, 10, suspect=False).wait(PATIENCE).claims)


def test_what_another_process_pauses(stores: tuple[SqliteStore, SqliteStore]) -> None:
    mine, other = stores
    runner = mine.enlist(NewRunner("", 60.0)).wait(PATIENCE).runner
    add(mine)
    assert claimed(mine, runner) == 1
    other.pause(QUEUE).wait(PATIENCE)
    add(mine)
    assert claimed(mine, runner) == 0
    other.resume(QUEUE).wait(PATIENCE)
    assert claimed(mine, runner) == 1


def test_what_this_process_pauses(stores: tuple[SqliteStore, SqliteStore]) -> None:
    mine, _ = stores
    runner = mine.enlist(NewRunner("", 60.0)).wait(PATIENCE).runner
    add(mine)
    assert claimed(mine, runner) == 1
    mine.pause(QUEUE).wait(PATIENCE)
    add(mine)
    assert claimed(mine, runner) == 0


def test_a_rate_is_used_up_in_groups_that_follow_each_other(stores: tuple[SqliteStore, SqliteStore]) -> None:
    mine, other = stores
    runners = [store.enlist(NewRunner("", 60.0)).wait(PATIENCE).runner for store in stores]
    mine.declare([DeclaredLimits("task", "m:task", None, 3_600_000_000, 2)]).wait(PATIENCE)
    for _ in range(4):
        add(mine)
    assert claimed(mine, runners[0]) == 2
    assert claimed(mine, runners[0]) == 0
    assert claimed(other, runners[1]) == 0, "it reads how far the rate is used up"


def test_they_are_read_once_while_nobody_else_writes(
    stores: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = stores
    runner = mine.enlist(NewRunner("", 60.0)).wait(PATIENCE).runner
    add(mine)
    assert claimed(mine, runner) == 1
    reads: list[Rules] = []
    read = Rules.__init__

    def counted(self: Rules, *rows: Any) -> None:
        reads.append(self)
        read(self, *rows)

    monkeypatch.setattr(Rules, "__init__", counted)
    for _ in range(3):
        add(mine)
        assert claimed(mine, runner) == 1
    assert reads == []
    add(other)
    assert claimed(mine, runner) == 1
    assert len(reads) == 1


def test_a_job_that_one_call_replaces_twice(stores: tuple[SqliteStore, SqliteStore]) -> None:
    mine, _ = stores
    later = mine._clock.now() + 60_000_000

    def call(due: int | None) -> NewJob:
        return NewJob(
            next(NUMBERS).to_bytes(16, "big"),
            "m:task",
            "q",
            b"{}",
            1,
            Terms(due, key="k", conflict=Conflict.REPLACE),
        )

    mine.add([call(None)]).wait(PATIENCE)
    mine.add([call(later), call(None)]).wait(PATIENCE)
    db = apsw.Connection(mine.location, flags=apsw.SQLITE_OPEN_READONLY)
    assert db.execute("SELECT state, n FROM stat WHERE n <> 0").fetchall() == [(0, 1)]
    db.close()


def test_a_job_is_not_born_claimed_beside_one_of_its_group_that_waits(tmp_path: Path) -> None:
    """It would overtake that one, which is in the same write and so not in the journal yet."""
    clock = ManualClock()
    backend = SqliteBackend(JournalFiles(tmp_path / "journal.db"), clock)
    backend.open()
    backend.begin()
    (enlisted,) = backend.apply(Verb.ENLIST, [NewRunner("", 60.0)])
    jobs = [NewJob(next(NUMBERS).to_bytes(16, "big"), "m:task", "q", b"{}", 1) for _ in range(3)]
    claimed = enlisted.runner
    calls = [(jobs[:1], claimed), (jobs[1:2], None), (jobs[2:], claimed)]
    fences = [answer[0].fence for answer in backend.apply(Verb.ADD, calls)]
    backend.commit()
    backend.close()
    assert fences == [1, 0, 0]


def test_a_group_that_was_undone_has_used_up_nothing_of_a_rate(tmp_path: Path) -> None:
    backend = SqliteBackend(JournalFiles(tmp_path / "journal.db"), ManualClock())
    backend.open()
    backend.begin()
    (enlisted,) = backend.apply(Verb.ENLIST, [NewRunner("", 60.0)])
    backend.apply(Verb.DECLARE, [[DeclaredLimits("task", "m:task", None, 3_600_000_000, 1)]])
    job = NewJob(next(NUMBERS).to_bytes(16, "big"), "m:task", "q", b"{}", 1, Terms(rated=True))
    backend.apply(Verb.ADD, [([job], None)])
    backend.commit()
    for undone in (True, False):
        backend.begin()
        (claimed,) = backend.apply(Verb.CLAIM, [ClaimCall(enlisted.runner, 10, True, None)])
        assert len(claimed.claims) == 1
        if undone:
            backend.rollback()
    backend.commit()
    backend.close()
