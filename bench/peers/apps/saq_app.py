"""SAQ, with Redis."""

import asyncio
import time
from typing import Any

from saq import Queue

from bench.peers.apps import CONCURRENCY, DURABLE, URL
from bench.peers.apps import application as made
from bench.peers.record import async_job

queue: Any = Queue.from_url(URL)
_options: dict[str, Any] = {"retries": 5} if DURABLE else {}


async def job(ctx: Any, *, number: int, added: float) -> None:
    """Be the measured job."""
    await async_job(number, added)


settings: dict[str, Any] = {
    "queue": queue,
    "functions": [job],
    "concurrency": CONCURRENCY or 10,
    **({"timers": {"sweep": 5}} if DURABLE else {}),
}


async def add(number: int, added: float) -> None:
    """Add one."""
    await queue.enqueue("job", number=number, added=added, **_options)


def application() -> Any:
    """Return the application."""
    return made(add, queue.connect, queue.disconnect)


def fill(count: int) -> None:
    """Add so many."""

    async def add_all() -> None:
        await queue.connect()
        now = time.monotonic()
        for number in range(count):
            await add(number, now)
        await queue.disconnect()

    asyncio.run(add_all())


def left() -> int:
    """Return how many have not ended."""

    async def ask() -> int:
        await queue.connect()
        found = int(await queue.count("incomplete"))
        await queue.disconnect()
        return found

    return asyncio.run(ask())
