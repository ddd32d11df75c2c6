"""Adding jobs outside a request: from async code, in bulk, and from sync code."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, ParamSpec, TypeVar, overload

from postlude.compat import running_loop
from postlude.config import Config
from postlude.enqueue.producer import Producer
from postlude.errors import JournalUnavailable
from postlude.jobs.absence import Absence
from postlude.jobs.handle import Job
from postlude.model.event.jobs import JobsAdded
from postlude.runner.attempt.work import Work, place
from postlude.stores.protocol import Store
from postlude.tasks.call import Call

P = ParamSpec("P")
R = TypeVar("R")

GROUP: Final = 500
"""Jobs that `add_tasks` stores in one transaction."""

MOST_ATOMIC: Final = 10_000
"""Jobs that `add_tasks(atomic=True)` takes."""


def prepare_all(producer: Producer, calls: Iterable[Call | Callable[[], Any]]) -> list[Work]:
    """Prepare many calls.

    Raises:
        TypeError: one of them is not a call.
    """
    works = []
    for call in calls:
        if isinstance(call, Call):
            works.append(producer.prepare(call.task, call.args, call.kwargs))
        elif callable(call):
            works.append(producer.prepare(call, (), {}))
        else:
            raise TypeError(
                f"add_tasks takes calls (task.call(...) or functools.partial(function, ...)), "
                f"not {type(call).__name__}"
            )
    return works


async def add_all(
    producer: Producer, calls: Iterable[Call | Callable[[], Any]], *, atomic: bool
) -> list[Job[Any]]:
    """Store many jobs in groups of `GROUP`, or all or none; returns their handles in order.

    Raises:
        ValueError: more than `MOST_ATOMIC` calls with `atomic`.
        JournalUnavailable: a group was not confirmed; those before it are stored.
    """
    if atomic:
        works = prepare_all(producer, islice(calls, MOST_ATOMIC + 1))
        if len(works) > MOST_ATOMIC:
            raise ValueError(
                f"atomic=True takes at most {MOST_ATOMIC} calls; leave it out for groups of {GROUP}"
            )
        await _queue(producer, works)
        return [work.job for work in works]
    jobs: list[Job[Any]] = []
    source = iter(calls)
    writing: asyncio.Task[None] | None = None
    try:
        while works := prepare_all(producer, islice(source, GROUP)):
            if writing is not None:
                await writing
            writing = asyncio.create_task(_queue(producer, works))
            await asyncio.sleep(0)  # it is being written while the next group is prepared
            jobs += [work.job for work in works]
        if writing is not None:
            await writing
    finally:
        if writing is not None and not writing.done():
            await asyncio.wait([writing])
    return jobs


async def _queue(producer: Producer, works: Sequence[Work]) -> None:
    if works:
        await producer.store(works)
        producer.stir()


class Blocking:
    """The same from sync code, in threads without an event loop. Reached as `postlude.blocking`."""

    def __init__(
        self, producer: Producer, store: Store, config: Config, opened: Callable[[], None], absence: Absence
    ) -> None:
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
        if running_loop() is not None:
            raise RuntimeError("postlude.blocking would block this event loop: await postlude.add_task(...)")
        self._opened()
        jobs: list[Job[Any]] = []
        source = iter(calls)
        while works := prepare_all(self._producer, islice(source, GROUP)):
            self._store_group(works)
            jobs += [work.job for work in works]
        self._producer.stir()
        self._absence.look_blocking()
        return jobs

    def _store_group(self, works: Sequence[Work]) -> None:
        self._producer.sync_limits.tell()
        jobs = [work.new_job(False, None) for work in works]
        reply = self._store.add(jobs)
        try:
            added = reply.wait(self._config.budget)
        except TimeoutError:
            if reply.withdraw():
                raise JournalUnavailable("the journal did not take the write within its budget") from None
            added = reply.wait()  # it is being committed: its outcome is about to be known
        place(works, added)
        if JobsAdded in self._store.events.heard:
            self._store.events.emit(JobsAdded(jobs, added))
