"""Looking into a durable store from a thread of its own, so that no event loop waits for the disk."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from postlude.model.counted import Counted
from postlude.model.failure import FailureGroup
from postlude.model.history import ALL_TIME, Sum
from postlude.model.job import Found, Hold, JobFilter, JobRecord
from postlude.stores.outgoing import OutState
from postlude.stores.protocol import Asked, Counts, LivingRunner, Pause, QueueState, Totals
from postlude.stores.reply import Reply
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime
from postlude.stores.values import AuditLine, Contradiction

T = TypeVar("T")


class Reader(Protocol):
    """A durable store's connection that only reads. Used by one thread at a time.

    The verbs of `postlude.stores.protocol` that only look, with their answers.
    """

    def get(self, id: bytes) -> JobRecord | None: ...

    def page(self, wanted: JobFilter) -> list[JobRecord]: ...

    def find(self, wanted: JobFilter) -> list[Found]: ...

    def counts(self) -> list[Counts]: ...

    def totals(self) -> list[Totals]: ...

    def groups(self, since: int) -> list[FailureGroup]: ...

    def audit(self, before: int | None, limit: int) -> list[AuditLine]: ...
    def contradictions(self) -> list[Contradiction]: ...

    def counted(self) -> list[Counted]: ...

    def size(self) -> int | None: ...

    def history(self, since: int, until: int, minutes: int) -> list[Sum]: ...

    def queues(self) -> list[QueueState]: ...

    def published(self) -> list[OutState]: ...

    def ready_ids(self, queue: str, limit: int) -> list[bytes]: ...

    def living(self) -> list[LivingRunner]: ...

    def holds(self, runner: int) -> list[Hold]: ...

    def asked(self, runner: int) -> Asked: ...

    def paused(self) -> list[Pause]: ...

    def parked(self) -> list[tuple[str, str]]: ...

    def ids_beginning(self, digits: str) -> list[bytes]: ...

    def schedules(self) -> list[ScheduleRecord]: ...

    def schedule_times(self, name: str, limit: int) -> list[ScheduleTime]: ...

    def close(self) -> None: ...


class Lookups:
    """The verbs that write nothing, as replies. Derived classes say how a reader is asked."""

    def _look(self, look: Callable[[Reader], T]) -> Reply[T]:
        raise NotImplementedError

    def holds(self, runner: int) -> Reply[list[Hold]]:
        """Return a runner's claims."""
        return self._look(lambda reader: reader.holds(runner))

    def parked(self) -> Reply[list[tuple[str, str]]]:
        """Return what is parked."""
        return self._look(lambda reader: reader.parked())

    def asked(self, runner: int) -> Reply[Asked]:
        """Return what is asked of a runner."""
        return self._look(lambda reader: reader.asked(runner))

    def paused(self) -> Reply[list[Pause]]:
        """Return what is paused."""
        return self._look(lambda reader: reader.paused())

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        """Return a job."""
        return self._look(lambda reader: reader.get(id))

    def page(self, wanted: JobFilter) -> Reply[list[JobRecord]]:
        """Return jobs, newest first."""
        return self._look(lambda reader: reader.page(wanted))

    def find(self, wanted: JobFilter) -> Reply[list[Found]]:
        """Return which jobs are meant, newest first."""
        return self._look(lambda reader: reader.find(wanted))

    def counts(self) -> Reply[list[Counts]]:
        """Return how many jobs there are."""
        return self._look(lambda reader: reader.counts())

    def totals(self) -> Reply[list[Totals]]:
        """Return how many jobs there have been."""
        return self._look(lambda reader: reader.totals())

    def history(self, since: int = ALL_TIME, until: int = ALL_TIME, minutes: int = 1) -> Reply[list[Sum]]:
        """Return what has happened, minute by minute."""
        return self._look(lambda reader: reader.history(since, until, minutes))

    def groups(self, since: int = 0) -> Reply[list[FailureGroup]]:
        """Return which failures are of one kind."""
        return self._look(lambda reader: reader.groups(since))

    def contradictions(self) -> Reply[list[Contradiction]]:
        """Return what is stored and cannot be true."""
        return self._look(lambda reader: reader.contradictions())

    def audit(self, before: int | None = None, limit: int = 50) -> Reply[list[AuditLine]]:
        """Return what people have done, newest first."""
        return self._look(lambda reader: reader.audit(before, limit))

    def counted(self) -> Reply[list[Counted]]:
        """Return what processes have counted."""
        return self._look(lambda reader: reader.counted())

    def size(self) -> Reply[int | None]:
        """Return how much room it takes."""
        return self._look(lambda reader: reader.size())

    def queues(self) -> Reply[list[QueueState]]:
        """Return each queue in which a job has not ended, or that is paused."""
        return self._look(lambda reader: reader.queues())

    def published(self) -> Reply[list[OutState]]:
        """Return of each queue what of it is published."""
        return self._look(lambda reader: reader.published())

    def ready_ids(self, queue: str, limit: int) -> Reply[list[bytes]]:
        """Return the jobs of a queue that are ready."""
        return self._look(lambda reader: reader.ready_ids(queue, limit))

    def living(self) -> Reply[list[LivingRunner]]:
        """Return the runners that live."""
        return self._look(lambda reader: reader.living())

    def ids_beginning(self, digits: str) -> Reply[list[bytes]]:
        """Return the ids of jobs that begin so; two at most."""
        return self._look(lambda reader: reader.ids_beginning(digits))

    def schedules(self) -> Reply[list[ScheduleRecord]]:
        """Return the schedules that are in force."""
        return self._look(lambda reader: reader.schedules())

    def schedule_times(self, name: str, limit: int) -> Reply[list[ScheduleTime]]:
        """Return the last due times of a schedule."""
        return self._look(lambda reader: reader.schedule_times(name, limit))


class ReaderThread:
    """The thread, and what it is asked.

    Args:
        reader: what it looks with; closed when it ends.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._inbox: SimpleQueue[tuple[Callable[[Reader], Any], Reply[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="postlude-reader", daemon=True)
        self._thread.start()

    def ask(self, look: Callable[[Reader], T]) -> Reply[T]:
        """Have a look done."""
        reply: Reply[T] = Reply.here()
        self._inbox.put((look, reply))
        return reply

    def stop(self, timeout: float) -> None:
        """End the thread after what was asked; waits for it so many seconds at most."""
        self._inbox.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (item := self._inbox.get()) is not None:
            look, reply = item
            try:
                reply.resolve(look(self._reader), None)
            except BaseException as error:
                reply.resolve(None, error)
            if reply.loop is not None and not reply.loop.is_closed():
                reply.loop.call_soon_threadsafe(reply.deliver)
            del item, look, reply
        self._reader.close()
