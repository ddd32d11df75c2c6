"""Jobs that nobody runs: added where no runner is, in this process or any other."""

from collections.abc import Callable
from typing import Final

from postlude.clock import SECOND, Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.model.event.request import NobodyRuns, RunnersUnknown
from postlude.stores.protocol import LivingRunner, Reading

NOBODY: Final = "no living process runs the jobs of this journal"


class Absence:
    """Notices, where jobs are added or waited for, that no living process runs them; says so once.

    Args:
        store: the journal.
        config: the lease says how often to look.
        clock: the time.
        here: whether this process runs jobs, or is about to.
    """

    def __init__(self, store: Reading, config: Config, clock: Clock, here: Callable[[], bool]) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._here = here
        self._look_at: int | None = None
        self.said = False

    async def served(self) -> bool:
        """Whether a living process runs jobs; warns if none does.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        if self._here():
            return True
        living = await self._store.living()
        self._warn(living)
        return any(runner.serves for runner in living)

    async def look(self) -> None:
        """Warn if nobody does. On an event loop."""
        if not self._is_due():
            return
        try:
            living = await self._store.living()
        except PostludeError as error:
            self._store.events.emit(RunnersUnknown(error))
        else:
            self._warn(living)

    def look_blocking(self) -> None:
        """Warn if nobody does. In a thread."""
        if not self._is_due():
            return
        try:
            living = self._store.living().wait(self._config.budget)
        except (PostludeError, TimeoutError) as error:
            self._store.events.emit(RunnersUnknown(error))
        else:
            self._warn(living)

    def _is_due(self) -> bool:
        if self.said or self._here():
            return False
        now = self._clock.boot()
        if self._look_at is not None and now < self._look_at:
            return False
        self._look_at = now + round(self._config.lease * SECOND)
        return True

    def _warn(self, living: list[LivingRunner]) -> None:
        if self.said or any(runner.serves for runner in living):
            return
        self.said = True
        self._store.events.emit(NobodyRuns(self._store.location))
