"""The dispatcher of events: who listens for what, and telling them."""

from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from postlude.model.event import Event
from postlude.telemetry.log import Log

Listener = Callable[[Any], None]
"""Told of an event, in the thread in which it happens and before that goes on: it must be quick."""

log: Final = Log("postlude")


class Events:
    """Tells listeners what happens to one journal, its jobs and its runners.

    What happens for every job is made into a value only where somebody listens for it; a look into a dict
    says so: `if AttemptStarted in events.heard`.

    Attributes:
        heard: the listeners of each kind; kinds that nobody listens for are not in it. To be read only.
    """

    def __init__(self) -> None:
        self.heard: dict[type[Event], tuple[Listener, ...]] = {}
        self._conditions: dict[Listener, Callable[[], bool]] = {}
        self._failed: set[Listener] = set()
        """Those of which it has been said that they raise."""
        self._lock = Lock()

    def listen(self, listener: Listener, *kinds: type[Event], when: Callable[[], bool] | None = None) -> None:
        """Tell a listener of these kinds of events from now on. From any thread.

        Args:
            listener: called with each. What it raises goes no further, and is said once.
            kinds: with all kinds that are made of them.
            when: whether it cares at the moment; see `wanted`.
        """
        with self._lock:
            if when is not None:
                self._conditions[listener] = when
            for kind in _with_all_of(kinds):
                known = self.heard.get(kind, ())
                if listener not in known:
                    self.heard[kind] = (*known, listener)

    def leave(self, listener: Listener) -> None:
        """Tell it no more. From any thread."""
        with self._lock:
            self._conditions.pop(listener, None)
            self._failed.discard(listener)
            for kind, known in list(self.heard.items()):
                others = tuple(other for other in known if other != listener)
                if others:
                    self.heard[kind] = others
                else:
                    del self.heard[kind]

    def wanted(self, kind: type[Event]) -> bool:
        """Whether somebody cares for this kind at the moment: asked before costly work is done for one."""
        conditions = self._conditions
        return any(
            listener not in conditions or conditions[listener]() for listener in self.heard.get(kind, ())
        )

    def emit(self, event: Event) -> None:
        """Tell those who listen. From any thread; raises nothing."""
        for listener in self.heard.get(type(event), ()):
            try:
                listener(event)
            except BaseException as error:  # it must not stop what has happened from going on
                if listener not in self._failed:
                    self._failed.add(listener)
                    log.error(
                        "a listener of events has failed (this is said once): %r", listener, exc_info=error
                    )


def _with_all_of(kinds: tuple[type[Event], ...]) -> list[type[Event]]:
    """Return kinds with all those that are made of them."""
    found: dict[type[Event], None] = {}
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        found[kind] = None
        waiting += kind.__subclasses__()
    return list(found)
