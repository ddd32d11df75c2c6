"""Which queue is run by which engine, and what follows from it for the rest of the application."""

from collections.abc import Mapping
from functools import partial

from postlude.engines.local import Local
from postlude.engines.protocol import Carrier, Engine, Run
from postlude.errors import PostludeError
from postlude.messages.quoting import quoted
from postlude.model.event.jobs import JobsAdded
from postlude.model.limits import DeclaredLimits, bounds_of
from postlude.model.queues import NONE, Queues, all_but, only
from postlude.model.role import SERVER, Role


def checked_queues(queues: Mapping[str, Engine] | None) -> dict[str, Engine]:
    """Return the queues that an application has described.

    Raises:
        ValueError: it does not give each queue's engine by its name.
    """
    if queues is not None and not isinstance(queues, Mapping):
        raise ValueError(
            f"queues={quoted(queues)}: give each queue's engine by its name, {{'mail': Local(...)}}"
        )
    found = dict(queues or {})
    for name, engine in found.items():
        if not isinstance(engine, Engine):
            raise ValueError(f"queues={{{quoted(name)}: {quoted(engine)}}}: give an engine, Local(...)")
    return found


class Routing:
    """The engines of an application. A queue that is not described is run here.

    Args:
        queues: the engine of each queue that the application has described.
        role: what this process is.

    Raises:
        PostludeError: it is to work through a queue that another engine runs.
    """

    def __init__(self, queues: Mapping[str, Engine], role: Role = SERVER) -> None:
        self._queues = queues
        self._lifespans = 0
        self._started: list[Engine] = []
        elsewhere = {name: engine for name, engine in queues.items() if not engine.here}
        self.left = frozenset(name for name, engine in queues.items() if _for_workers(engine))
        """The queues that servers leave to workers."""
        if role.told:
            self.here = NONE
        elif role.worker:
            self.here = _worked_through(role.queues, elsewhere)
        else:
            self.here = all_but(self.left | elsewhere.keys())
        """The queues of which this process's runners claim what waits."""
        self.carriers = {name: one for name, one in elsewhere.items() if isinstance(one, Carrier)}
        """For each queue that has a broker, the engine that gives it messages."""
        self.publishers = {
            name: partial(engine.publish, name)
            for name, engine in elsewhere.items()
            if name not in self.carriers
        }
        """For each other queue that is not run here, who is told of what waits in it."""
        self.bounded = frozenset(
            name for name, engine in queues.items() if engine.limit is not None or engine.rate is not None
        )
        """The queues that have a limit or a rate."""
        self.slots = {
            name: engine.concurrency for name, engine in queues.items() if engine.concurrency is not None
        }
        """How many slots those queues have that have their own."""
        self.promises = {
            name: engine.promise for name, engine in queues.items() if engine.promise is not None
        } | dict.fromkeys(() if role.worker else self.left, 0.0)
        """For how many seconds a client waits for the start of a job, by queue; others: until it starts."""

    def limits(self) -> list[DeclaredLimits]:
        """Return what the journal is told of the queues."""
        return [bounds_of("queue", name, engine.limit, engine.rate) for name, engine in self._queues.items()]

    def added(self, told: JobsAdded) -> None:
        """Publish what has been added and could start; a listener of events."""
        waiting: dict[str, list[bytes]] = {}
        for job, added in zip(told.jobs, told.added, strict=True):
            if job.queue in self.publishers and job.terms.due is None and not added.joined:
                waiting.setdefault(job.queue, []).append(job.id)
        for queue, ids in waiting.items():
            self.publishers[queue](ids)

    async def start(self, run: Run) -> None:
        """A lifespan begins: the first of a process starts the engines.

        Raises:
            Exception: one of them cannot be started; those before it are stopped.
        """
        self._lifespans += 1
        if self._lifespans > 1:
            return
        try:
            for engine in {id(engine): engine for engine in self._queues.values()}.values():
                await engine.start(run)
                self._started.append(engine)
        except BaseException:
            await self.stop(0)
            raise

    async def stop(self, grace: float) -> None:
        """A lifespan ends: the last stops them."""
        self._lifespans -= 1
        if not self._lifespans:
            started, self._started = self._started, []
            for engine in reversed(started):
                await engine.stop(grace)

    def abandon(self) -> None:
        """A lifespan has ended without its shutdown."""
        self._lifespans -= 1
        if not self._lifespans:
            started, self._started = self._started, []
            for engine in started:
                engine.abandon()


def _for_workers(engine: Engine) -> bool:
    return isinstance(engine, Local) and engine.run == "workers"


def _worked_through(asked: Queues, elsewhere: Mapping[str, Engine]) -> Queues:
    """Return the queues that a worker claims from."""
    if asked.but:
        return all_but(asked.names | elsewhere.keys())
    for name in sorted(asked.names & elsewhere.keys()):
        raise PostludeError(
            f"queue {quoted(name)} is run by {type(elsewhere[name]).__name__}, not by a worker of this kind: "
            f"leave it out of --queues"
        )
    return only(asked.names)
