"""Parked jobs that this release can run: each process looks for itself, because releases differ."""

from postlude.errors import UnknownTask
from postlude.runner.runner import Runner
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry


class Unparking:
    """The duty.

    Args:
        runner: told that there is work.
        store: the journal.
        registry: which names this release knows.
    """

    def __init__(self, runner: Runner, store: Store, registry: Registry) -> None:
        self._runner = runner
        self._store = store
        self._registry = registry

    async def run(self) -> None:
        """Make ready what this release can run."""
        known = [pair for pair in await self._store.parked() if self._knows(*pair)]
        # A suspect that it cannot run now would be ready for a release that parks it again, to and fro.
        if known and await self._store.unpark(known, suspects=self._runner.wants_suspect):
            self._runner.notify()

    def _knows(self, name: str, release: str) -> bool:
        """Whether this release differs, in what matters, from the one that parked a job."""
        try:
            task = self._registry.resolve(name)
        except UnknownTask:
            return False
        return task.release != release
