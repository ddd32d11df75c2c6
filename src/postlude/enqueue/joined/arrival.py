"""Waiting for a job that is committed, and that an outbox has which the journal has not.

Whoever asks for it by its id a moment after the commit is to be told of it, in this process or another.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

from postlude.errors import JournalUnavailable
from postlude.model.ids import id_text
from postlude.stores.protocol import Reading

FIRST_PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.2
"""Seconds between looks whether a job has been taken over."""


class Outbox(Protocol):
    """A table in which jobs wait; see `postlude.enqueue.joined.outbox`."""

    async def has(self, id: bytes) -> bool:
        """Whether a job waits there. Raises what the driver does."""
        ...

    def announce(self) -> None:
        """Have it looked there now."""
        ...


async def arrival(outboxes: Iterable[Outbox], store: Reading, id: bytes, budget: float) -> None:
    """Return when the journal has a job, or no outbox has it.

    Args:
        outboxes: where it may wait.
        store: the journal.
        id: the job's.
        budget: seconds that this takes at most.

    Raises:
        JournalUnavailable: it still waits in an outbox then, or an outbox cannot be asked.
    """
    if await store.get(id) is not None:
        return
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + budget, FIRST_PAUSE
    for outbox in outboxes:
        while await _has(outbox, id, until - loop.time()):
            if loop.time() >= until:
                raise JournalUnavailable(f"job {id_text(id)} is committed, and waits in the outbox")
            outbox.announce()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _has(outbox: Outbox, id: bytes, seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(seconds, FIRST_PAUSE)):
            return await outbox.has(id)
    except Exception as error:  # the driver's, the pool's, or time is up: nobody knows, and no 404 says so
        raise JournalUnavailable(f"the outbox cannot be asked for job {id_text(id)}: {error!r}") from error
