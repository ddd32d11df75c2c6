"""Telling the journal what this process has counted, for the sums of all processes."""

from postlude.stores.protocol import Store
from postlude.telemetry.counting import Counting


class CountsTold:
    """The duty; also what has the journal told when the process ends, and when somebody asks for the sums.

    Args:
        store: the journal.
        counting: what counts here.
    """

    def __init__(self, store: Store, counting: Counting) -> None:
        self._store = store
        self._counting = counting

    async def tell(self) -> None:
        """Tell it what it has not been told; what it does not take is told again later.

        Raises:
            JournalUnavailable: the journal cannot be written now.
        """
        counted = self._counting.take()
        if counted:
            try:
                await self._store.count(counted)
            except BaseException:
                self._counting.give_back(counted)
                raise
