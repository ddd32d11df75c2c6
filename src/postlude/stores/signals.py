"""Signals: what a store tells of its own accord, so that nobody has to ask it again and again."""

import threading
from collections.abc import Collection
from typing import Protocol


class Signals:
    """Who is told: derive from it, for what is of interest.

    Called from any thread, while others wait: it must be quick, and must not raise.

    A store tells of what has been written through it, and of what has been written by other processes as
    soon as it hears of that. It may tell once too often, and never once too seldom; what it tells may be over
    by then.
    """

    def ready(self, queues: Collection[str] | None) -> None:
        """Jobs of these queues may be claimed that could not before; None: it is not known of which."""

    def due(self, at: int | None) -> None:
        """A job waits for this moment (microseconds, UTC), when `promote` readies it; None: for which?"""

    def asked(self, runner: int | None) -> None:
        """There is something new in what `Store.asked` says to this runner; None: or to another."""

    def paused(self) -> None:
        """Something has been paused, or resumed."""

    def schedules(self) -> None:
        """Schedules have been declared, changed or resumed: `fire` says when the next is due."""

    def changed(self, ids: Collection[bytes] | None) -> None:
        """These jobs have changed; None: it is not known which.

        Nothing is told of what `claim`, `finish` and `progress` do through this store: who asks for that
        knows, and says so by events.
        """


class Telling(Protocol):
    """The role of a store that tells them."""

    def listen(self, listener: Signals) -> None:
        """Tell it from now on what is written, here or in another process. From any thread.

        Of what was written before it is told nothing: that it looks at by itself.
        """
        ...

    def leave(self, listener: Signals) -> None:
        """Tell it no more. From any thread."""
        ...


class Said:
    """What there is to tell when a group of writes is certain. Gathered by one thread at a time."""

    __slots__ = ("anew", "asked", "changed", "due", "paused", "queues", "schedules", "waits")

    def __init__(self) -> None:
        self.queues: set[str] = set()
        """Queues in which jobs are ready."""
        self.anew = False
        """Whether jobs are ready in queues that are not known."""
        self.waits = False
        """Whether jobs wait for a time."""
        self.due: int | None = None
        """The first such time, if it is known."""
        self.asked = False
        self.paused = False
        self.changed = False
        self.schedules = False

    def wait_until(self, due: int) -> None:
        """A job waits for this time."""
        if self.due is None or due < self.due:
            self.due = due
        self.waits = True

    def __bool__(self) -> bool:
        told = self.anew or self.waits or self.asked or self.paused or self.changed or self.schedules
        return told or bool(self.queues)

    def tell(self, listener: Signals) -> None:
        """Tell it."""
        if self.anew or self.queues:
            listener.ready(None if self.anew else self.queues)
        if self.waits:
            listener.due(self.due)
        if self.asked:
            listener.asked(None)
        if self.paused:
            listener.paused()
        if self.schedules:
            listener.schedules()
        if self.changed:
            listener.changed(None)


class Listeners:
    """Those who listen to one store. From any thread."""

    def __init__(self) -> None:
        self._all: tuple[Signals, ...] = ()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, listener: Signals) -> None:
        """Tell it from now on."""
        with self._lock:
            if listener not in self._all:
                self._all = (*self._all, listener)

    def remove(self, listener: Signals) -> None:
        """Tell it no more."""
        with self._lock:
            self._all = tuple(other for other in self._all if other is not listener)

    def tell(self, said: Said) -> None:
        """Tell all of them."""
        for listener in self._all:
            said.tell(listener)
