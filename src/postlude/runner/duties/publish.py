"""Telling engines of what waits in queues that no runner claims from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from postlude.stores.protocol import Store

WINDOW: Final = 100
"""Jobs of each queue that an engine is told of at once: those that would be next. A million jobs that wait
are not a million messages."""

Publish = Callable[[Sequence[bytes]], None]


class Publishing:
    """The duty: what has been added is published when it is committed; the rest by this.

    Args:
        store: the journal.
        publishers: by queue, who is told.
    """

    def __init__(self, store: Store, publishers: Mapping[str, Publish]) -> None:
        self._store = store
        self._publishers = publishers

    async def run(self) -> None:
        """Publish what waits."""
        for queue, publish in self._publishers.items():
            ids = await self._store.ready_ids(queue, WINDOW)
            if ids:
                publish(ids)
