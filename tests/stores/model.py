"""What a store should do, in the simplest words: a list of jobs that is searched from end to end.

Where the protocol leaves a choice (which of several jobs that come to a full concurrency key at once are
ready), the model looks at what the store has chosen, and checks that it was free to.

Jobs never start here (nothing is marked), so a death charges nobody; the conformance cases about
deaths cover that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from postlude.model.job import Added, Cancel, Hold, JobRecord, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Cancelled, Failed, Outcome, Parked, Snoozed, Succeeded
from postlude.model.overrides import lifted
from postlude.model.state import FINAL, Reason, Stored
from postlude.model.terms import Conflict
from postlude.stores.protocol import Pause

QUEUED = (Stored.READY, Stored.SCHEDULED, Stored.BLOCKED)
IN_LANE = (Stored.READY, Stored.RUNNING)
ENDED_BADLY = (Stored.FAILED, Stored.CANCELLED)

ConcurrencyKeyOf = tuple[str, str | None]


@dataclass(eq=False)
class ModelJob:
    job: NewJob
    seq: int
    stored: Stored
    due: int | None = None
    reason: Reason | None = None
    predecessor: "ModelJob | None" = None
    fence: int = 0
    runner: int | None = None
    unended: bool = False
    failures: int = 0
    release: str = ""
    asked: bool = False
    result: bytes | None = None

    @property
    def order(self) -> tuple[int, int]:
        return self.job.terms.priority, self.seq

    @property
    def concurrency_key(self) -> ConcurrencyKeyOf:
        return self.job.task, self.job.terms.concurrency_key

    @property
    def waits_for_predecessor(self) -> bool:
        return self.stored is Stored.BLOCKED and self.reason is None

    def goes(self, stored: Stored, reason: Reason | None = None, due: int | None = None) -> None:
        self.stored, self.reason, self.due = stored, reason, due

    def taken_by(self, runner: int) -> None:
        self.goes(Stored.RUNNING)
        self.fence, self.runner, self.unended = self.fence + 1, runner, True


@dataclass
class Bucket:
    """A rate."""

    every: int
    burst: int
    full: int = 0
    turn: int = 0

    def first(self, now: int) -> int:
        return max(now, self.full - (self.burst - 1) * self.every)

    def take(self, now: int) -> None:
        assert self.first(now) == now, "more have started than the rate allows"
        self.full = max(self.full, now) + self.every

    def give_turn(self, now: int) -> int:
        turn = max(self.turn, self.first(now))
        self.turn = turn + self.every
        return turn


@dataclass
class Model:
    look: Callable[[ModelJob], JobRecord]
    """Shows what the store has made of a job."""
    jobs: list[ModelJob] = field(default_factory=list)
    aliases: dict[bytes, ModelJob] = field(default_factory=dict)
    leases: dict[int, int] = field(default_factory=dict)
    """When each enlisted runner's lease runs out."""
    paused: set[Pause] = field(default_factory=set)
    bounds: dict[tuple[str, str], DeclaredLimits] = field(default_factory=dict)
    rates: dict[tuple[str, str], Bucket] = field(default_factory=dict)

    # Looking

    def ready(self) -> list[ModelJob]:
        return sorted(self.where(Stored.READY), key=lambda one: one.order)

    def where(self, stored: Stored, reason: Reason | None = None) -> list[ModelJob]:
        return [one for one in self.jobs if one.stored is stored and reason in (None, one.reason)]

    def at(self, seq: int) -> ModelJob:
        return next(one for one in self.jobs if one.seq == seq)

    def named(self, id: bytes) -> ModelJob:
        return self.aliases.get(id) or next(one for one in self.jobs if one.job.id == id)

    def keyed(self, job: NewJob) -> ModelJob | None:
        """Return the job that has this one's key."""
        key = job.task, job.terms.key
        found = (
            one for one in self.jobs if (one.job.task, one.job.terms.key) == key and one.stored not in FINAL
        )
        return None if job.terms.key is None else next(found, None)

    def free(self, concurrency_key: ConcurrencyKeyOf) -> int:
        """Return how many more of a concurrency key may be ready; a large number without a limit."""
        limit = self._limit(concurrency_key[0])
        taken = sum(one.concurrency_key == concurrency_key and one.stored in IN_LANE for one in self.jobs)
        return 1_000_000 if limit is None or concurrency_key[1] is None else limit - taken

    def _limit(self, task: str) -> int | None:
        bounds = self.bounds.get(("task", task))
        return None if bounds is None else bounds.concurrent

    # Lanes

    def enter(self, jobs: Iterable[ModelJob], left: Iterable[ConcurrencyKeyOf] = ()) -> int:
        """Let jobs be ready, and the next ones of concurrency keys that were left; returns how many of the
        jobs are."""
        entering = list(jobs)
        for one in entering:
            one.goes(Stored.BLOCKED, Reason.LIMIT)
        for concurrency_key in {*left, *(one.concurrency_key for one in entering)}:
            waiting = [
                one
                for one in self.where(Stored.BLOCKED, Reason.LIMIT)
                if one.concurrency_key == concurrency_key
            ]
            waiting.sort(key=lambda one: one.order)
            free = max(0, self.free(concurrency_key))
            new = [one for one in waiting if one in entering]
            old = [one for one in waiting if one not in entering]
            if new and 0 < free < len(waiting):
                chosen = [one for one in waiting if self.look(one).stored is Stored.READY]
                assert len(chosen) == free, "a lane is too full, or not full enough"
                first = [one for one in chosen if one in old]
                assert first == old[: len(first)], "it is another one's turn in this concurrency key"
            else:
                chosen = waiting[:free]
            for one in chosen:
                one.goes(Stored.READY)
        return sum(one.stored is Stored.READY for one in entering)

    # Intake

    def refused(self, jobs: Sequence[NewJob]) -> bool:
        own: set[tuple[str, str]] = set()
        for job in jobs:
            if job.terms.key is None:
                continue
            if job.terms.conflict is Conflict.RAISE and ((job.task, job.terms.key) in own or self.keyed(job)):
                return True
            own.add((job.task, job.terms.key))
        return False

    def may_be_born_claimed(self, jobs: Sequence[NewJob], runner: int) -> bool:
        busy = {one.job.queue for one in self.ready()}
        hindered = any(
            job.terms.once
            or job.terms.rated
            or job.terms.concurrency_key is not None
            or (job.terms.due is not None and not job.terms.follows)
            or job.queue in busy
            for job in jobs
        )
        return runner in self.leases and not self.paused and not hindered

    def added(self, jobs: Sequence[NewJob], answers: Sequence[Added], holder: int | None) -> None:
        """Note what a store has made of a call; `holder` is set if its new jobs were born claimed."""
        before: ModelJob | None = None
        for job, answer in zip(jobs, answers, strict=True):
            there = self.keyed(job)
            if there is not None:
                assert answer == Added(there.seq, 0, True)
                self.aliases[job.id] = there
                if job.terms.conflict is Conflict.REPLACE and there.stored in QUEUED:
                    self._replace(there, job)
                continue
            assert not answer.joined
            assert all(answer.seq > one.seq for one in self.jobs)
            one = ModelJob(job, answer.seq, Stored.BLOCKED, job.terms.due)
            self.jobs.append(one)
            if holder is not None:
                one.taken_by(holder)
            elif job.terms.follows and before is not None:
                one.predecessor = before
            elif job.terms.due is not None:
                one.goes(Stored.SCHEDULED, due=job.terms.due)
            else:
                self.enter([one])
            assert answer.fence == one.fence
            before = one

    def _replace(self, one: ModelJob, job: NewJob) -> None:
        concurrency_key = one.concurrency_key
        self.aliases[one.job.id] = one
        one.job = job._replace(queue=one.job.queue, terms=job.terms._replace(once=one.job.terms.once))
        one.predecessor, one.unended, one.failures = None, False, 0
        was_ready, moves = one.stored is Stored.READY, one.concurrency_key != concurrency_key
        if job.terms.due is not None:
            one.goes(Stored.SCHEDULED, due=job.terms.due)
        elif moves or not was_ready:
            self.enter([one])
        elif self.free(concurrency_key) < 0 and self.look(one).stored is Stored.BLOCKED:
            # More are ready or running than may be (some were given back): it may lose its place.
            one.goes(Stored.BLOCKED, Reason.LIMIT)
        if was_ready:
            self.enter([], [concurrency_key])

    def cancel(self, id: bytes, known: bool = True) -> Cancel:
        one = self.named(id)
        if one.stored is Stored.RUNNING:
            one.asked = True
            return Cancel.ASKED
        if one.stored in FINAL:
            return Cancel.TOO_LATE
        if one.waits_for_predecessor and one.predecessor is not None:
            for other in self.jobs:
                if other.predecessor is one:
                    other.predecessor = one.predecessor
        self._end([one], Stored.CANCELLED)
        return Cancel.CANCELLED

    def retry_is_refused(self, id: bytes) -> bool:
        one = self.named(id)
        return one.stored in ENDED_BADLY and self.keyed(one.job) is not None

    def retry(self, id: bytes) -> bool:
        one = self.named(id)
        if one.stored not in ENDED_BADLY:
            return False
        terms = one.job.terms
        given = terms.given._replace(opts=lifted(terms.given.opts))
        one.asked, one.job = False, one.job._replace(terms=terms._replace(given=given))
        self.enter([one])
        return True

    def pause(self, what: Pause) -> bool:
        known = what in self.paused
        self.paused.add(what)
        return not known

    def resume(self, what: Pause) -> bool:
        known = what in self.paused
        self.paused.discard(what)
        if what.kind == "task":
            blocked = self.where(Stored.BLOCKED, Reason.PAUSED)
            self.enter([one for one in blocked if one.job.task == what.name])
        return known

    # Runners

    def finish(self, hold: Hold, outcome: Outcome) -> bool:
        one = self.at(hold.seq)
        running = one.stored in (Stored.RUNNING, Stored.READY, Stored.BLOCKED)
        if one.fence != hold.fence or not one.unended or not running:
            return False
        one.unended, one.runner = False, None
        one.failures += isinstance(outcome, Failed | Cancelled) and outcome.error is not None
        match outcome:
            case Succeeded(result, dropped):
                one.result = result
                one.goes(Stored.SUCCEEDED, Reason.RESULT_DROPPED if dropped else None)
            case Parked() if one.asked:
                one.goes(Stored.CANCELLED)
            case Parked(reason, release):
                one.goes(Stored.PARKED, reason)
                one.release = release
            case Cancelled(reason):
                one.goes(Stored.CANCELLED, reason)
            case Failed(retry_at=None, reason=reason):
                one.goes(Stored.FAILED, reason)
            case Failed(retry_at=due) | Snoozed(due):
                one.goes(Stored.CANCELLED if one.asked else Stored.SCHEDULED, due=due)
        self._left([one])
        return True

    def release(self, runner: int, hold: Hold) -> int:
        one = self.at(hold.seq)
        if one.runner != runner or one.fence != hold.fence:
            return 0
        self._give_back([one])
        return 1

    def bury(self, runner: int) -> tuple[int, int, int]:
        """Return how many jobs are ready, how many have failed and how many were cancelled."""
        if self.leases.pop(runner, None) is None:
            return 0, 0, 0
        held = [one for one in self.jobs if one.runner == runner]
        self._give_back(held, died=True)
        stored = [one.stored for one in held]
        return stored.count(Stored.READY), stored.count(Stored.FAILED), stored.count(Stored.CANCELLED)

    def reap(self, boot: int) -> tuple[int, int, int]:
        dead = [runner for runner, ends in self.leases.items() if ends <= boot]
        ends = [self.bury(runner) for runner in dead]
        return len(dead), sum(end[0] for end in ends), sum(end[1] for end in ends)

    def _give_back(self, held: Sequence[ModelJob], *, died: bool = False) -> None:
        ended = []
        for one in held:
            one.runner = None
            once = died and one.job.terms.once
            if once or one.asked:
                one.unended = False
                one.goes(Stored.FAILED if once else Stored.CANCELLED, Reason.MAY_HAVE_RUN if once else None)
                ended.append(one)
            else:
                one.goes(Stored.READY)
        self._left(ended)

    def _end(self, jobs: Sequence[ModelJob], stored: Stored) -> None:
        for one in jobs:
            one.unended = False
            one.goes(stored)
        self._left(jobs)

    def _left(self, jobs: Sequence[ModelJob]) -> None:
        """What waited for these may be ready: those that follow, the next ones of their concurrency keys."""
        free = [one for one in self.jobs if one.predecessor in jobs and one.waits_for_predecessor]
        self.enter(free, [one.concurrency_key for one in jobs])

    def declare(self, bounds: Sequence[DeclaredLimits]) -> None:
        limited = {name for (kind, name), one in self.bounds.items() if kind == "task" and one.concurrent}
        self.bounds = {(one.kind, one.name): one for one in bounds}
        rates = {(b.kind, b.name): Bucket(b.every, b.burst) for b in bounds if b.every is not None}
        self.rates = {name: self.rates.get(name, new) for name, new in rates.items()}
        for one in self.jobs:
            task = one.job.task
            new = self._limit(task) is not None and task not in limited
            if new and one.job.terms.concurrency_key is None and one.stored not in FINAL:
                one.job = one.job._replace(terms=one.job.terms._replace(concurrency_key=""))
        concurrency_keys = {one.concurrency_key for one in self.jobs}
        for concurrency_key in concurrency_keys:
            last = [one for one in reversed(self.ready()) if one.concurrency_key == concurrency_key]
            for one in last[: max(0, -self.free(concurrency_key))]:
                one.goes(Stored.BLOCKED, Reason.LIMIT)
        turns = [
            one for one in self.where(Stored.BLOCKED, Reason.RATE) if ("task", one.job.task) not in self.rates
        ]
        self.enter(turns, concurrency_keys)

    # Upkeep

    def promote(self, now: int) -> tuple[int, int | None]:
        waiting = [*self.where(Stored.SCHEDULED), *self.where(Stored.BLOCKED)]
        later = [one.due for one in waiting if one.due is not None and one.due > now]
        ready = self.enter([one for one in waiting if one.due is not None and one.due <= now])
        return ready, min(later, default=None)

    def parked(self) -> set[tuple[str, str]]:
        return {(one.job.task, one.release) for one in self.where(Stored.PARKED)}

    def unpark(self, pair: tuple[str, str]) -> int:
        found = [one for one in self.where(Stored.PARKED) if (one.job.task, one.release) == pair]
        self.enter(found)
        return len(found)
