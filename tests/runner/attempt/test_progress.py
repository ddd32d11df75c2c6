"""How far jobs say that they are, on its way to the journal."""

import asyncio
import math
import threading
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import anyio
import pytest

from postlude.jobs.current import CurrentJob
from postlude.model.event.jobs import ProgressTold, ProgressWritten
from postlude.model.job import ProgressNote
from postlude.runner.attempt import progress as reports
from postlude.runner.attempt.progress import Reports
from postlude.runner.attempt.work import Work
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.telemetry.logging import logged

pytestmark = pytest.mark.anyio


class Journal:
    def __init__(self) -> None:
        self.events = logged()
        self.written: list[list[ProgressNote]] = []

    def progress(self, notes: Sequence[ProgressNote]) -> Reply[None]:
        self.written.append(list(notes))
        return Reply.of(None)

    @property
    def done(self) -> list[list[tuple[int, float]]]:
        return [[(note.seq, note.progress.done) for note in notes] for notes in self.written]


class Scene:
    def __init__(self) -> None:
        self.journal, self.held = Journal(), list[Work]()
        self.reports = Reports(cast(Store, self.journal), lambda: self.held)

    def work(self, seq: int) -> tuple[Work, CurrentJob]:
        made = Work(bytes([seq]) * 16, "app:f", "default", b"", 0)
        made.seq, made.fence = seq, 10 + seq
        made.current = CurrentJob(made.id, "app:f", "default", 1, self.reports.report)
        self.held.append(made)
        return made, made.current

    async def until(self, writes: int) -> None:
        with anyio.fail_after(10):
            while len(self.journal.written) < writes:
                await asyncio.sleep(0.001)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(reports, "EVERY", 0.02)
    return Scene()


async def test_many_reports_are_one_write_of_the_last(scene: Scene) -> None:
    _, current = scene.work(1)
    for done in range(100):
        await current.progress(done, 100, "orders")
    assert scene.journal.written == []
    await scene.until(1)
    ((note,),) = scene.journal.written
    assert (note.seq, note.fence) == (1, 11)
    assert note.progress == current.last_progress
    assert (note.progress.done, note.progress.total, note.progress.message) == (99, 100, "orders")
    await asyncio.sleep(0.05)
    assert len(scene.journal.written) == 1


async def test_jobs_share_their_writes(scene: Scene) -> None:
    (_, first), (_, second), _ = scene.work(1), scene.work(2), scene.work(3)
    first.progress(5)
    second.progress(6)
    await scene.until(1)
    assert scene.journal.done == [[(1, 5), (2, 6)]]


async def test_many_reports_are_one_timer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = list[Reports]()
    monkeypatch.setattr(Reports, "_write", lambda self: writes.append(self))
    _, current = scene.work(1)
    for done in range(100):
        current.progress(done)
    await asyncio.sleep(0.05)
    assert writes == [scene.reports]


async def test_only_what_is_new_is_written(scene: Scene) -> None:
    (_, first), (_, second) = scene.work(1), scene.work(2)
    first.progress(1)
    await scene.until(1)
    second.progress(2)
    await scene.until(2)
    assert scene.journal.done == [[(1, 1)], [(2, 2)]]


async def test_what_comes_after_a_write_is_written_too(scene: Scene) -> None:
    _, current = scene.work(1)
    current.progress(1)
    await scene.until(1)
    current.progress(2)
    await scene.until(2)
    assert scene.journal.done == [[(1, 1)], [(1, 2)]]


async def test_the_last_report_is_written_with_the_end(scene: Scene) -> None:
    work, current = scene.work(1)
    current.progress(1)
    scene.reports.last(work)
    assert scene.journal.done == [[(1, 1)]]
    scene.held.clear()
    await asyncio.sleep(0.05)
    assert len(scene.journal.written) == 1


async def test_at_the_end_nothing_is_written_twice(scene: Scene) -> None:
    work, current = scene.work(1)
    silent, _ = scene.work(2)
    begun = Work(b"3" * 16, "app:f", "default", b"", 0)
    current.progress(1)
    await scene.until(1)
    for ended in (work, silent, begun):
        scene.reports.last(ended)
    await asyncio.sleep(0.05)
    assert scene.journal.done == [[(1, 1)]]


async def test_what_is_not_held_any_more_is_not_written(scene: Scene) -> None:
    _, current = scene.work(1)
    current.progress(1)
    scene.held.clear()
    await asyncio.sleep(0.05)
    assert scene.journal.written == []


async def test_from_threads(scene: Scene) -> None:
    currents = [scene.work(seq)[1] for seq in (1, 2, 3)]

    def say(current: CurrentJob) -> None:
        for done in range(200):
            current.progress(done)

    threads = [threading.Thread(target=say, args=[current]) for current in currents]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    with anyio.fail_after(10):
        while {pair for pairs in scene.journal.done for pair in pairs} < {(1, 199), (2, 199), (3, 199)}:
            await asyncio.sleep(0.001)


async def test_who_listens_is_told_at_once(scene: Scene) -> None:
    work, current = scene.work(1)
    current.progress(1)
    heard = list[ProgressTold | ProgressWritten]()
    scene.journal.events.listen(heard.append, ProgressTold, ProgressWritten)
    current.progress(2)
    assert [(event.id, event.progress.done) for event in heard if isinstance(event, ProgressTold)] == [
        (work.id, 2)
    ]
    await scene.until(1)
    await asyncio.sleep(0)
    assert heard[1:] == [ProgressWritten([work.id])]


def test_after_its_loop_has_closed_nobody_is_told() -> None:
    async def begin() -> Scene:
        return Scene()

    scene = asyncio.run(begin())
    _, current = scene.work(1)
    current.progress(1)
    assert scene.journal.written == []


def test_what_a_job_says_can_be_written() -> None:
    said: list[CurrentJob] = []
    current = CurrentJob(b"0" * 16, "app:f", "default", 1, said.append)
    current.progress(1, None, "\udcff" + "x" * 500)
    assert current.last_progress is not None
    assert current.last_progress.message == "?" + "x" * 199
    assert said == [current]
    assert current.progress(2) is not None


class Number:
    """A number of somebody's own, as numpy's are."""

    def __float__(self) -> float:
        return 3.0


@pytest.mark.parametrize("number", [3, 3.0, Decimal(3), Fraction(3), Number()])
async def test_any_number_is_kept_as_one(scene: Scene, number: Any) -> None:
    _, current = scene.work(1)
    current.progress(number, number)
    assert current.last_progress is not None
    assert [type(part) for part in current.last_progress[:2]] == [float, float]
    assert current.last_progress[:2] == (3.0, 3.0)


async def test_true_and_less_than_nothing_are_numbers(scene: Scene) -> None:
    _, current = scene.work(1)
    current.progress(True, -2)
    assert current.last_progress is not None
    assert current.last_progress[:2] == (1.0, -2.0)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (10**400, "1000"),
        pytest.param(10**5000, "<int>|10", id="more digits than Python writes"),
        ("3", "'3'"),
        (b"3", "b'3'"),
        ("x" * 1_000_000, "'xxx"),
        (1j, "1j"),
        (Decimal("NaN"), r"Decimal\('NaN'\)"),
        ([3], r"\[3\]"),
    ],
)
async def test_what_is_no_number_is_refused(scene: Scene, number: Any, told: str) -> None:
    _, current = scene.work(1)
    for given in ((number,), (1, number)):
        with pytest.raises(ValueError, match=f"was given {told}.*: give finite numbers") as raised:
            current.progress(*given)
        assert len(str(raised.value)) < 400
    assert current.last_progress is None
