"""The writer: one thread per process that commits what has gathered as one group.

It knows no SQL: a `Backend` applies the verbs. It exists once because grouping, withdrawal,
replay and the answer to "was it stored?" must be the same for every durable store.
"""

import os
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable, Collection
from queue import Empty, SimpleQueue
from typing import Any, Final

from postlude.compat import running_loop
from postlude.errors import ForkedJournal, JournalUnavailable
from postlude.model.event.journal import WriterFailed
from postlude.stores.grouped.backend import Backend, Broken, Busy, Conflict, Verb
from postlude.stores.grouped.batching import Batch, Batching, Request, Standing
from postlude.stores.grouped.committing import Committer, fail
from postlude.stores.reply import Reply
from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged

MAX_REQUESTS: Final = 256
MAX_ROWS: Final = 1024
"""A group ends at so many requests or rows, so that no commit keeps others waiting for long."""


class ForkGuard:
    """Notices that this process is a fork of the one that made it, without asking each time."""

    __slots__ = ("__weakref__", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        me = weakref.ref(self)

        def forked() -> None:
            guard = me()
            if guard is not None:
                guard.is_set = True

        os.register_at_fork(after_in_child=forked)


class Inbox(SimpleQueue["Batch | None"]):
    """What has been handed over to the writer; None: it is to end.

    Args:
        refuse: says to who has asked that the journal is closed.
    """

    def __init__(self, refuse: Callable[[Batch], None]) -> None:
        self.over = False
        """Whether nobody takes anything out any more: who puts in sees to it that it is refused."""
        self._refuse = refuse

    def sweep(self) -> None:
        """Refuse what was left. `over` is set before; so whoever comes last finds what the other missed."""
        while True:
            try:
                batch = self.get_nowait()
            except Empty:
                return
            if batch is not None:
                self._refuse(batch)


class Writer:
    """Gathers requests, commits them in groups, and answers each.

    Args:
        backend: what applies them.
        name: of the thread.
        events: who is told of what happens; by default, the log.
        told: called by the thread whenever a group goes to the disk.
    """

    def __init__(
        self,
        backend: Backend,
        name: str,
        events: Events | None = None,
        told: Collection[Callable[[], None]] = (),
    ) -> None:
        self._events = events or logged()
        self._backend = backend
        self._committer = Committer(backend, self._events, told)
        self._inbox = Inbox(self._refuse)
        self._carried: Batch | None = None
        self._batching: Batching | None = None
        self._batchings: weakref.WeakKeyDictionary[AbstractEventLoop, Batching] = weakref.WeakKeyDictionary()
        self._forked = ForkGuard()
        self._stopping = False
        self._turns = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(
        self, verb: Verb, argument: Any, *, rows: int = 1, budget: float | None = None, lazy: bool = False
    ) -> Reply[Any]:
        """Ask for a write.

        Args:
            verb: what is asked.
            argument: of what.
            rows: roughly how many rows it writes; bounds the group.
            budget: seconds until the answer, if it is not there, is `JournalUnavailable`.
            lazy: it may wait a little for company.
        """
        if self._forked.is_set:
            self.refuse_fork()
        if self._stopping:
            return Reply.failed(JournalUnavailable("the journal is closed"))
        loop = running_loop()
        request = Request(verb, argument, loop)
        batching = self._batching
        if batching is None or batching.loop is not loop:
            if loop is None:
                self._inbox.put(Batch.of(request, rows, self._turns))
                if self._inbox.over:
                    self._inbox.sweep()
                return request
            batching = self._gate_of(loop)
        batching.submit(request, rows, budget, lazy)
        return request

    def mind(self, lease: float) -> None:
        """Let no write that goes wrong take so long that a lease of so many seconds is not renewed."""
        self._committer.lease = min(self._committer.lease, lease)

    def refuse_fork(self) -> None:
        """Raise `ForkedJournal` in a fork of the process that opened the journal."""
        if self._forked.is_set:
            raise ForkedJournal(
                "this process was forked after the journal had been opened; open it after the fork "
                "(start Postlude in the worker's lifespan, not in the parent)"
            )

    def stop(self, timeout: float) -> bool:
        """Write what was asked for, then end the thread; False if it did not end in time (seconds)."""
        if self._forked.is_set:
            return True
        self._stopping = True
        self._inbox.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _gate_of(self, loop: AbstractEventLoop) -> Batching:
        batching = self._batchings.get(loop)
        if batching is None:
            for closed in [each for each in self._batchings if each.is_closed()]:
                del self._batchings[closed]  # a gate knows its loop, so none would go by itself
            batching = self._batchings[loop] = Batching(loop, self._inbox, self._turns)
        self._batching = batching
        return batching

    def _refuse(self, batch: Batch) -> None:
        with self._turns:
            batch.standing = Standing.OVER
        fail(batch.requests, JournalUnavailable("the journal is closed"))
        self._answer([batch])

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            if self._carried is None:
                self._carried = self._inbox.get()
                if self._carried is None:
                    break
            try:
                self._group()
            except BaseException as error:
                self._events.emit(WriterFailed(error))
        self._inbox.over = True
        self._inbox.sweep()
        self._backend.close()

    def _group(self) -> None:
        """Take the lock first and empty the inbox then: that is what makes groups."""
        backend = self._backend
        backend.acquire()
        try:
            self._committer.look_back()
            batches = self._gather() if self._may_go_beside(self._carried) else []
            if not (batches and self._goes_beside(batches)):
                try:
                    backend.begin(batches[0].adds if batches else self._carried.adds if self._carried else 0)
                except Busy:
                    return
                except (Broken, Conflict) as error:
                    batches += self._gather()
                    fail(_requests(batches), error)
                else:
                    batches += self._gather()
                    self._committer.write(_requests(batches))
            abandoned = self._settle(batches)
            stored = [request.value for request in abandoned if request.error is None]
            if stored:
                self._committer.disown(stored)
            self._answer(batches)
            backend.tidy()
        finally:
            backend.release()

    def _may_go_beside(self, batch: Batch | None) -> bool:
        verbs = self._backend.beside_others
        return bool(verbs) and batch is not None and all(each.verb in verbs for each in batch.requests)

    def _goes_beside(self, batches: list[Batch]) -> bool:
        """Write a group beside others', if it can be."""
        if not all(map(self._may_go_beside, batches)):
            return False
        requests = _requests(batches)
        return bool(requests) and self._committer.write_beside(requests)

    def _gather(self) -> list[Batch]:
        """Take what is there, up to a group's size."""
        batches: list[Batch] = []
        rows = requests = 0
        batch, self._carried = self._carried, None
        while True:
            if batch is not None:
                if rows >= MAX_ROWS or requests >= MAX_REQUESTS:
                    self._carried = batch
                    return batches
                with self._turns:
                    batch.standing = Standing.TAKEN
                batches.append(batch)
                rows += batch.rows
                requests += len(batch.requests)
            try:
                batch = self._inbox.get_nowait()
            except Empty:
                return batches
            if batch is None:
                self._inbox.put(None)
                return batches

    def _settle(self, batches: list[Batch]) -> list[Request]:
        """Be sure of their outcome; returns the requests whose callers have stopped waiting before."""
        with self._turns:
            for batch in batches:
                batch.standing = Standing.OVER
        return [request for batch in batches for request in batch.abandoned]

    @staticmethod
    def _answer(batches: list[Batch]) -> None:
        for batch in batches:
            if batch.batching is not None:
                batch.batching.answered(batch)
            else:
                for request in batch.let_go():
                    request.resolve(request.value, request.error)


def _requests(batches: list[Batch]) -> list[Request]:
    return [request for batch in batches for request in batch.requests]
