"""Long random lives of a store, compared with a simple model after every step."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from postlude.clock import SECOND, ManualClock
from postlude.model.job import Claim, Hold, NewJob
from postlude.model.outcome import SUCCEEDED, Failed, Outcome, Parked
from postlude.model.state import Reason
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance import LEASE, Driver, StoreBench
from tests.stores.benches import MemoryBench, SqliteBench
from tests.stores.model import Model

LIMITS = st.integers(min_value=1, max_value=4)


@st.composite
def calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw what the jobs of one `add` are made from."""
    one = st.fixed_dictionaries(
        {
            "task": st.sampled_from(["a", "b"]),
            "queue": st.sampled_from(["q", "r"]),
            "priority": st.integers(min_value=-1, max_value=1),
            "after": st.sampled_from([None, None, 1.0, 20.0]),
            "once": st.sampled_from([False, False, True]),
            "follows": st.booleans(),
        }
    )
    return draw(st.lists(one, min_size=1, max_size=3))


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
        self.model = Model()

    def teardown(self) -> None:
        self.driver.store.close()

    @rule(target=runners)
    def enlist(self) -> Enlisted:
        runner = self.driver.enlist()
        self.model.leases[runner.runner] = self.clock.boot() + round(LEASE * SECOND)
        return runner

    @rule(target=jobs, call=calls())
    def add(self, call: list[dict[str, Any]]) -> Any:
        jobs = [self.driver.new(**fields) for fields in call]
        added = self.driver.add(*jobs)
        assert [one.fence for one in added] == [0] * len(jobs)
        self.model.added(jobs, [one.seq for one in added], None)
        return multiple(*jobs)

    @rule(target=holds, call=calls(), runner=runners)
    def add_for(self, call: list[dict[str, Any]], runner: Enlisted) -> Any:
        jobs = [self.driver.new(**fields) for fields in call]
        born = self.model.would_be_born_claimed(jobs, runner.runner)
        added = self.driver.add(*jobs, claim_for=runner)
        assert [one.fence > 0 for one in added] == [born] * len(jobs)
        self.model.added(jobs, [one.seq for one in added], runner.runner if born else None)
        return multiple(*[Hold(one.seq, one.fence) for one in added if born])

    @rule(target=holds, runner=runners, limit=LIMITS)
    def claim(self, runner: Enlisted, limit: int) -> Any:
        ready = self.model.ready() if runner.runner in self.model.leases else []
        claims = self.driver.claim(runner, limit)
        assert len(claims) == min(limit, len(ready))
        for queue in {claim.queue for claim in claims}:
            got = [claim.seq for claim in claims if claim.queue == queue]
            assert got == [one.seq for one in ready if one.job.queue == queue][: len(got)]
        for claim in claims:
            self._check_claim(claim)
            self.model.claimed(claim, runner.runner)
        return multiple(*[Hold(claim.seq, claim.fence) for claim in claims])

    def _check_claim(self, claim: Claim) -> None:
        one = next(one for one in self.model.jobs if one.seq == claim.seq)
        assert claim.fence > one.fence
        assert (claim.id, claim.failures, claim.suspect) == (one.job.id, one.failures, False)

    @rule(hold=holds)
    def succeed(self, hold: Hold) -> None:
        self._finish(hold, SUCCEEDED)

    @rule(hold=holds, retry_after=st.sampled_from([None, 1, 20]))
    def fail(self, hold: Hold, retry_after: int | None) -> None:
        due = None if retry_after is None else self.clock.now() + retry_after * SECOND
        self._finish(hold, Failed("E: no", "E: no", due))

    @rule(hold=holds, release=st.sampled_from(["r1", "r2"]))
    def park(self, hold: Hold, release: str) -> None:
        self._finish(hold, Parked(Reason.UNKNOWN_TASK, release))

    def _finish(self, hold: Hold, outcome: Outcome) -> None:
        one = next(one for one in self.model.jobs if one.seq == hold.seq)
        claim = Claim(hold.seq, one.job.id, hold.fence, one.job.task, one.job.queue, b"", 0, False, False, 0)
        assert self.driver.finish(claim, outcome) is self.model.finish(hold, outcome)

    @rule(job=jobs)
    def cancel(self, job: NewJob) -> None:
        assert self.driver.store.cancel([job.id]).wait(5) == [self.model.cancel(job)]

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
    @rule(seconds=st.sampled_from([1.0, 7.3, LEASE + 1.9]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

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
            record = self.driver.record(one.job)
            seen = (record.stored, record.reason, record.failures, record.fence, len(record.attempts))
            assert seen == (one.stored, one.reason, one.failures, one.fence, one.failures)

    @invariant()
    def totals_agree(self) -> None:
        counted = {(task, state): jobs for task, state, jobs in self.driver.store.counts().wait(5) if jobs}
        assert counted == Counter((one.job.task, one.stored.public) for one in self.model.jobs)
        assert set(self.driver.store.parked().wait(5)) == self.model.parked()


class MemoryMachine(StoreMachine):
    def make_bench(self) -> StoreBench:
        return MemoryBench()


class SqliteMachine(StoreMachine):
    def make_bench(self) -> StoreBench:
        self._folder = tempfile.TemporaryDirectory()
        return SqliteBench(Path(self._folder.name))

    def teardown(self) -> None:
        super().teardown()
        self._folder.cleanup()


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

TestSqliteMachine = SqliteMachine.TestCase
TestSqliteMachine.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
