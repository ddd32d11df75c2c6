"""The writer: one thread per process that commits what has gathered as one group.

It knows no SQL: a `Backend` applies the verbs. It exists once because grouping, withdrawal,
replay and the answer to "was it stored?" must be the same for every durable store.
"""

import logging
import os
import threading
import weakref
from asyncio import AbstractEventLoop
from collections import defaultdict
from queue import Empty, SimpleQueue
from typing import Any, Final

from postlude.errors import ForkedJournal, JournalUnavailable, PostludeError
from postlude.stores.backend import Backend, Broken, Busy, Verb
from postlude.stores.gate import Gate, Request, Standing
from postlude.stores.reply import Reply

log = logging.getLogger("postlude.journal")

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


class Writer:
    """Gathers requests, commits them in groups, and answers each.

    Args:
        backend: what applies them.
        name: of the thread.
    """

    def __init__(self, backend: Backend, name: str) -> None:
        self._backend = backend
        self._inbox: SimpleQueue[list[Request] | None] = SimpleQueue()
        self._carried: list[Request] = []
        self._passed: list[Request] = []
        self._gate: Gate | None = None
        self._gates: weakref.WeakKeyDictionary[AbstractEventLoop, Gate] = weakref.WeakKeyDictionary()
        self._forked = ForkGuard()
        self._stopping = False
        self._ended = False
        self._ending = threading.Lock()
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
        request = Request(verb, argument, rows, self._turns)
        loop = request.loop
        if loop is None:
            self._receive([request])
        else:
            gate = self._gate
            if gate is None or gate.loop is not loop:
                gate = self._gate_of(loop)
            gate.submit(request, budget, lazy)
        return request

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

    def _gate_of(self, loop: AbstractEventLoop) -> Gate:
        gate = self._gates.get(loop)
        if gate is None:
            for closed in [each for each in self._gates if each.is_closed()]:
                del self._gates[closed]  # a gate knows its loop, so none would go by itself
            gate = self._gates[loop] = Gate(loop, self._receive)
        self._gate = gate
        return gate

    def _receive(self, batch: list[Request]) -> None:
        # Under a lock, or a batch could slip in behind the last look of a thread that is closing.
        with self._ending:
            if not self._ended:
                self._inbox.put(batch)
                return
        self._refuse(batch)

    def _refuse(self, batch: list[Request]) -> None:
        self._fail(batch, JournalUnavailable("the journal is closed"))
        self._answer(batch)

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            if not self._carried:
                item = self._inbox.get()
                if item is None:
                    break
                self._carried = item
            try:
                self._group()
            except Exception:
                log.exception("the journal's writer met an error of its own; it goes on")
        with self._ending:
            self._ended = True
        while not self._inbox.empty():
            self._refuse(self._inbox.get_nowait() or [])
        self._backend.close()

    def _group(self) -> None:
        """Take the lock first and empty the inbox then: that is what makes groups."""
        backend = self._backend
        batch: list[Request] = []
        backend.acquire()
        try:
            try:
                backend.begin()
            except Busy:
                return
            except Broken as error:
                batch = self._gather()
                self._fail(batch, error)
            else:
                batch = self._gather()
                self._write(batch)
        finally:
            backend.release()
        passed, self._passed = self._passed, []
        self._answer(batch + passed)

    def _gather(self) -> list[Request]:
        """Take what is there, up to a group's size; what was called off is passed over."""
        batch: list[Request] = []
        rows = 0
        carried, self._carried = self._carried, []
        while True:
            with self._turns:
                for place, request in enumerate(carried):
                    if rows >= MAX_ROWS or len(batch) >= MAX_REQUESTS:
                        self._carried = carried[place:]
                        return batch
                    if request.standing is Standing.WAITING:
                        request.standing = Standing.TAKEN
                        batch.append(request)
                        rows += request.rows
                    else:
                        self._passed.append(request)
            try:
                item = self._inbox.get_nowait()
            except Empty:
                return batch
            if item is None:
                self._inbox.put(None)
                return batch
            carried = item

    def _write(self, batch: list[Request]) -> None:
        backend = self._backend
        try:
            self._apply(batch)
            backend.commit()
        except Broken as error:
            backend.rollback()
            self._fail(batch, error)
            return
        except Exception as error:
            backend.rollback()
            if len(batch) == 1:
                self._fail(batch, error)
            else:
                self._replay(batch)
            return
        abandoned = [request.value for request in self._settle(batch) if request.error is None]
        if abandoned:
            self._disown(abandoned)

    def _settle(self, batch: list[Request]) -> list[Request]:
        """Be sure of their outcome; returns those whose callers have stopped waiting before."""
        with self._turns:
            abandoned = [request for request in batch if request.standing is Standing.OVER]
            for request in batch:
                request.standing = Standing.OVER
        return abandoned

    def _apply(self, batch: list[Request]) -> None:
        by_verb: defaultdict[int, list[Request]] = defaultdict(list)
        for request in batch:
            by_verb[request.verb].append(request)
        for verb in sorted(by_verb):
            requests = by_verb[verb]
            results = self._backend.apply(Verb(verb), [request.argument for request in requests])
            for request, value in zip(requests, results, strict=True):
                refused = isinstance(value, PostludeError)  # this request's own: the group stands
                request.value, request.error = (None, value) if refused else (value, None)

    def _replay(self, batch: list[Request]) -> None:
        """After a failed group: each request whole or not at all, in a transaction of its own."""
        for place, request in enumerate(batch):
            try:
                self._backend.begin()
            except (Busy, Broken) as error:
                self._fail(batch[place:], error)
                return
            self._write([request])

    def _disown(self, results: list[Any]) -> None:
        try:
            self._backend.disown(results)
        except Exception:
            log.exception("jobs whose callers were told 503 could not be cancelled; they will run")

    def _fail(self, batch: list[Request], error: BaseException) -> None:
        if not isinstance(error, PostludeError):
            told = JournalUnavailable(f"the journal did not take the write: {error}")
            told.__cause__ = error
            error = told
        for request in batch:
            request.error = error
        self._settle(batch)

    @staticmethod
    def _answer(batch: list[Request]) -> None:
        gates: defaultdict[Gate, list[Request]] = defaultdict(list)
        for request in batch:
            request.resolve(request.value, request.error)
            if request.gate is not None:
                gates[request.gate].append(request)
        for gate, requests in gates.items():
            gate.answered(requests)
