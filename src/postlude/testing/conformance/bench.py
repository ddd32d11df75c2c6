"""What the suite is given, and how it talks to a store: in a thread, waiting for each answer."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import pytest

from postlude.clock import SECOND, ManualClock
from postlude.errors import JournalUnavailable
from postlude.model.ids import IdSource
from postlude.model.job import (
    DEFAULT_QUEUE,
    Added,
    Cancel,
    Claim,
    Claimed,
    Few,
    FreeSlots,
    Hold,
    JobRecord,
    NewJob,
)
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import SUCCEEDED, Failed, Finish, LogLine, Outcome
from postlude.model.queues import ALL, Queues
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import Conflict, Given, Terms
from postlude.stores.protocol import Enlisted, Kind, NewRunner, Pause, Store
from postlude.testing.conformance.hurting import StoreBench

LEASE: Final = 15.0
"""The lease of every runner in the suite, in seconds."""

PATIENCE: Final = 5.0
"""How long an answer may take, in seconds."""


class Driver:
    """A store with short ways to say what the cases need."""

    def __init__(self, bench: StoreBench, clock: ManualClock, store: Store | None = None) -> None:
        self.bench = bench
        self.clock = clock
        self.store = bench.make(clock) if store is None else store
        self.store.open()
        self._ids = IdSource()
        self._declared: set[tuple[str, str]] = set()

    def reopen(self) -> None:
        """Close the store and open it again, or skip the case."""
        again = self.bench.reopen(self.store, self.clock)
        if again is None:
            pytest.skip("this store is not durable")
        self.store = again
        self.store.open()

    def skip_numbers(self) -> None:
        """Let there be a gap in the numbers, where the store can have one."""
        self.bench.skip_numbers(self.store)

    def new(
        self,
        task: str = "app:task",
        *,
        queue: str = DEFAULT_QUEUE,
        payload: bytes = b'{"a":[],"k":{}}',
        after: float | None = None,
        priority: int = 0,
        once: bool = False,
        follows: bool = False,
        owner: str | None = None,
        key: str | None = None,
        conflict: Conflict = Conflict.KEEP,
        concurrency_key: str | None = None,
        rated: bool = False,
        opts: str | None = None,
        context: str | None = None,
        held: bool = False,
    ) -> NewJob:
        """Make a job that is due `after` so many seconds."""
        return NewJob(
            id=self._ids.new(self.clock.now()),
            task=task,
            queue=queue,
            payload=payload,
            created=self.clock.now(),
            terms=Terms(
                due=None if after is None else self.clock.now() + round(after * SECOND),
                priority=priority,
                once=once,
                follows=follows,
                owner=owner,
                key=key,
                conflict=conflict,
                concurrency_key=concurrency_key,
                rated=rated,
                held=held,
                given=Given(opts, context),
            ),
        )

    def add(self, *jobs: NewJob, claim_for: Enlisted | None = None) -> list[Added]:
        runner = None if claim_for is None else claim_for.runner
        return self.store.add(jobs, claim_for=runner, budget=PATIENCE).wait(PATIENCE)

    def enlist(
        self,
        *,
        release: str = "r1",
        lease: float = LEASE,
        kind: Kind = Kind.APP,
        queues: Queues = ALL,
        slots: int | None = None,
        parent: Enlisted | None = None,
    ) -> Enlisted:
        above = None if parent is None else parent.runner
        return self.store.enlist(NewRunner(release, lease, kind, queues, slots, above)).wait(PATIENCE)

    def claim(self, runner: Enlisted, limit: int = 100, *, suspect: bool = False) -> list[Claim]:
        return self.claimed(runner, limit, suspect=suspect).claims

    def claimed(
        self,
        runner: Enlisted,
        limit: int = 100,
        *,
        suspect: bool = False,
        free: FreeSlots | None = None,
        behind: int = 0,
        few: Sequence[Few] = (),
        queues: Queues = ALL,
        ids: Sequence[bytes] | None = None,
        ahead: bool = False,
    ) -> Claimed:
        """Claim, and return the whole answer."""
        claim = self.store.claim(
            runner.runner, limit,
            suspect=suspect, free=free, behind=behind, few=few, queues=queues, ids=ids, ahead=ahead,
        )  # fmt: skip
        return claim.wait(PATIENCE)

    def claim_one(self, runner: Enlisted, *, suspect: bool = False) -> Claim:
        """Claim everything there is, which must be one job."""
        (claim,) = self.claim(runner, suspect=suspect)
        return claim

    def start(self, runner: Enlisted, claim: Claim) -> None:
        """Mark that a job starts now."""
        runner.marks.started(claim.seq, claim.fence, self.clock.now())

    def finish(self, claim: Claim, outcome: Outcome = SUCCEEDED) -> bool:
        """Finish an attempt that took a second and ends now; say whether it was written."""
        (written,) = self.store.finish([self.finish_of(claim, outcome)]).wait(PATIENCE)
        return written

    def finish_of(self, claim: Claim, outcome: Outcome = SUCCEEDED, logs: tuple[LogLine, ...] = ()) -> Finish:
        now = self.clock.now()
        return Finish(claim.seq, claim.fence, claim.task, now - SECOND, now, outcome, logs, claim.queue)

    def release(self, runner: Enlisted, claim: Claim) -> int:
        return self.store.release(runner.runner, [Hold(claim.seq, claim.fence)]).wait(PATIENCE)

    def cancel(self, *jobs: NewJob) -> list[Cancel]:
        return self.store.cancel([job.id for job in jobs]).wait(PATIENCE)

    def retry(self, *jobs: NewJob) -> list[bool]:
        return self.store.retry([job.id for job in jobs]).wait(PATIENCE)

    def declare(self, *bounds: DeclaredLimits) -> None:
        """Declare this, and that everything else which was declared before has no bounds any more."""
        now = {(one.kind, one.name) for one in bounds}
        gone = [DeclaredLimits(kind, name) for kind, name in sorted(self._declared - now)]
        self._declared = now
        self.store.declare([*bounds, *gone]).wait(PATIENCE)

    def pause(self, kind: str, name: str) -> bool:
        return self.store.pause(Pause(kind, name)).wait(PATIENCE)

    def resume(self, kind: str, name: str) -> bool:
        return self.store.resume(Pause(kind, name)).wait(PATIENCE)

    def asked(self, runner: Enlisted) -> list[int]:
        return self.store.asked(runner.runner).wait(PATIENCE).stop

    def failed(self, *, retry_after: float | None = None) -> Failed:
        """Return the outcome of an attempt that raised."""
        due = None if retry_after is None else self.clock.now() + round(retry_after * SECOND)
        return Failed("ValueError: no", "Traceback ...\nValueError: no", due)

    def record(self, job: NewJob) -> JobRecord:
        found = self.store.get(job.id).wait(PATIENCE)
        assert found is not None, "the job is not in the store"
        return found

    def state(self, job: NewJob) -> State:
        return self.record(job).state

    def states(self, *jobs: NewJob) -> list[State]:
        return [self.state(job) for job in jobs]

    def lie(self, *jobs: NewJob) -> list[tuple[Stored, Reason | None]]:
        """Return where jobs are stored, and why."""
        return [(record.stored, record.reason) for record in map(self.record, jobs)]

    def after(self, seconds: float) -> int:
        """Return a moment so many seconds from now."""
        return self.clock.now() + round(seconds * SECOND)

    def promote(self) -> int:
        return self.store.promote().wait(PATIENCE).jobs

    def die(self, runner: Enlisted) -> None:
        """Let a runner die with what it holds, until nobody can believe it alive.

        Time passes: every other runner that is to live must be renewed before the next `reap`.
        """
        self.bench.kill(self.store, runner)
        self.clock.advance(LEASE + 1)

    def reap(self) -> tuple[int, int, int]:
        """Return the runners buried, the jobs released and the jobs ended by it."""
        found = self.store.reap().wait(PATIENCE)
        return found.runners, found.released, found.ended

    def die_in(self, *jobs: NewJob) -> None:
        """Let a fresh runner start these jobs, which are all that is ready, and die in them."""
        runner = self.enlist()
        claims = self.claim(runner, suspect=True)
        assert {claim.id for claim in claims} == {job.id for job in jobs}
        for claim in claims:
            self.start(runner, claim)
        self.die(runner)
        self.reap()


class Cases:
    """The fixtures that every case uses; `bench` comes from the class that derives."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def driver(self, bench: StoreBench, clock: ManualClock) -> Iterator[Driver]:
        driver = Driver(bench, clock)
        yield driver
        with suppress(JournalUnavailable):  # the case has closed it
            assert driver.store.contradictions().wait(PATIENCE) == []
        driver.store.close()

    @pytest.fixture
    def elsewhere(self, bench: StoreBench, driver: Driver, clock: ManualClock) -> Iterator[Driver]:
        """The same jobs, as another process has them."""
        store = bench.another(driver.store, clock)
        if store is None:
            pytest.skip("this store has one process")
        other = Driver(bench, clock, store)
        yield other
        other.store.close()
