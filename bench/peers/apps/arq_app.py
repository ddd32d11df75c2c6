"""ARQ, with Redis."""

import asyncio
import time
from typing import Any

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.constants import default_queue_name

from bench.peers.apps import CONCURRENCY, DURABLE, URL
from bench.peers.apps import application as made
from bench.peers.record import async_job

_pools: list[ArqRedis] = []


async def job(ctx: dict[str, Any], number: int, added: float) -> None:
    """Be the measured job."""
    await async_job(number, added)


class WorkerSettings:
    """What its worker reads."""

    functions = (job,)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = CONCURRENCY or 10
    job_timeout = 5 if DURABLE else 300


async def _start() -> None:
    _pools.append(await create_pool(WorkerSettings.redis_settings))


async def add(number: int, added: float) -> None:
    """Add one."""
    await _pools[0].enqueue_job("job", number, added)


def application() -> Any:
    """Return the application."""
    return made(add, _start)


def fill(count: int) -> None:
    """Add so many."""

    async def add_all() -> None:
        await _start()
        now = time.monotonic()
        for number in range(count):
            await add(number, now)

    asyncio.run(add_all())


def left() -> int:
    """Return how many wait or were begun and have not ended."""

    async def ask() -> int:
        await _start()
        return int(await _pools[0].zcard(default_queue_name))

    return asyncio.run(ask())
