"""The loop's side of the writer: requests gather here and are handed over together.

A writer that wakes for the first row makes groups of one or two, and each of its steps takes the
interpreter from the loop that is making the next ones. So a loop hands over when some of its turns
have brought nothing new, and not while what it handed over before is being committed. What is worth
a commit of its own does not wait.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from threading import Lock
from typing import Any, Final

from postlude.errors import JournalUnavailable
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
    """How far a request has come; only forwards, and each step is made under the writer's lock."""

    WAITING = auto()
    """Nobody has begun with it: it can be called off."""
    TAKEN = auto()
    """The writer has begun."""
    OVER = auto()
    """The writer is sure of its outcome, or the caller has stopped waiting, whichever came first."""


class Request(Reply[Any]):
    """One write that was asked for, and its answer.

    Args:
        verb: what is asked.
        argument: of what.
        rows: roughly how many rows it writes.
        turns: the writer's lock: the writer and the caller agree under it who of them was first.
    """

    __slots__ = ("argument", "due", "gate", "rows", "standing", "turns", "verb")

    def __init__(self, verb: int, argument: Any, rows: int, turns: Lock) -> None:
        super().__init__()
        self.verb = verb
        self.argument = argument
        self.rows = rows
        self.turns = turns
        self.gate: Gate | None = None
        self.due: float | None = None
        """When its budget has run out, by its loop's clock."""
        self.standing = Standing.WAITING

    def result(self) -> Any:
        """Return the answer; who was told that the budget had run out has no other."""
        if self.future is not None and self.future.done() and not self.future.cancelled():
            return self.future.result()
        return super().result()

    def withdraw(self) -> bool:
        """Call it off; False if the writer has begun."""
        with self.turns:
            withdrawn = self.standing is Standing.WAITING
            if withdrawn:
                self.standing = Standing.OVER
        return withdrawn

    def abandon(self) -> bool:
        """The caller stops waiting; False if the outcome is certain and about to be told."""
        with self.turns:
            abandoned = self.standing is not Standing.OVER
            self.standing = Standing.OVER
        return abandoned


class Gate:
    """What one event loop has asked of the writer. Used on that loop, but for `answered`."""

    def __init__(self, loop: AbstractEventLoop, hand_over: Callable[[list[Request]], None]) -> None:
        self.loop = loop
        self._hand_over = hand_over
        self._pending: list[Request] = []
        self._rows = 0
        self._handed: set[Request] = set()
        self._gathering = False
        self._until = 0.0
        self._linger: TimerHandle | None = None
        self._watch: TimerHandle | None = None

    def submit(self, request: Request, budget: float | None, lazy: bool) -> None:
        """Add a request to those that are handed over next."""
        request.gate = self
        self._pending.append(request)
        self._rows += request.rows
        if budget is not None:
            request.due = self.loop.time() + budget
            if self._watch is None:
                self._watch = self.loop.call_later(min(budget, WATCH_EVERY), self._look)
        if self._rows >= ENOUGH:
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
        self.loop.call_soon(self._turn, len(self._pending), QUIET)

    def _turn(self, before: int, quiet: int) -> None:
        """Hand over, unless the last turns have brought more."""
        now = len(self._pending)
        quiet = quiet - 1 if now == before else QUIET
        if self._handed or not now:
            return  # it became worth a commit meanwhile
        if quiet and self.loop.time() < self._until:
            self.loop.call_soon(self._turn, now, quiet)
        else:
            self.flush()

    def flush(self) -> None:
        """Hand over what has gathered."""
        self._gathering = False
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._pending:
            batch, self._pending, self._rows = self._pending, [], 0
            self._handed.update(batch)
            self._hand_over(batch)

    def answered(self, requests: list[Request]) -> None:
        """Wake the loop, once for all of these. From the writer's thread."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits there any more
            self.loop.call_soon_threadsafe(self._deliver, requests)

    def _deliver(self, requests: list[Request]) -> None:
        self._handed.difference_update(requests)
        for request in requests:
            request.deliver()
        if self._pending and not (self._handed or self._gathering):
            self._gather()

    def _look(self) -> None:
        """Tell those whose budget has run out: all that is open was handed over last, or is pending."""
        self._watch = None
        now = self.loop.time()
        left: list[float] = []
        for request in (*self._handed, *self._pending):
            future = request.future
            if request.due is None or future is None or future.done():
                continue
            if request.due > now:
                left.append(request.due - now)
            elif request.abandon():
                future.set_exception(
                    JournalUnavailable("the journal did not confirm the write within its budget; try again")
                )
        if left:
            self._watch = self.loop.call_later(min(*left, WATCH_EVERY), self._look)
