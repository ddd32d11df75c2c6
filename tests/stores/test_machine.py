"""Long random lives of a store, compared with a simple model after every step.

`POSTLUDE_EXAMPLES=5000` makes many more of them, `POSTLUDE_SEED=...` the same ones again.
"""

import os
import secrets
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import TestCase

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from postlude.clock import SECOND, ManualClock
from postlude.errors import KeyTaken
from postlude.model.job import Claim, FreeSlots, Hold, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Snoozed, Succeeded
from postlude.model.overrides import Opts
from postlude.model.state import Reason, Stored
from postlude.model.terms import Conflict
from postlude.stores.protocol import Enlisted, Pause
from postlude.testing.conformance import LEASE, Driver, StoreBench
from tests.stores.benches import MemoryBench, SqliteBench
from tests.stores.claim_model import ClaimCheck
from tests.stores.model import Model, ModelJob

EXAMPLES = int(os.environ.get("POSTLUDE_EXAMPLES") or 0)
SEED = int(os.environ.get("POSTLUDE_SEED") or secrets.randbits(32))

if EXAMPLES:
    pytestmark = pytest.mark.timeout(0)

LIMITS = st.integers(min_value=1, max_value=5)
ROOMS = st.sampled_from(
    [None, None, FreeSlots(9, 0, 0), FreeSlots(1, 1, 0), FreeSlots(0, 1, 0), FreeSlots(0, 0, 0)]
)
OPTS = st.sampled_from([None, None, Opts(timeout=1.0).text(), Opts(timeout=1.0, expires=1).text()])
PAUSES = st.sampled_from([Pause("queue", "q"), Pause("queue", "r"), Pause("task", "a"), Pause("task", "b")])
CONCURRENT = st.sampled_from([None, 1, 2, 3])
TASK_RATE = {"every": 3 * SECOND, "burst": 2}
QUEUE_RATE = {"every": 2 * SECOND, "burst": 1}


