"""Taskiq, with streams of Redis: the broker of its documentation that acknowledges."""

import asyncio
import time
from typing import Any

from taskiq_redis import RedisStreamBroker

from bench.peers.apps import DURABLE, URL
from bench.peers.apps import application as made
from bench.peers.record import async_job

broker: Any = RedisStreamBroker(URL, **({"idle_timeout": 5000} if DURABLE else {}))
task: Any = broker.task(task_name="job")(async_job)


async def add(number: int, added: float) -> None:
    """Add one."""
    await task.kiq(number, added)


def application() -> Any:
    """Return the application."""
    return made(add, broker.startup, broker.shutdown)


def fill(count: int) -> None:
    """Add so many."""

    async def add_all() -> None:
        await broker.startup()
        now = time.monotonic()
        for number in range(count):
            await add(number, now)
        await broker.shutdown()

    asyncio.run(add_all())


def left() -> int:
    """Return how many its group has not been given, or not acknowledged."""
    import redis

    client: Any = redis.Redis.from_url(URL)
    try:
        groups = client.xinfo_groups("taskiq")
    except redis.ResponseError:
        return 0
    return sum(int(group["pending"]) + int(group["lag"] or 0) for group in groups)
