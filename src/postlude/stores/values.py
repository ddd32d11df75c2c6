"""What stores are given and answer with, beside the values of the model."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from postlude.model.history import ADDED, ENDS
from postlude.model.job import Few, FreeSlots
from postlude.model.queues import ALL, Queues
from postlude.model.state import State


class Kind(StrEnum):
    """What a runner is a part of; other releases may know others."""

    APP = "app"
    """A lifespan of the application."""
    INLINE = "inline"
    """Calls from outside, such as requests where no lifespan runs: it runs nothing by itself."""
    WORKER = "worker"
    """A process that does nothing else."""
    ENGINE = "engine"
    """A process of an engine's worker: it runs the jobs of its queues when it is told their ids."""


@dataclass(frozen=True, slots=True)
class NewRunner:
    """Who asks to claim jobs."""

    release: str
    """What identifies the code that it runs."""
    lease: float
    """Seconds that its claims outlive its last renewal."""
    kind: Kind = Kind.APP
    queues: Queues = ALL
    """Those of which jobs may be born claimed by it: it runs them by itself."""
    slots: int | None = None
    """How many jobs it runs at once; 0: none, its children do; None: it does not say."""
    parent: int | None = None
    """The runner that it is a child of: it drains when that has gone (`Asked.drain`)."""

    @property
    def serves(self) -> bool:
        """Whether it runs what waits by itself."""
        return self.kind != Kind.INLINE and self.slots != 0


class LivingRunner(NamedTuple):
    """A runner that lives, as far as can be seen from where it is looked at."""

    number: int
    kind: str
    release: str
    queues: Queues
    slots: int | None
    parent: int | None
    host: str = ""
    pid: int = 0
    since: int = 0
    """When it enlisted (microseconds, UTC)."""
    holds: int = 0
    """How many jobs it has claimed and not ended."""
    deaf: float | None = None
    """For how long what the broker has for it has not reached it, of the parent of an engine's worker
    (seconds, as it has told last); None: it hears, or has no broker."""

    @property
    def serves(self) -> bool:
        """Whether it runs what waits by itself."""
        return self.kind != Kind.INLINE and self.slots != 0


def is_unserved(queue: str, living: Iterable[LivingRunner]) -> bool:
    """Whether some of these run jobs by themselves, and none of them those of a queue."""
    serving = [runner for runner in living if runner.serves]
    return bool(serving) and not any(queue in runner.queues for runner in serving)


class QueueState(NamedTuple):
    """How much waits and runs in one queue."""

    name: str
    paused: bool
    ready: int
    scheduled: int
    blocked: int
    running: int
    parked: int
    oldest: int | None
    """When the one was added that has been ready, or waits for others, the longest (microseconds, UTC)."""
    retrying: int = 0
    """How many of those that are scheduled have failed before, and wait for another attempt."""


class Asked(NamedTuple):
    """What is asked of a runner."""

    stop: list[int]
    """The jobs (`seq`) that it holds and that are to stop."""
    drain: bool = False
    """Its parent has gone: it is to claim nothing more, and to end what it runs."""


class ClaimCall(NamedTuple):
    """One call of `Claims.claim`, which says what it means."""

    runner: int
    limit: int
    suspect: bool
    free: FreeSlots | None = None
    behind: int = 0
    few: Sequence[Few] = ()
    queues: Queues = ALL
    ids: Sequence[bytes] | None = None
    ahead: bool = False


class Marks(Protocol):
    """Where a runner notes which jobs have started, and when, so that its death can be judged.

    Written in memory that outlives the process but not the host. Safe from any thread.
    """

    def started(self, seq: int, fence: int, at: int) -> None:
        """Note that a job starts, by which claim, and when (microseconds, UTC)."""
        ...

    def ended(self, seq: int) -> None:
        """Note that a job has ended; it need not have been noted that it started."""
        ...

    def draining(self) -> None:
        """Note that the process is shutting down: its death charges nobody."""
        ...


class Entrance(NamedTuple):
    """By what an application's own transaction adds jobs to a journal in the same database."""

    statement: str
    """The database's, with two places (`{}`) for parameters that are texts: `journal`, and the jobs as
    `postlude.model.joining` writes them."""
    journal: str
    """Tells the journal from all others."""


class Enlisted(NamedTuple):
    """A runner's number, and where it notes what it starts."""

    runner: int
    marks: Marks


