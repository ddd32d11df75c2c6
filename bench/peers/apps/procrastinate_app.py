"""Procrastinate, with PostgreSQL."""

import asyncio
import time
from typing import Any

import procrastinate

from bench.peers.apps import DURABLE, URL
from bench.peers.apps import application as made
from bench.peers.record import async_job

_alive: Any = {"update_heartbeat_interval": 2.0, "stalled_worker_timeout": 6.0} if DURABLE else {}
app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=URL, min_size=4, max_size=16), worker_defaults=_alive
)
task: Any = app.task(name="job")(async_job)

if DURABLE:
    # Its documentation's "Retry stalled jobs", more often.
    @app.periodic(cron="* * * * * */5")
    @app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
    async def retry_stalled_jobs(context: Any, timestamp: int) -> None:
        """Put back what dead workers have left."""
        for stalled in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=6):
            await app.job_manager.retry_job(stalled)


async def _start() -> None:
    await app.open_async()


async def add(number: int, added: float) -> None:
    """Add one."""
    await task.defer_async(number=number, added=added)


def application() -> Any:
    """Return the application."""
    return made(add, _start, app.close_async)


def prepare() -> None:
    """Make its tables."""

    async def make() -> None:
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    asyncio.run(make())


def fill(count: int) -> None:
    """Add so many."""

    async def add_all() -> None:
        now = time.monotonic()
        async with app.open_async():
            for first in range(0, count, 1000):
                some = range(first, min(first + 1000, count))
                await task.batch_defer_async(*({"number": number, "added": now} for number in some))

    asyncio.run(add_all())


def left() -> int:
    """Return how many wait or are being done."""

    async def ask() -> int:
        async with app.open_async():
            states = ("todo", "doing")
            return sum(
                [
                    len(list(await app.job_manager.list_jobs_async(task="job", status=state)))
                    for state in states
                ]
            )

    return asyncio.run(ask())
