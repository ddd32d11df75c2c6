"""Running jobs by their ids on a runner that claims nothing by itself: a process of an engine's worker."""

import asyncio
from collections.abc import Sequence

from postlude.errors import PostludeError
from postlude.model.job import Claimed
from postlude.model.queues import ALL
from postlude.model.refusal import Refusal, Refused, all_refused
from postlude.runner.runner import Runner
from postlude.stores.protocol import Store


class ByIds:
    """Runs what an engine is told of, by the runner of the loop that is asked.

    Args:
        store: the journal.
        runner: claims, and runs them.
    """

    def __init__(self, store: Store, runner: Runner) -> None:
        self._store = store
        self._runner = runner

    async def run(self, ids: Sequence[bytes]) -> Sequence[Refused]:
        """Claim the jobs of these ids, and run them; returns when their attempts have ended, and that is
        written. As `postlude.runner.inline.Inline.run`, on the loop of the runner.

        Raises:
            JournalUnavailable: the journal cannot be written now.
        """
        runner = self._runner
        if runner.draining:
            await self._store.withdraw(ALL, ids)  # a message is used up for each
            return all_refused(ids, Refusal.BURIED)
        reserved = runner.reserve(len(ids)) is not None
        try:
            claimed = await self._claim(ids)
        except PostludeError:
            runner.reconciler.arise()  # the claim may have been made
            raise
        finally:
            if reserved:
                runner.decline(len(ids))
        await runner.wait_for(runner.accept(claimed.claims))
        return claimed.refused

    async def _claim(self, ids: Sequence[bytes]) -> Claimed:
        runner = self._runner
        number = runner.number
        reply = self._store.claim(number, len(ids), suspect=runner.wants_suspect, ids=ids)
        claimed = await asyncio.shield(_answer(reply))
        if any(one.why is Refusal.BURIED for one in claimed.refused):
            # Its lease had run out: it joins again, and whoever leads publishes these jobs again.
            await self._store.withdraw(ALL, ids)
        return claimed


async def _answer(reply: object) -> Claimed:
    answer: Claimed = await reply  # type: ignore[misc]
    return answer
