"""Reading what metrics tell: awaited, or from a thread that may wait."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from postlude.app.components import Components
from postlude.app.measures import Measures
from postlude.compat import running_loop
from postlude.errors import PostludeError
from postlude.runner.duties.counts import CountsTold
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply


async def measured(components: Components) -> Measures:
    """Return what there is to tell now, with what this process has counted so far.

    Raises:
        JournalUnavailable: the journal cannot be read now.
    """
    store = components.store
    with suppress(PostludeError):  # it is told later
        await CountsTold(store, components.counting).tell()
    answers = {name: await reply for name, reply in _asked(store)}
    waiting: list[int] = []
    for outbox in components.joiner.outboxes:
        with suppress(Exception):  # the application's database, and its driver
            waiting.append(await outbox.waiting())
    return _of(components, answers, waiting)


def measured_here(components: Components) -> Measures:
    """Do so in this thread, which waits; on an event loop, for the moment that it takes.

    Raises:
        JournalUnavailable: the journal cannot be read now.
        TimeoutError: it has not answered in time.
    """
    loop = running_loop()
    if loop is None:
        return _measured_in_a_thread(components, None)
    found: list[Measures | BaseException] = []

    def read() -> None:
        try:
            found.append(_measured_in_a_thread(components, loop))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=read, name="postlude-measures")
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _measured_in_a_thread(components: Components, busy: asyncio.AbstractEventLoop | None) -> Measures:
    """Return it; the loop that is `busy` waits for this, so nothing can be asked of it."""
    store, seconds = components.store, components.config.budget
    counted = components.counting.take()
    if counted:
        try:
            store.count(counted).wait(seconds)
        except PostludeError:
            components.counting.give_back(counted)
    answers = {name: reply.wait(seconds) for name, reply in _asked(store)}
    waiting: list[int] = []
    for outbox in components.joiner.outboxes:
        with suppress(Exception):
            waiting.append(outbox.waiting_here(seconds, busy))
    return _of(components, answers, waiting)


def _asked(store: Store) -> Iterator[tuple[str, Reply[Any]]]:
    """Ask one after another, for these fields of `Measures`."""
    yield "totals", store.totals()
    yield "ever", store.history()
    yield "queues", store.queues()
    yield "living", store.living()
    yield "counted", store.counted()
    yield "schedules", store.schedules()
    yield "size", store.size()


def _of(components: Components, answers: dict[str, Any], waiting: list[int]) -> Measures:
    slots: dict[str, tuple[int, int]] = {}
    for runner in components.producer.runners:
        for kind, (all_of_kind, busy) in runner.executors.slots.items():
            before = slots.get(kind, (0, 0))
            slots[kind] = before[0] + all_of_kind, before[1] + busy
    return Measures(
        **answers,
        now=components.store.now(),
        outbox=sum(waiting) if waiting else None,
        slots=slots,
        hung=components.counters.hung_threads,
        location=components.store.location,
    )
