"""A group of calls gives the same as one call after another, in the order of its verbs.

`POSTLUDE_EXAMPLES=2000` tries more of them.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postlude.clock import ManualClock
from postlude.errors import KeyTaken
from postlude.model.job import Claim, Hold, NewJob, Progress, ProgressNote
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import SUCCEEDED, Cancelled, LogLine, Outcome, Parked, Snoozed, Succeeded
from postlude.model.state import Reason
from postlude.stores.grouped.backend import Verb
from postlude.stores.protocol import Enlisted
from postlude.stores.reply import Reply
from postlude.testing.conformance import Driver
from postlude.testing.conformance.bench import PATIENCE
from tests.stores.benches import MemoryBench, SqliteBench

pytestmark = pytest.mark.disk

EXAMPLES = int(os.environ.get("POSTLUDE_EXAMPLES") or 0)
FAST = Path("/dev/shm")

JOBS = 16
LINES = (LogLine(5, 30, "app", "a line"),)


class Call(NamedTuple):
    """One call, of some of the jobs."""

    verb: Verb
    jobs: Sequence[int]
    how: int

    def of(self, life: "Life") -> Callable[[], Reply[Any]]:
        """Return the call on a store."""
        store, seqs = life.driver.store, [life.seqs[job] for job in self.jobs]
        ids = [life.jobs[job].id for job in self.jobs]
        holder = life.runners[self.how % 2].runner
        holds = [life.holds[seq] for seq in seqs if seq in life.holds]
        match self.verb:
            case Verb.FINISH:
                return lambda: store.finish(
                    [life.end(seq, self.how + place) for place, seq in enumerate(seqs)]
                )
            case Verb.RELEASE:
                back = [hold._replace(started=7 if self.how % 3 else None) for hold in holds]
                return lambda: store.release(holder, back)
            case Verb.RETIRE:
                return lambda: store.retire(holder, draining=self.how % 3 > 0)
            case Verb.UNPARK:
                return lambda: store.unpark([(life.jobs[job].task, "r1") for job in self.jobs])
            case Verb.FREE:
                return lambda: store.free(seqs)
            case Verb.CANCEL:
                return lambda: store.cancel(ids)
            case Verb.RETRY:
                return lambda: store.retry(ids)
            case _:
                said = Progress(float(self.how), 9.0, "half", 5)
                return lambda: store.progress([ProgressNote(hold.seq, hold.fence, said) for hold in holds])


CALLS = st.builds(
    Call,
    st.sampled_from(
        [Verb.FINISH, Verb.FINISH, Verb.RELEASE, Verb.RETIRE, Verb.UNPARK, Verb.FREE, Verb.CANCEL, Verb.RETRY,
         Verb.PROGRESS]
    ),
    st.lists(st.integers(0, JOBS - 1), min_size=1, max_size=5),
    st.integers(0, 20),
)  # fmt: skip


class Life:
    """A store with jobs of every kind, of which two runners hold some."""

    def __init__(self, driver: Driver, claimed: int) -> None:
        self.driver = driver
        driver.declare(DeclaredLimits("task", "limited", 2))
        self.runners: list[Enlisted] = [driver.enlist(), driver.enlist()]
        calls: list[list[NewJob]] = [
            [driver.new("limited", concurrency_key="x") for _ in range(4)],
            [driver.new("chain", follows=place > 0, after=15 if place else None) for place in range(4)],
            [driver.new("keyed", key="k")],
            [driver.new("held", held=True, after=15) for _ in range(2)],
            [driver.new("plain") for _ in range(5)],
        ]
        self.jobs = [job for jobs in calls for job in jobs]
        assert len(self.jobs) == JOBS
        self.seqs = [added.seq for jobs in calls for added in driver.add(*jobs)]
        claims = driver.claim(self.runners[0], claimed) + driver.claim(self.runners[1], 3)
        self.holds = {claim.seq: Hold(claim.seq, claim.fence) for claim in claims}
        self.claims = {claim.seq: claim for claim in claims}
        for claim in claims[::2]:
            driver.start(self.runners[0] if claim in claims[:claimed] else self.runners[1], claim)

    def end(self, seq: int, how: int) -> Any:
        """How an attempt ends; of a job that nobody has claimed too."""
        driver = self.driver
        outcomes: list[Outcome] = [
            SUCCEEDED, SUCCEEDED, Succeeded(b"7"), Succeeded(None, dropped=True), driver.failed(),
            driver.failed(retry_after=9), Snoozed(driver.after(9)), Parked(Reason.UNKNOWN_TASK, "r1", "why"),
            Cancelled(), Cancelled(Reason.DISCARDED, "E: no", "E: no"),
        ]  # fmt: skip
        job = self.jobs[self.seqs.index(seq)]
        claim = self.claims.get(seq) or Claim(seq, job.id, 1, job.task, job.queue, b"", 0, False, False, 0)
        return driver.finish_of(claim, outcomes[how % len(outcomes)], LINES if how % 3 else ())

    def alone(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls one after another."""
        return [_answer(call.of(self)) for call in calls]

    def together(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls as one group."""

        async def ask() -> list[Any]:
            return await asyncio.gather(*[call.of(self)() for call in calls], return_exceptions=True)

        answers = asyncio.run(asyncio.wait_for(ask(), PATIENCE))
        return [_told(answer) for answer in answers]

    def seen(self) -> list[Any]:
        """Return all that can be seen of the jobs."""
        found = []
        for job in self.jobs:
            one = self.driver.record(job)
            attempts = [(each.number, each.error) for each in one.attempts]
            due = one.due if one.stored.public == "queued" else None
            found.append(
                (job.task, one.stored, one.reason, due, one.fence, one.failures, one.deaths, one.finished,
                 one.note, one.cancel_asked is None, one.result, one.progress, attempts, one.logs)
            )  # fmt: skip
        counts = sorted(tuple(each) for each in self.driver.store.counts().wait(PATIENCE) if each.jobs)
        held = [sorted(self.driver.store.holds(one.runner).wait(PATIENCE)) for one in self.runners]
        return [*found, counts, held]


def _answer(call: Callable[[], Reply[Any]]) -> Any:
    try:
        return call().wait(PATIENCE)
    except KeyTaken as error:
        return _told(error)


def _told(answer: Any) -> Any:
    return str(answer) if isinstance(answer, KeyTaken) else answer


@settings(deadline=None, max_examples=EXAMPLES or 20 * settings().max_examples // 100)
@given(
    claimed=st.integers(0, 9),
    before=st.lists(CALLS, max_size=4),
    calls=st.lists(CALLS, min_size=2, max_size=8),
)
def test_a_group_is_as_one_by_one(claimed: int, before: list[Call], calls: list[Call]) -> None:
    ordered = sorted(calls, key=lambda call: call.verb)
    shm = FAST if os.access(FAST, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shm) as name, ExitStack() as open:
        folders = [Path(name) / kind for kind in ("together", "alone")]
        for folder in folders:
            folder.mkdir()
        drivers = [Driver(bench, ManualClock()) for bench in (*map(SqliteBench, folders), MemoryBench())]
        for driver in drivers:
            open.callback(driver.store.close)
        together, alone, memory = lives = [Life(driver, claimed) for driver in drivers]
        assert alone.holds == together.holds == memory.holds
        for life in lives:
            life.alone(before)
        answers = alone.alone(ordered)
        assert together.together(ordered) == answers
        assert memory.alone(ordered) == answers
        assert together.seen() == alone.seen()
        assert memory.seen() == alone.seen()
