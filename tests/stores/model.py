"""What a store should do, in the simplest words: a list of jobs that is searched from end to end.

Jobs never start here (nothing is marked), so a death charges nobody; the conformance cases about
deaths cover that.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from postlude.model.job import Cancel, Claim, Hold, NewJob
from postlude.model.outcome import Failed, Outcome, Parked
from postlude.model.state import Reason, Stored

WAITING = (Stored.READY, Stored.SCHEDULED, Stored.BLOCKED, Stored.PARKED)


@dataclass
class ModelJob:
    job: NewJob
    seq: int
    stored: Stored
    due: int | None
    predecessor: "ModelJob | None" = None
    fence: int = 0
    runner: int | None = None
    unended: bool = False
    failures: int = 0
    reason: Reason | None = None
    release: str = ""


@dataclass
class Model:
    jobs: list[ModelJob] = field(default_factory=list)
    leases: dict[int, int] = field(default_factory=dict)
    """When each enlisted runner's lease runs out."""

    def ready(self) -> list[ModelJob]:
        return sorted(self._with(Stored.READY), key=lambda one: (one.job.priority, one.seq))

    def added(self, jobs: list[NewJob], seqs: list[int], claimed_by: int | None) -> None:
        before: ModelJob | None = None
        for job, seq in zip(jobs, seqs, strict=True):
            one = ModelJob(job, seq, Stored.READY, job.due)
            if claimed_by is not None:
                one.stored = Stored.RUNNING
                one.fence, one.runner, one.unended = 1, claimed_by, True
            elif job.follows and before is not None:
                one.stored, one.predecessor = Stored.BLOCKED, before
            elif job.due is not None:
                one.stored = Stored.SCHEDULED
            self.jobs.append(one)
            before = one

    def would_be_born_claimed(self, jobs: list[NewJob], runner: int) -> bool:
        busy = {one.job.queue for one in self.ready()}
        return runner in self.leases and not any(
            job.once or (job.due is not None and not job.follows) or job.queue in busy for job in jobs
        )

    def claimed(self, claim: Claim, runner: int) -> None:
        one = self._at(claim.seq)
        one.stored = Stored.RUNNING
        one.fence, one.runner, one.unended = claim.fence, runner, True

    def finish(self, hold: Hold, outcome: Outcome) -> bool:
        one = self._at(hold.seq)
        if one.fence != hold.fence or not one.unended or one.stored not in (Stored.RUNNING, Stored.READY):
            return False
        one.unended, one.runner = False, None
        if isinstance(outcome, Parked):
            one.stored, one.reason, one.release = Stored.PARKED, outcome.reason, outcome.release
        elif isinstance(outcome, Failed):
            one.failures += 1
            one.due, one.reason = outcome.retry_at, outcome.reason
            one.stored = Stored.FAILED if outcome.retry_at is None else Stored.SCHEDULED
        else:
            one.stored = Stored.SUCCEEDED
        self._attempt_ended(one)
        return True

    def cancel(self, job: NewJob) -> Cancel:
        one = next(one for one in self.jobs if one.job.id == job.id)
        if one.stored not in WAITING:
            return Cancel.TOO_LATE
        one.stored, one.reason = Stored.CANCELLED, None
        self._attempt_ended(one)
        return Cancel.CANCELLED

    def release(self, runner: int, hold: Hold) -> int:
        one = self._at(hold.seq)
        if one.runner != runner or one.fence != hold.fence:
            return 0
        one.stored, one.runner = Stored.READY, None
        return 1

    def bury(self, runner: int) -> tuple[int, int]:
        """Return how many jobs it released, and how many failed."""
        if self.leases.pop(runner, None) is None:
            return 0, 0
        held = [one for one in self.jobs if one.runner == runner]
        for one in held:
            one.runner = None
            one.stored = Stored.READY
            if one.job.once:
                one.stored, one.reason = Stored.FAILED, Reason.MAY_HAVE_RUN
                self._attempt_ended(one)
        once = sum(one.job.once for one in held)
        return len(held) - once, once

    def reap(self, boot: int) -> tuple[int, int, int]:
        dead = [runner for runner, ends in self.leases.items() if ends <= boot]
        ends = [self.bury(runner) for runner in dead]
        return len(dead), sum(end[0] for end in ends), sum(end[1] for end in ends)

    def promote(self, now: int) -> tuple[int, int | None]:
        waiting = [*self._with(Stored.SCHEDULED), *self._with(Stored.BLOCKED)]
        dues = [(one.due, one) for one in waiting if one.due is not None]
        for due, one in dues:
            if due <= now:
                one.stored = Stored.READY
        later = [due for due, _ in dues if due > now]
        return len(dues) - len(later), min(later, default=None)

    def parked(self) -> set[tuple[str, str]]:
        return {(one.job.task, one.release) for one in self._with(Stored.PARKED)}

    def unpark(self, pair: tuple[str, str]) -> int:
        found = [one for one in self._with(Stored.PARKED) if (one.job.task, one.release) == pair]
        for one in found:
            one.stored, one.reason = Stored.READY, None
        return len(found)

    def _with(self, stored: Stored) -> list[ModelJob]:
        return [one for one in self.jobs if one.stored is stored]

    def _at(self, seq: int) -> ModelJob:
        return first(self.jobs, lambda one: one.seq == seq)

    def _attempt_ended(self, ended: ModelJob) -> None:
        for one in self.jobs:
            if one.predecessor is ended and one.stored is Stored.BLOCKED:
                one.stored = Stored.READY


def first(jobs: Iterable[ModelJob], fits: Callable[[ModelJob], bool]) -> ModelJob:
    return next(one for one in jobs if fits(one))
