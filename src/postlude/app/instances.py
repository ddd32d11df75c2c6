"""Which objects of a kind live in this process, for those who must reach all of them: the test kit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Instances(Generic[T]):
    """Knows its members for as long as they live, and tells who asks of new ones."""

    def __init__(self) -> None:
        self._members: WeakSet[T] = WeakSet()
        self._watchers: list[Callable[[T], None]] = []

    def enter(self, member: T) -> None:
        """Count a new member."""
        self._members.add(member)
        for watcher in list(self._watchers):
            watcher(member)

    @contextmanager
    def watched(self, watcher: Callable[[T], None]) -> Iterator[None]:
        """Have `watcher` called with every member that there is, and with each that comes meanwhile."""
        self._watchers.append(watcher)
        try:
            for member in list(self._members):
                watcher(member)
            yield
        finally:
            self._watchers.remove(watcher)


EVERY_POSTLUDE: Final[Instances[Any]] = Instances()
"""The `Postlude` objects of this process, for its tests."""
