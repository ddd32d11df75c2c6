"""Telling the journal of the limits and rates that this release has."""

from collections.abc import Callable, Sequence
from typing import Final

from postlude.errors import PostludeError
from postlude.model.event.request import LimitsUntold
from postlude.model.limits import DeclaredLimits
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.registry import Registry

NOT_TOLD: Final = -1
"""In place of how many bounds the journal was told of."""


class SyncLimits:
    """Tells it before the first job is added, and again when a task with a limit was declared since.

    That happens when a module is imported late, say.

    Args:
        store: the journal.
        registry: knows how many bounded tasks have been declared.
        bounds: what this release says of its tasks and queues.
    """

    def __init__(
        self, store: Store, registry: Registry, bounds: Callable[[], Sequence[DeclaredLimits]]
    ) -> None:
        self._store = store
        self._registry = registry
        self._bounds = bounds
        self.told = NOT_TOLD
        """Of how many declarations it has been told; see `Registry.bounded_so_far`."""

    def tell(self) -> None:
        """Tell it what it has not been told.

        Not waited for: what is asked of the journal next comes after it, and has a budget of its own.
        """
        if self.told == self._registry.bounded_so_far:
            return
        self.told = self._registry.bounded_so_far
        reply = self._store.declare(self._bounds())
        if reply.future is not None:
            reply.then(self._heard)

    def _heard(self, reply: Reply[None]) -> None:
        try:
            reply.result()
        except PostludeError as error:
            self._store.events.emit(LimitsUntold(error))
            self.told = NOT_TOLD
