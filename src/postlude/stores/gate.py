"""The loop's side of the writer: requests gather here and are handed over together.

A writer that wakes for the first row makes groups of one or two. So a loop hands over once a
turn, and not while what it handed over before is being committed.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from enum import Enum, auto
from threading import Lock
from typing import Any, Final

from postlude.errors import JournalUnavailable
from postlude.stores.reply import Reply

ENOUGH: Final = 128
"""Rows that are worth a commit of their own: company gains them little."""

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
        self._handed: list[Request] = []
        self._under_way = 0
        self._scheduled = False
        self._linger: TimerHandle | None = None
        self._watch: TimerHandle | None = None

    def submit(self, request: Request, budget: float | None, lazy: bool) -> None:
        """Add a request to those that are handed over next."""
        request.gate = self
        self._pending.append(request)
        if budget is not None:
            request.due = self.loop.time() + budget
            if self._watch is None:
                self._watch = self.loop.call_later(min(budget, WATCH_EVERY), self._look)
        if self._under_way or self._scheduled:
            return
        if not lazy:
            self._scheduled = True
            self.loop.call_soon(self.flush)
        elif self._linger is None:
            self._linger = self.loop.call_later(LINGER, self.flush)

    def flush(self) -> None:
        """Hand over what has gathered, unless a hand-over is under way."""
        self._scheduled = False
        if self._under_way or not self._pending:
            return
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._handed, self._pending = self._pending, []
        self._under_way = len(self._handed)
        self._hand_over(self._handed)

    def answered(self, requests: list[Request]) -> None:
        """Wake the loop, once for all of these. From the writer's thread."""
        try:
            self.loop.call_soon_threadsafe(self._deliver, requests)
        except RuntimeError:
            # The loop has closed: nobody waits there any more.
            self._under_way = 0

    def _deliver(self, requests: list[Request]) -> None:
        self._under_way -= len(requests)
        if self._under_way <= 0:
            self._handed = []
            if sum(request.rows for request in self._pending) >= ENOUGH:
                self.flush()  # what these answers set going need not be waited for
        for request in requests:
            request.deliver()
        if self._under_way <= 0 and self._pending and not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self.flush)

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
