"""An engine of a page: a thread that is told of jobs by their ids, and runs these."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue

from postlude import JournalUnavailable, Limit, Rate
from postlude.engines.protocol import Run


class Toy:
    """Runs its queues in one thread, message after message; those of one message beside each other."""

    here = False
    concurrency = None
    promise: float | None = 5.0

    def __init__(self, limit: Limit | None = None, rate: Rate | None = None) -> None:
        self.limit = limit
        self.rate = rate
        self._inbox: SimpleQueue[Sequence[bytes] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def publish(self, queue: str, ids: Sequence[bytes]) -> None:
        if self._thread is not None:
            self._inbox.put(ids)

    async def start(self, run: Run) -> None:
        self._inbox = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, args=(self._inbox, run), daemon=True)
        self._thread.start()

    async def stop(self, grace: float) -> None:
        thread = self._thread
        self.abandon()
        if thread is not None:
            await asyncio.to_thread(thread.join, grace)

    def abandon(self) -> None:
        self._thread = None
        self._inbox.put(None)

    def _serve(self, inbox: SimpleQueue[Sequence[bytes] | None], run: Run) -> None:
        while (ids := inbox.get()) is not None:
            if self._thread is not None:
                with suppress(JournalUnavailable):  # it is told again
                    asyncio.run(_awaited(run, ids))


async def _awaited(run: Run, ids: Sequence[bytes]) -> None:
    await run(ids)
