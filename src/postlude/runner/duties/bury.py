"""Burying dead runners, so that others run what they ran."""

from postlude.model.event.runner import RunnersBuried
from postlude.runner.runner import Runner
from postlude.stores.protocol import Store


class Burying:
    """The duty.

    Args:
        runner: told that there may be work.
        store: the journal.
    """

    def __init__(self, runner: Runner, store: Store) -> None:
        self._runner = runner
        self._store = store

    async def run(self) -> None:
        """Look for the dead."""
        reaped = await self._store.reap()
        if reaped.runners:
            self._store.events.emit(RunnersBuried(*reaped))
            self._runner.notify()
