"""The loop's side of the writer: requests gather here and are handed over together.

A writer that wakes for the first row makes groups of one or two, and each of its steps takes the
interpreter from the loop that is making the next ones. So a loop hands over when some of its turns
have brought nothing new, and not while what it handed over before is being committed. What is worth
a commit of its own does not wait.
"""

from asyncio import AbstractEventLoop, TimerHandle
from contextlib import suppress
from enum import Enum, auto
from threading import Event, Lock
from time import monotonic
from typing import Any, Final, Protocol

from postlude.errors import JournalUnavailable
from postlude.stores.grouped.backend import Verb
from postlude.stores.reply import Reply

ENOUGH: Final = 128
"""Rows that are worth a commit of their own: company gains them little."""

QUIET: Final = 3
"""Turns of the loop without a new request after which it hands over; an idle loop's take 20 us each."""

GATHER: Final = 0.004
"""Seconds after which it hands over although each turn brings more."""

LINGER: Final = 0.002
"""Seconds that a lazy request waits for company."""

WATCH_EVERY: Final = 0.25
"""Seconds between looks at budgets; an answer of 503 is late by at most so much."""


class Standing(Enum):
    """How far a batch has come; only forwards, and each step is made under the writer's lock."""

    WAITING = auto()
    """Nobody has begun with it: its requests can be called off."""
    TAKEN = auto()
    """The writer has begun."""
    OVER = auto()
    """The writer is sure of its outcome."""


class Batch:
    """Requests that are handed to the writer together, and how far it has come with them.

    Args:
        turns: the writer's lock: the writer and the callers agree under it who of them was first.
        batching: of the loop that asks; None: a thread asks.
    """

    __slots__ = ("abandoned", "adds", "batching", "requests", "rows", "standing", "turns")

    def __init__(self, turns: Lock, batching: "Batching | None" = None) -> None:
        self.turns = turns
        self.batching = batching
        self.requests: list[Request] = []
        self.rows = 0
        """Roughly how many rows it writes; bounds the writer's group."""
        self.adds = 0
        """How many jobs it adds."""
        self.standing = Standing.WAITING
        self.abandoned: list[Request] = []
        """Those whose callers have stopped waiting since the writer has begun."""

    @classmethod
    def of(cls, request: "Request", rows: int, turns: Lock) -> "Batch":
        """Return one of a single request, from a thread."""
        batch = request.batch = cls(turns)
        batch.requests.append(request)
        batch.rows = rows
        batch.adds = rows if request.verb == Verb.ADD else 0
        return batch

    def let_go(self) -> "list[Request]":
        """Forget its requests, which know it: a cycle would keep them, and their jobs, for a while."""
        requests, self.requests, self.abandoned = self.requests, [], []
        return requests


class Request(Reply[Any]):
    """One write that was asked for, and its answer.

    Args:
        verb: what is asked.
        argument: of what.
        loop: the one that it is asked on.
    """

    __slots__ = ("argument", "batch", "due", "verb")

    def __init__(self, verb: int, argument: Any, loop: AbstractEventLoop | None) -> None:
        # All fields here, without the base's `__init__`: each request of a client makes one of these.
        self.loop = loop
        self.future, self._event = (None, Event()) if loop is None else (loop.create_future(), None)
        self.value = self.error = self._calls = None
        self.done = self._delivered = False
        self.verb = verb
        self.argument = argument
        self.batch: Batch | None = None
        self.due: float | None = None
        """When its budget has run out, by the monotonic clock."""

    def result(self) -> Any:
        """Return the answer; who was told that the budget had run out has no other."""
        if self.future is not None and self.future.done() and not self.future.cancelled():
            return self.future.result()
        return super().result()

    def refuse(self, error: JournalUnavailable) -> None:
        """Tell the caller, on its loop, that there is no answer: none comes any more."""
        assert self.future is not None
        self.future.set_exception(error)
        self._make_calls()

    def withdraw(self) -> bool:
        """Call it off; False if the writer has begun, or its caller was told that it takes too long."""
        batch = self.batch
        if batch is None:
            return False
        with batch.turns:
            withdrawn = batch.standing is Standing.WAITING
            if withdrawn:
                batch.requests.remove(self)
                self.batch = None
        return withdrawn

    def abandon(self) -> bool:
        """The caller stops waiting; False if the outcome is certain and about to be told."""
        batch = self.batch
        if batch is None:
            return False
        if self.withdraw():
            self._delivered = True
            return True
        with batch.turns:
            abandoned = batch.standing is Standing.TAKEN
            if abandoned:
                batch.abandoned.append(self)
        return abandoned


