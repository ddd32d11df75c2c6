"""Adding jobs outside a request: from async code, in bulk, and from sync code."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, ParamSpec, TypeVar

from postlude.enqueue.producer import Producer
from postlude.jobs.handle import Job
from postlude.runner.attempt.work import Work
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