@st.composite
def calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw what the jobs of one `add` are made from."""
    one = st.fixed_dictionaries(
        {
            "task": st.sampled_from(["a", "b"]),
            "queue": st.sampled_from(["q", "r"]),
            "payload": st.sampled_from([b"1", b"2", b"3"]),
            "priority": st.integers(min_value=-1, max_value=1),
            "after": st.sampled_from([None, None, None, 1.0, 20.0]),
            "once": st.sampled_from([False, False, False, True]),
            "follows": st.booleans(),
            "key": st.sampled_from([None, None, "k", "l"]),
            "conflict": st.sampled_from(Conflict),
            "concurrency_key": st.sampled_from([None, None, "x", "y"]),
            "rated": st.sampled_from([False, False, False, True]),
            "opts": OPTS,
            "context": st.sampled_from([None, "{}"]),
        }
    )
    jobs = draw(st.lists(one, min_size=1, max_size=3))
    # Whom a job follows if the one before it joins another, and whom it follows after replacing
    # another, is not promised.
    for before, job in zip([None, *jobs], jobs, strict=False):
        unclear = before is not None and before["key"] is not None
        job["follows"] &= not unclear and (job["key"] is None or job["conflict"] is not Conflict.REPLACE)
    return jobs


@st.composite
def declarations(draw: st.DrawFn) -> list[DeclaredLimits]:
    """Draw what a release says."""
    found = []
    for kind, name, rate in (
        ("task", "a", TASK_RATE),
        ("task", "b", {}),
        ("queue", "q", {}),
        ("queue", "r", QUEUE_RATE),
    ):
        concurrent = draw(CONCURRENT)
        rated = rate if draw(st.booleans()) else {}
        if concurrent is not None or rated:
            found.append(DeclaredLimits(kind, name, concurrent, **rated))
    return found


def outcomes(now: int) -> st.SearchStrategy[Outcome]:
    """Draw how an attempt ends."""
    dues = st.sampled_from([now - SECOND, now + SECOND, now + 20 * SECOND])
    return st.one_of(
        st.sampled_from([SUCCEEDED, Succeeded(b"7"), Succeeded(None, dropped=True)]),
        st.just(Failed("E: no", "E: no")),
        dues.map(lambda due: Failed("E: no", "E: no", due)),
        dues.map(Snoozed),
        st.sampled_from(["r1", "r2"]).map(lambda release: Parked(Reason.UNKNOWN_TASK, release)),
        st.sampled_from([Cancelled(), Cancelled(Reason.EXPIRED), Cancelled(Reason.DISCARDED, "E", "E")]),
    )


class StoreMachine(RuleBasedStateMachine):
    """A store and its model, side by side. Derived classes say which store."""

    runners = Bundle("runners")
    holds = Bundle("holds")
    jobs = Bundle("jobs")

    def make_bench(self) -> StoreBench:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.driver = Driver(self.make_bench(), self.clock)
        self.model = Model(lambda one: self.driver.record(one.job))

    def teardown(self) -> None:
        self.driver.store.close()

    @initialize(target=runners, bounds=declarations())
    def begin(self, bounds: list[DeclaredLimits]) -> Any:
        self.declare(bounds)
        return multiple(self.enlist(), self.enlist())

    @rule(target=runners)
    def enlist_another(self) -> Enlisted:
        return self.enlist()

    def enlist(self) -> Enlisted:
        runner = self.driver.enlist()
        self.model.leases[runner.runner] = self.clock.boot() + round(LEASE * SECOND)
        return runner

    @rule(target=jobs, call=calls())
    def add(self, call: list[dict[str, Any]]) -> Any:
        jobs = [self.driver.new(**fields) for fields in call]
        if self.model.refused(jobs):
            return self._is_refused(jobs, None)
        self.model.added(jobs, self.driver.add(*jobs), None)
        return multiple(*jobs)

    @rule(target=holds, call=calls(), runner=runners)
    def add_for(self, call: list[dict[str, Any]], runner: Enlisted) -> Any:
        jobs = [self.driver.new(**fields) for fields in call]
        if self.model.refused(jobs):
            return self._is_refused(jobs, runner)
        may = self.model.may_be_born_claimed(jobs, runner.runner)
        added = self.driver.add(*jobs, claim_for=runner)
        fences = [one.fence for one in added if not one.joined]
        born = bool(fences) and all(fences)
        assert born or not any(fences), "some of a call are born claimed, some are not"
        # Whether those that join others hinder the rest is not promised.
        assert born is may or any(one.joined for one in added)
        self.model.added(jobs, added, runner.runner if born else None)
        return multiple(*[Hold(one.seq, one.fence) for one in added if one.fence])

    def _is_refused(self, jobs: list[NewJob], runner: Enlisted | None) -> Any:
        with pytest.raises(KeyTaken):
            self.driver.add(*jobs, claim_for=runner)
        assert [self.driver.store.get(job.id).wait(5) for job in jobs] == [None] * len(jobs)
        return multiple()

    @rule(target=holds, runner=runners, limit=LIMITS, free=ROOMS)
    def claim(self, runner: Enlisted, limit: int, free: FreeSlots | None) -> Any:
        answer = self.driver.claimed(runner, limit, free=free)
        ClaimCheck(self.model, runner.runner, limit, free, self.clock.now()).take_over(answer)
        return multiple(*[Hold(claim.seq, claim.fence) for claim in answer.claims])

    @rule(target=holds, runner=runners)
    def claim_all(self, runner: Enlisted) -> Any:
        return self.claim(runner, 100, None)

    @rule(runner=runners, data=st.data())
    def work(self, runner: Enlisted, data: st.DataObject) -> None:
        """Claim what there is and end it at once."""
        answer = self.driver.claimed(runner)
        ClaimCheck(self.model, runner.runner, 100, None, self.clock.now()).take_over(answer)
        for claim in answer.claims:
            self.end(Hold(claim.seq, claim.fence), data.draw(outcomes(self.clock.now())))

    @rule(hold=holds, data=st.data())
    def finish(self, hold: Hold, data: st.DataObject) -> None:
        self.end(hold, data.draw(outcomes(self.clock.now())))

    def end(self, hold: Hold, outcome: Outcome) -> None:
        job = self.model.at(hold.seq).job
        claim = Claim(hold.seq, job.id, hold.fence, job.task, job.queue, b"", 0, False, False, 0)
        written = self.driver.finish(claim, outcome)
        assert written is self.model.finish(hold, outcome)

    @rule(job=jobs)
    def cancel(self, job: NewJob) -> None:
        (answer,) = self.driver.cancel(job)
        assert answer is self.model.cancel(job.id)

    @precondition(lambda self: self.model.where(Stored.RUNNING))
    @rule(data=st.data())
    def ask_to_stop(self, data: st.DataObject) -> None:
        self.cancel(data.draw(st.sampled_from([one.job for one in self.model.where(Stored.RUNNING)])))

    @rule(job=jobs)
    def retry(self, job: NewJob) -> None:
        if self.model.retry_is_refused(job.id):
            with pytest.raises(KeyTaken):
                self.driver.retry(job)
        else:
            assert self.driver.retry(job) == [self.model.retry(job.id)]

    @rule(what=PAUSES, pausing=st.booleans())
    def pause_or_resume(self, what: Pause, pausing: bool) -> None:
        if pausing:
            assert self.driver.pause(*what) is self.model.pause(what)
        else:
            assert self.driver.resume(*what) is self.model.resume(what)

    @rule(bounds=declarations())
    def declare(self, bounds: list[DeclaredLimits]) -> None:
        self.driver.declare(*bounds)
        self.model.declare(bounds)

    @rule(runner=runners, hold=holds)
    def release(self, runner: Enlisted, hold: Hold) -> None:
        released = self.driver.store.release(runner.runner, [hold]).wait(5)
        assert released == self.model.release(runner.runner, hold)

    @rule(runner=runners)
    def renew(self, runner: Enlisted) -> None:
        alive = runner.runner in self.model.leases
        assert self.driver.store.renew(runner.runner).wait(5) is alive
        if alive:
            self.model.leases[runner.runner] = self.clock.boot() + round(LEASE * SECOND)

    @rule(runner=runners, draining=st.booleans())
    def retire(self, runner: Enlisted, draining: bool) -> None:
        held = self.driver.store.retire(runner.runner, draining=draining).wait(5)
        assert held == sum(self.model.bury(runner.runner))

    # Never to the very moment at which a lease ends: whether that is in or out is not promised.
    @rule(seconds=st.sampled_from([1.0, 1.0, 7.3, LEASE + 1.9]), promoting=st.booleans())
    def wait(self, seconds: float, promoting: bool) -> None:
        self.clock.advance(seconds)
        if promoting:
            self.promote()

    @rule()
    def reap(self) -> None:
        assert self.driver.reap() == self.model.reap(self.clock.boot())

    @rule()
    def promote(self) -> None:
        assert tuple(self.driver.store.promote().wait(5)) == self.model.promote(self.clock.now())

    @precondition(lambda self: self.model.parked())
    @rule(data=st.data())
    def unpark(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(sorted(self.model.parked())))
        assert self.driver.store.unpark([pair]).wait(5) == self.model.unpark(pair)

    @invariant()
    def jobs_agree(self) -> None:
        for one in self.model.jobs:
            self._agrees(one)
        for id, stands in self.model.aliases.items():
            record = self.driver.store.get(id).wait(5)
            assert record is not None
            assert record.seq == stands.seq

    def _agrees(self, one: ModelJob) -> None:
        record, job = self.driver.record(one.job), one.job
        # That of a ready one is of its queue, which the model does not follow.
        reason = None if record.stored is Stored.READY else record.reason
        seen = (record.stored, reason, record.failures, record.fence, len(record.attempts))
        assert seen == (one.stored, one.reason, one.failures, one.fence, one.failures)
        assert (record.payload, record.priority, record.key) == (
            job.payload,
            job.terms.priority,
            job.terms.key,
        )
        assert record.created == job.created
        assert (record.given.opts, record.given.context, record.result) == (
            job.terms.given.opts,
            job.terms.given.context,
            one.result,
        )
        if one.stored in (Stored.SCHEDULED, Stored.BLOCKED):
            assert record.due == one.due
        if one.stored is Stored.RUNNING:
            assert (record.cancel_asked is not None) is one.asked

    @invariant()
    def totals_agree(self) -> None:
        counted = {(task, state): jobs for task, state, jobs in self.driver.store.counts().wait(5) if jobs}
        assert counted == Counter((one.job.task, one.stored.public) for one in self.model.jobs)
        assert set(self.driver.store.parked().wait(5)) == self.model.parked()
        assert set(self.driver.store.paused().wait(5)) == self.model.paused

    @invariant()
    def runners_agree(self) -> None:
        for runner in self.model.leases:
            held = [one for one in self.model.jobs if one.runner == runner]
            holds = self.driver.store.holds(runner).wait(5)
            assert sorted(holds) == sorted(Hold(one.seq, one.fence) for one in held)
            asked = self.driver.store.asked(runner).wait(5).stop
            assert sorted(asked) == sorted(one.seq for one in held if one.asked)


class MemoryMachine(StoreMachine):
    def make_bench(self) -> StoreBench:
        return MemoryBench()


class SqliteMachine(StoreMachine):
    def make_bench(self) -> StoreBench:
        # In memory where that can be had: what is looked for here needs no disk.
        fast = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=fast if os.access(fast, os.W_OK) else None)
        return SqliteBench(Path(self._folder.name))

    def teardown(self) -> None:
        super().teardown()
        self._folder.cleanup()


def lives(machine: type[StoreMachine], examples: int, steps: int) -> type[TestCase]:
    """Make a test of a machine, which says which seed it used if it fails."""
    seeded: Any = seed(SEED)(machine).TestCase

    class Lives(seeded):  # type: ignore[misc]
        def runTest(self) -> None:
            sys.stdout.write(f"again with POSTLUDE_SEED={SEED} POSTLUDE_EXAMPLES={EXAMPLES or ''}\n")
            super().runTest()

    Lives.settings = settings(
        max_examples=EXAMPLES or examples * settings().max_examples // 100,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    return Lives


TestMemoryMachine = lives(MemoryMachine, examples=100, steps=40)
TestSqliteMachine = pytest.mark.disk(lives(SqliteMachine, examples=25, steps=30))
