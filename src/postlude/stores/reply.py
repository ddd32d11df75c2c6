"""An answer of a store that is on its way: awaited on an event loop, or waited for in a thread."""

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from postlude.compat import running_loop

T = TypeVar("T")


class Reply(Generic[T]):
    """The promise of a store's answer.

    Made for an event loop, it can be awaited there; without one, only `wait` serves. It is given its
    value or its error once, by the store.

    Args:
        loop: the one that runs where the answer is asked for.
    """

    __slots__ = ("_calls", "_delivered", "_event", "done", "error", "future", "loop", "value")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop
        self.future: asyncio.Future[T] | None
        self._event: threading.Event | None
        if loop is None:
            self.future, self._event = None, threading.Event()
        else:
            self.future, self._event = loop.create_future(), None
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = False
        self._delivered = False
        self._calls: list[Callable[[Reply[T]], None]] | None = None

    @classmethod
    def here(cls) -> "Reply[T]":
        """Return a reply for the event loop that runs here, if one does."""
        return cls(running_loop())

    @classmethod
    def of(cls, value: T) -> "Reply[T]":
        """Return a reply that is already there."""
        reply = cls.here()
        reply.resolve(value, None)
        reply.deliver()
        return reply

    @classmethod
    def failed(cls, error: BaseException) -> "Reply[T]":
        """Return a reply that is already an error."""
        reply = cls.here()
        reply.resolve(None, error)
        reply.deliver()
        return reply

    def withdraw(self) -> bool:
        """Call the request off; False if the store has begun with it."""
        return False

    def resolve(self, value: Any, error: BaseException | None) -> None:
        """Set the answer, from any thread. Those who await it hear of it by `deliver`."""
        self.value, self.error, self.done = value, error, True
        if self._event is not None:
            self._event.set()

    def deliver(self) -> None:
        """Pass the answer to those who await it, or want a call made. Only on the reply's own loop."""
        self._delivered = self.done = True
        future = self.future
        if future is not None and not future.done():
            if self.error is None:
                future.set_result(self.value)
            else:
                future.set_exception(self.error)
        if self._calls is not None:
            self._make_calls()

    def then(self, call: Callable[["Reply[T]"], None]) -> None:
        """Have a call made on the reply's own loop once the answer is there; it reads `result`.

        Also if the wait for it is cancelled, even in the very turn that brings the answer.
        """
        assert self.loop is not None, "a reply that was made in a thread has no loop to call back on"
        if self._delivered:
            self.loop.call_soon(call, self)
        elif self._calls is None:
            self._calls = [call]
        else:
            self._calls.append(call)

    def _make_calls(self) -> None:
        calls, self._calls = self._calls, None  # they know this reply: a cycle
        if self.future is not None and not self.future.cancelled():
            self.future.exception()  # a call reads the error from the reply itself
        for call in calls or ():
            # Not here: what one raises must not keep others from their answers.
            self.loop.call_soon(call, self)  # type: ignore[union-attr]

    def result(self) -> T:
        """Return the answer that is there, or raise its error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[no-any-return]

    def wait(self, timeout: float | None = None) -> T:
        """Block this thread until the answer is there.

        Raises:
            TimeoutError: it was not there within `timeout` seconds.
            RuntimeError: called on an event loop, which it would block.
        """
        if self._event is None:
            raise RuntimeError("await this reply: it was made on an event loop, which wait() would block")
        if not self._event.wait(timeout):
            raise TimeoutError("the journal has not answered")
        return self.result()

    def __await__(self) -> Generator[Any, None, T]:
        if self.future is None:
            raise RuntimeError("use wait(): this reply was made outside an event loop")
        return self.future.__await__()