class Inbox(Protocol):
    """What has been handed over to the writer."""

    over: bool
    """Whether nobody takes anything out any more."""

    def put(self, item: Batch, /) -> None: ...

    def sweep(self) -> None: ...


class Batching:
    """What one event loop has asked of the writer. Used on that loop, but for `answered`."""

    def __init__(self, loop: AbstractEventLoop, inbox: Inbox, turns: Lock) -> None:
        self.loop = loop
        self._inbox = inbox
        self._open = Batch(turns, self)
        self._handed: set[Batch] = set()
        self._gathering = False
        self._until = 0.0
        self._linger: TimerHandle | None = None
        self._watch: TimerHandle | None = None

    def submit(self, request: Request, rows: int, budget: float | None, lazy: bool) -> None:
        """Add a request to those that are handed over next."""
        batch = self._open
        request.batch = batch
        batch.requests.append(request)
        batch.rows += rows
        if request.verb == Verb.ADD:
            batch.adds += rows
        if budget is not None:
            request.due = monotonic() + budget
            if self._watch is None:
                self._watch = self.loop.call_later(min(budget, WATCH_EVERY), self._look)
        if batch.rows >= ENOUGH:
            self.flush()
        elif self._handed or self._gathering:
            return
        elif not lazy:
            self._gather()
        elif self._linger is None:
            self._linger = self.loop.call_later(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._linger = None
        if not (self._handed or self._gathering):
            self._gather()

    def _gather(self) -> None:
        self._gathering = True
        self._until = self.loop.time() + GATHER
        self.loop.call_soon(self._turn, len(self._open.requests), QUIET)

    def _turn(self, before: int, quiet: int) -> None:
        """Hand over, unless the last turns have brought more."""
        now = len(self._open.requests)
        quiet = quiet - 1 if now == before else QUIET
        if self._handed or not now:
            self._gathering = False  # it became worth a commit meanwhile, or all was called off
        elif quiet and self.loop.time() < self._until:
            self.loop.call_soon(self._turn, now, quiet)
        else:
            self.flush()

    def flush(self) -> None:
        """Hand over what has gathered."""
        self._gathering = False
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        batch = self._open
        if batch.requests:
            self._open = Batch(batch.turns, self)
            self._handed.add(batch)
            self._inbox.put(batch)
            if self._inbox.over:
                self._inbox.sweep()

    def answered(self, batch: Batch) -> None:
        """Wake the loop, once for all that was asked together. From the writer's thread."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits there any more
            self.loop.call_soon_threadsafe(self._deliver, batch)

    def _deliver(self, batch: Batch) -> None:
        self._handed.discard(batch)
        for request in batch.let_go():
            future = request.future
            if request.error is None and request._calls is None and future is not None and not future.done():
                request._delivered = request.done = True  # nearly always: `deliver`, without a call
                future.set_result(request.value)
            else:
                request.deliver()
        if self._open.requests and not (self._handed or self._gathering):
            self._gather()

    def _look(self) -> None:
        """Tell those whose budget has run out: all that is open was handed over last, or is gathered."""
        self._watch = None
        now = monotonic()
        left: list[float] = []
        for request in [each for batch in (*self._handed, self._open) for each in batch.requests]:
            future = request.future
            if request.due is None or future is None or future.done():
                continue
            if request.due > now:
                left.append(request.due - now)
            elif request.abandon():
                request.refuse(
                    JournalUnavailable("the journal did not confirm the write within its budget; try again")
                )
        if left:
            self._watch = self.loop.call_later(min(*left, WATCH_EVERY), self._look)
