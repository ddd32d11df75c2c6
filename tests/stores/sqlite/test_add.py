"""Jobs of which nothing special is said are stored by a shorter way, which must store the same."""

import gc
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postlude.clock import ManualClock
from postlude.model.job import Added, NewJob
from postlude.model.terms import PLAIN, Terms
from postlude.stores.grouped.backend import Verb
from postlude.stores.protocol import NewRunner
from postlude.stores.relational import add as intake
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.files import JournalFiles
from tests.stores.scripted import PATIENCE

pytestmark = pytest.mark.disk

NOBODY = 99

one_job = st.tuples(st.sampled_from(["m:f", "m:g"]), st.sampled_from(["q", "r"]))
one_call = st.tuples(st.lists(one_job, max_size=3), st.sampled_from([None, 1, NOBODY]))


class EqualToNothing:
    """In place of what plain jobs are equal to: no job is plain then."""


def stored(calls: Sequence[tuple[list[tuple[str, str]], int | None]]) -> tuple[list[list[Added]], Any, Any]:
    """Store calls in one group of a new journal; returns the answers, the jobs and the tally."""
    numbers = count(1)
    with tempfile.TemporaryDirectory() as folder:
        backend = SqliteBackend(JournalFiles(Path(folder) / "journal.db"), ManualClock())
        backend.open()
        backend.begin()
        (enlisted,) = backend.apply(Verb.ENLIST, [NewRunner("", 60.0)])
        assert enlisted.runner == 1
        asked = [
            (
                [
                    NewJob(next(numbers).to_bytes(16, "big"), task, queue, b"%d" % next(numbers), 5)
                    for task, queue in jobs
                ],
                claim_for,
            )
            for jobs, claim_for in calls
        ]
        answers = backend.apply(Verb.ADD, asked)
        backend.commit()
        assert backend.premises.db is not None
        jobs = backend.premises.db.execute(
            "SELECT job.*, args FROM job LEFT JOIN payload USING (seq)"
        ).fetchall()
        tally = backend.premises.db.execute("SELECT * FROM stat ORDER BY task, state").fetchall()
        backend.close()
    return answers, jobs, tally


@settings(deadline=None)
@given(calls=st.lists(one_call, max_size=6))
@example(calls=[([], 1), ([("m:f", "q")], 1)])
@example(calls=[([("m:f", "r")], None), ([("m:f", "q")], 1), ([("m:f", "r")], 1)])
@example(calls=[([("m:f", "r")], None), ([("m:f", "q")], 1), ([("m:f", "q"), ("m:f", "r")], 1)])
def test_the_short_way_stores_the_same(calls: list[tuple[list[tuple[str, str]], int | None]]) -> None:
    short = stored(calls)
    with patch.object(intake, "PLAIN", EqualToNothing()):
        assert stored(calls) == short


@pytest.mark.parametrize("plain", [True, False])
def test_nobody_overtakes_a_job_of_its_own_group(plain: bool) -> None:
    queue, other = [("m:f", "q")], [("m:f", "r")]
    with patch.object(intake, "PLAIN", PLAIN if plain else EqualToNothing()):
        answers, _, _ = stored([(queue, 1), (queue, None), (queue, 1), (other, 1), (other + queue, 1)])
    assert [[added.fence for added in answer] for answer in answers] == [[1], [0], [0], [1], [0, 0]]


def test_more_rows_than_a_statement_carries() -> None:
    answers, jobs, _ = stored([([("m:f", "q")] * 1203, None), ([("m:g", "q")], 1)])
    seqs = [added.seq for answer in answers for added in answer]
    assert seqs == list(range(seqs[0], seqs[0] + 1204))
    assert len(jobs) == 1204


def test_who_runs_a_statement_for_many_rows_is_told_how_many_it_changed(tmp_path: Path) -> None:
    backend = SqliteBackend(JournalFiles(tmp_path / "journal.db"), ManualClock())
    backend.open()
    backend.begin()
    (enlisted,) = backend.apply(Verb.ENLIST, [NewRunner("", 60.0)])
    jobs = [NewJob(number.to_bytes(16, "big"), "m:f", "q", b"{}", 1) for number in range(601)]
    (added,) = backend.apply(Verb.ADD, [(jobs, enlisted.runner)])
    assert backend._tx is not None
    ends = [(seq, fence, 1, 2) for seq, fence, _ in added]
    assert backend._tx.run_for("finish_succeeded", ends[1:]) == 600
    assert backend._tx.run_for("finish_succeeded", ends) == 1
    backend.rollback()
    backend.close()


def test_a_group_leaves_nothing_for_the_garbage_collector(tmp_path: Path) -> None:
    """A cycle would keep the rows of many groups, and each costs time to find."""
    store = SqliteStore(tmp_path / "journal.db")
    store.open()
    gc.collect()
    gc.disable()
    try:
        for number, key in enumerate((None, "k", None)):
            store.add([NewJob(bytes([number]) * 16, "m:f", "q", b"{}", 1, Terms(key=key))]).wait(PATIENCE)
        store.close()
        assert not [
            each for each in gc.get_objects() if type(each) is intake.Intake
        ]  # no proxy of others is asked
    finally:
        gc.enable()
        store.close()
