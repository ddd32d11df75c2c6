"""The loop's side of the writer: requests gather here and are handed over together.

A writer that wakes for the first row makes groups of one or two. So a loop hands over once a
turn, and not while what it handed over before is being committed.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from postlude.errors import JournalUnavailable
from postlude.stores.reply import Reply

LINGER: Final = 0.002
"""Seconds that a lazy request waits for company."""

WATCH_EVERY: Final = 0.25
"""Seconds between looks at budgets; an answer of 503 is late by at most so much."""


class Request:
    """One write that was asked for, and who may still call it off."""

    __slots__ = ("_open", "_settled", "argument", "error", "gate", "reply", "rows", "value", "verb")

    def __init__(self, verb: int, argument: Any, reply: Reply[Any], rows: int) -> None:
        self.verb = verb
        self.argument = argument
        self.reply = reply
        self.rows = rows
        self.gate: Gate | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        # One-element lists whose pop() only one thread can win: atomic without a lock.
        self._open = [True]
        self._settled = [True]

    def take(self) -> bool:
        """The writer begins with it; False if it was withdrawn."""
        return _won(self._open)

    def withdraw(self) -> bool:
        """Call it off; False if the writer has begun."""
        return _won(self._open)

    def settle(self) -> bool:
        """The writer is sure of its outcome; False if the caller has stopped waiting."""
        return _won(self._settled)

    def abandon(self) -> bool:
        """The caller stops waiting; False if the outcome is certain and about to be told."""
        return _won(self._settled)


def _won(token: list[bool]) -> bool:
    try:
        return token.pop()
    except IndexError:
        return False


class Gate:
    """What one event loop has asked of the writer. Used on that loop, but for `answered`."""

    def __init__(self, loop: AbstractEventLoop, hand_over: Callable[[list[Request]], None]) -> None:
        self.loop = loop
        self._hand_over = hand_over
        self._pending: list[Request] = []
        self._under_way = 0
        self._scheduled = False
        self._linger: TimerHandle | None = None
        self._budgets: deque[tuple[float, Request]] = deque()
        self._watch: TimerHandle | None = None

    def submit(self, request: Request, budget: float | None, lazy: bool) -> None:
        """Add a request to those that are handed over next."""
        request.gate = self
        self._pending.append(request)
        if budget is not None:
            self._budgets.append((self.loop.time() + budget, request))
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
        pending, self._pending = self._pending, []
        self._under_way = len(pending)
        self._hand_over(pending)

    def answered(self, requests: list[Request]) -> None:
        """Wake the loop, once for all of these. From the writer's thread."""
        try:
            self.loop.call_soon_threadsafe(self._deliver, requests)
        except RuntimeError:
            # The loop has closed: nobody waits there any more.
            self._under_way = 0

    def _deliver(self, requests: list[Request]) -> None:
        self._under_way -= len(requests)
        for request in requests:
            request.reply.deliver()
        if self._pending and self._under_way <= 0 and not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self.flush)

    def _look(self) -> None:
        """Tell those whose budget has run out."""
        now = self.loop.time()
        budgets = self._budgets
        self._watch = None
        while budgets:
            due, request = budgets[0]
            future = request.reply.future
            assert future is not None
            if not future.done():
                if due > now:
                    self._watch = self.loop.call_later(min(due - now, WATCH_EVERY), self._look)
                    return
                self._give_up(request)
            budgets.popleft()

    def _give_up(self, request: Request) -> None:
        future = request.reply.future
        if (request.withdraw() or request.abandon()) and future is not None and not future.done():
            future.set_exception(
                JournalUnavailable("the journal did not confirm the write within its budget; try again")
            )
