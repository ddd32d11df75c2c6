"""A call on its way through the runner: from `add_task`, or from a claim, to its end."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Protocol

from postlude.compat import running_loop
from postlude.jobs.current import CurrentJob
from postlude.jobs.handle import NOWHERE, Enquiries, Job
from postlude.model.event.runner import JobName
from postlude.model.job import Added, Claim, Hold, NewJob
from postlude.model.terms import NOTHING, ONCE, PLAIN, Terms
from postlude.tasks.task import Task
from postlude.telemetry.carrying import NO_TRACES
from postlude.telemetry.tracing import Trace


class Starter(Protocol):
    """The runner that holds a work, as far as those need it who let it start."""

    def start(self, works: "Sequence[Work]") -> None:
        """Start held works, as far as they fit."""
        ...

    def follow(self, before: "Work", work: "Work") -> None:
        """Let a held work that has not started wait for the first attempt of another."""
        ...


class Stopping(Enum):
    """Why a work that runs is to end."""

    CANCEL = auto()
    """Somebody has asked for it."""
    TIMEOUT = auto()


class Work:
    """One attempt in the making. Mutable on purpose: one object per job, from its call to its end."""

    __slots__ = (
        "args", "begun", "created", "current", "enquiries", "failures", "fence", "follower", "given", "id",
        "joined", "kwargs", "left", "name", "once", "over", "payload", "queue", "runner", "seconds", "seq",
        "since", "started", "stopping", "suspect", "task", "terms", "trace", "traced", "urgent", "usual",
        "waiter", "written",
    )  # fmt: skip

    def __init__(
        self,
        id: bytes,
        name: str,
        queue: str,
        payload: bytes,
        created: int,
        once: bool = False,
        task: Task[..., Any] | None = None,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        enquiries: Enquiries = NOWHERE,
    ) -> None:
        self.id = id
        self.name = name
        self.queue = queue
        self.payload = payload
        self.created = created
        self.once = once
        self.usual = not once
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.enquiries = enquiries
        self.terms = ONCE if once else PLAIN
        """What its call says of it; plain for what was claimed."""
        self.given = NOTHING
        self.joined = False
        self.urgent = False
        """Whether jobs in the journal wait for its end: those of its limit, or the one that follows it."""
        self.current: CurrentJob | None = None
        self.seconds: float | None = None
        self.stopping: Stopping | None = None
        self.seq = 0
        self.fence = 0
        self.failures = 0
        self.suspect = False
        self.since: int | None = None
        """When it could start at the earliest (microseconds, UTC); None: when it was created."""
        self.started = 0
        self.over = False
        self.written = False
        self.follower: Work | None = None
        self.runner: Starter | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.left: list[Callable[[], object]] | None = None
        """Hears that its attempt has ended or that it is not held any more. Whoever takes it out tells it."""
        self.begun = False
        """Whether an attempt at it has begun before."""
        self.trace: Trace | None = None
        self.traced: Mapping[str, str] = NO_TRACES
        """What its attempt is traced under, where somebody listens: texts as in `CARRIED`."""

    @classmethod
    def of_claim(cls, claim: Claim, known: "Work | None" = None) -> "Work":
        """Return the work that a claim gives a right to; `known`: what this process knows it as."""
        (
            seq, id, fence, task, queue, payload, failures, suspect, once, created, given, limited, _,
            followed, begun, since,
        ) = claim  # fmt: skip
        work = known or cls(id, task, queue, payload, created, once)
        if known is not None and (known.payload, known.created) != (payload, created):
            # Another call has replaced it meanwhile: it is run with that one's arguments.
            work.payload, work.created, work.args, work.kwargs = payload, created, None, None
        work.seq = seq
        work.fence = fence
        work.failures = failures
        work.begun = begun
        work.since = since
        work.suspect = suspect
        work.given = given
        work.urgent = limited or followed
        return work

    @property
    def job(self) -> Job[Any]:
        """The handle that the caller gets."""
        return Job(self.id, self.name, self.queue, self.enquiries)

    @property
    def due(self) -> int | None:
        """When its first attempt is due (microseconds, UTC); None: at once."""
        return self.terms.due

    @property
    def limited(self) -> bool:
        """Whether its task or queue has a limit or a rate, so that it is claimed only to start."""
        return self.terms.rated or self.terms.concurrency_key is not None

    @property
    def attempts(self) -> int | None:
        """How many attempts its job may have; None: its task is not known here."""
        return None if self.task is None else self.task.policy.attempts(self.given.opts)

    @property
    def on_failure(self) -> bool:
        """Whether it is stored although its request fails."""
        return self.task is not None and self.task.on_failure

    @property
    def concurrent(self) -> bool:
        """Whether it may run beside the other jobs of its request."""
        return self.task is not None and not self.task.plain

    def say(self, terms: Terms) -> None:
        """Note what the call says of its job."""
        self.usual = False
        self.terms = terms._replace(once=True) if self.once else terms
        self.given = terms.given

    def belong_to(self, owner: str | None) -> None:
        """Be this owner's job, unless its call or its task says whose it is."""
        if owner is not None and not (self.task is not None and self.task.owned):
            self.say(self.terms._replace(owner=owner))

    def new_job(self, follows: bool, due: int | None, held: bool = False) -> NewJob:
        """Return what the store is given."""
        terms = self.terms
        if due is not None or follows:
            terms = terms._replace(due=terms.due or due, follows=follows, held=held)
        fields = (self.id, self.name, self.queue, self.payload, self.created, terms)
        return tuple.__new__(NewJob, fields)  # half of what calling the class takes

    def end(self) -> None:
        """Note that nothing more will come of it here; wakes who waits for it. From any thread."""
        self.written = True
        if self.left is not None:
            self.leave()
        waiter = self.waiter
        if waiter is None or waiter.done():
            return
        loop = waiter.get_loop()
        if loop is running_loop():
            waiter.set_result(None)
        else:
            with suppress(RuntimeError):  # it has closed: nobody waits there any more
                loop.call_soon_threadsafe(self.end)

    def leave(self) -> None:
        """Tell who has handed it over. From any thread."""
        if self.left is not None:
            with suppress(IndexError):  # another thread has
                self.left.pop()()

    @property
    def identity(self) -> tuple[bytes, str, str, int]:
        """What events of a job begin with (`OfJob`)."""
        return self.id, self.name, self.queue, self.failures + 1

    def __str__(self) -> str:
        return f"{self.name} ({self.job.id})"


def place(works: Sequence[Work], added: Sequence[Added]) -> Sequence[Work]:
    """Note where works are in the journal; returns those that were born claimed."""
    queued = False
    for work, (seq, fence, joined) in zip(works, added, strict=True):
        work.seq = seq
        work.fence = fence
        if not fence:
            queued = True
            work.joined = joined
            work.follower = None  # the journal keeps their order
    return [work for work in works if work.fence] if queued else works


def give_trace(trace: Trace, works: Iterable[Work]) -> None:
    """Give works that are due at once the trace of the request that adds them."""
    for work in works:
        if work.terms.due is None:
            work.trace = trace


def holds_of(works: "Iterable[Work | Claim]") -> list[Hold]:
    """Return claims as the journal is told of them."""
    return [Hold(work.seq, work.fence) for work in works]


def names_of(works: Iterable[Work]) -> tuple[JobName, ...]:
    """Return which jobs these are, as events have it."""
    return tuple(JobName(work.id, work.name) for work in works)
