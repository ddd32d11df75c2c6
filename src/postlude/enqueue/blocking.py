"""Adding jobs from sync code: each call returns when what it adds is on disk."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, ParamSpec, TypeVar, overload

from postlude.config import Config
from postlude.enqueue.bulk import GROUP, prepare_all
from postlude.enqueue.producer import Producer
from postlude.enqueue.terms import carry
from postlude.errors import JournalUnavailable
from postlude.jobs.absence import Absence
from postlude.jobs.acting import Acting, Verbs, refuse_loop
from postlude.jobs.handle import Job
from postlude.model.event.jobs import JobsAdded, JobsRefused
from postlude.model.job import Added
from postlude.runner.attempt.work import Work, place
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.call import Call

P = ParamSpec("P")
R = TypeVar("R")


class Blocking(Acting):
    """Adds jobs from threads without an event loop, and acts on them. Reached as `postlude.blocking`."""

    def __init__(
        self,
        producer: Producer,
        store: Store,
        config: Config,
        opened: Callable[[], None],
        absence: Absence,
        verbs: Verbs,
    ) -> None:
        super().__init__(verbs)
        self._producer = producer
        self._absence = absence
        self._store = store
        self._config = config
        self._opened = opened

    @overload
    def add_task(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    def add_task(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    def add_task(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Store a job; returns when it is on disk.

        Raises:
            RuntimeError: called on an event loop, which it would block.
            NotDurable: the function or an argument has no durable form.
            JournalUnavailable: not confirmed within the budget.
        """
        return self.add_tasks([partial(function, *args, **kwargs)])[0]

    def add_tasks(self, calls: Iterable[Call | Callable[[], Any]]) -> list[Job[Any]]:
        """Store many jobs, in groups of `GROUP`."""
        refuse_loop("postlude.add_task(...)")
        self._opened()
        jobs: list[Job[Any]] = []
        source = iter(calls)
        while works := prepare_all(self._producer, islice(source, GROUP)):
            self._store_group(works)
            jobs += [work.job for work in works]
        self._absence.look_blocking()
        return jobs

    def _store_group(self, works: Sequence[Work]) -> None:
        self._producer.sync_limits.tell()
        if self._producer.carried.carriers:
            carry(self._producer.carried, works, together=len(works) > 1)
        jobs = [work.new_job(False, None) for work in works]
        try:
            added = self._added(self._store.add(jobs))
        except Exception as error:
            if JobsRefused in self._store.events.heard:
                self._store.events.emit(JobsRefused(jobs, error))
            raise
        place(works, added)
        if JobsAdded in self._store.events.heard:
            self._store.events.emit(JobsAdded(jobs, added))

    def _added(self, reply: Reply[list[Added]]) -> list[Added]:
        try:
            return reply.wait(self._config.budget)
        except TimeoutError:
            if reply.withdraw():
                raise JournalUnavailable("the journal did not take the write within its budget") from None
            return reply.wait()  # it is being committed: its outcome is about to be known