class Reaped(NamedTuple):
    """What a look for dead runners found."""

    runners: int
    """Dead runners buried."""
    released: int
    """Jobs of theirs that are ready again."""
    ended: int
    """Jobs that have failed by it: killed, or delivered at most once."""


class Promoted(NamedTuple):
    """What a look at due times found."""

    jobs: int
    """Jobs that are ready now."""
    next_due: int | None
    """When the next one will be (microseconds, UTC)."""


class Pause(NamedTuple):
    """What is paused, or is to be."""

    kind: str
    """`"queue"` or `"task"`."""
    name: str


class Deed(NamedTuple):
    """What somebody has done, to be kept with it."""

    actor: str
    """Who: `cli:ada@host`."""
    act: str
    """What: `cancel`, `retry`, `delete`, `prune`, `pause`, `resume`, `run`."""
    meant: str
    """Which jobs, or what else was meant, in the words in which that was said."""
    id: bytes
    """Tells it from all others: what is done in several pieces is one line, with the numbers of all."""


class AuditLine(NamedTuple):
    """What somebody has done."""

    number: int
    at: int
    """When (microseconds, UTC)."""
    actor: str
    act: str
    meant: str
    done: int
    """How many jobs, or other things, that was done to."""
    not_done: int
    """How many it was not done to, since it was too late."""


class Contradiction(NamedTuple):
    """Something in a journal that cannot be true."""

    code: str
    says: str
    """What there is, in words that come after the number."""
    many: int
    job: bytes | None
    """The id of one of the jobs, if it is of jobs."""


LAST_NUMBER: Final = 2**63 - 1


class Counts(NamedTuple):
    """How many jobs of one task are in one state."""

    task: str
    state: State
    jobs: int


class Totals(NamedTuple):
    """How many jobs of one task and queue there have been, ever: no number falls."""

    task: str
    queue: str
    """Empty: nobody knows, because a release that did not count queues has added or ended them."""
    added: int
    succeeded: int
    failed: int
    cancelled: int
    """Ends, by how: a job that people have had run again ends again."""


class Tally(NamedTuple):
    """What totals are made of: the jobs of one task that are in a state, or that have left it.

    Of a task as a whole they are counted where they lie, and when they leave: so do all releases. How many of
    them were in which queue is what `Sum`s of all time say.
    """

    task: str
    state: str
    """A state as the journal keeps it, in lower case, perhaps after `LEFT`; or `GONE`. Of a queue: an
    outcome, as in `Sum`."""
    jobs: int
    queue: str | None = None
    """None: of all queues."""


GONE: Final = "gone"
"""The state of jobs that were deleted, whatever theirs was."""

LEFT: Final = "left "
"""Begins the state of jobs that had ended, and have been deleted or run again."""


def totals_of(tallies: Iterable[Tally]) -> list[Totals]:
    """Return what tallies come to, each task at the place of its first, its queues by name."""
    whole: dict[str, Counter[str]] = {}
    parts: dict[str, dict[str, Counter[str]]] = {}
    for task, state, jobs, queue in tallies:
        of_task = whole.setdefault(task, Counter())
        if queue is not None:
            kind = ADDED if state == ADDED else ENDS.get(state)
            if kind is not None:
                parts.setdefault(task, {}).setdefault(queue, Counter())[kind] += jobs
            continue
        if not state.startswith(LEFT):
            of_task[ADDED] += jobs
        of_task[state.removeprefix(LEFT)] += jobs
    return [
        Totals(task, queue, *(numbers[kind] for kind in _KINDS))
        for task, of_task in whole.items()
        for queue, numbers in _by_queue(of_task, parts.get(task, {}))
    ]


_KINDS: Final = (ADDED, "succeeded", "failed", "cancelled")


def _by_queue(whole: Counter[str], parts: dict[str, Counter[str]]) -> Iterator[tuple[str, Counter[str]]]:
    """Give what is known of each queue, and what is left of the task's numbers without one."""
    left = Counter({kind: whole[kind] - sum(part[kind] for part in parts.values()) for kind in _KINDS})
    if any(jobs > 0 for jobs in left.values()):
        yield "", Counter({kind: max(0, jobs) for kind, jobs in left.items()})
    for queue in sorted(parts):
        yield queue, parts[queue]
