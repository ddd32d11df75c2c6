"""The desk: what the dashboard works with, whoever has the journal open."""

from collections.abc import Collection
from typing import Protocol

from postlude.jobs.control import Control
from postlude.jobs.inspector import Inspector
from postlude.jobs.subscriptions import Hub
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry


class Counted(Protocol):
    """What has gone on in this process."""

    @property
    def hung_threads(self) -> int:
        """Threads that still run a job whose time is over."""
        ...

    @property
    def memory_only(self) -> int:
        """Tasks that ran in memory."""
        ...


class Desk(Protocol):
    """A journal and what works with it."""

    store: Store
    control: Control
    inspector: Inspector
    registry: Registry
    hub: Hub

    @property
    def queues(self) -> Collection[str]:
        """Those that the application has described."""
        ...

    @property
    def counters(self) -> Counted:
        """What has gone on in this process."""
        ...

    async def opened(self) -> None:
        """Open the journal, if nobody has."""
        ...
