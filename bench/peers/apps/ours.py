"""Postlude: on SQLite, on PostgreSQL, and with Celery's workers on a journal in PostgreSQL.

`PEERS_URL` is the journal's; `PEERS_BROKER`, where there is one, is RabbitMQ's.
"""

import asyncio
import os
import time
from functools import partial

from fastapi import BackgroundTasks, FastAPI

from bench.peers.apps import CONCURRENCY, URL, numbers
from bench.peers.record import async_job, job
from postlude import CeleryEngine, Config, Postlude

_broker = os.environ.get("PEERS_BROKER")
engine = CeleryEngine(_broker) if _broker else None
app = FastAPI()
config = Config(loop_slots=CONCURRENCY) if CONCURRENCY else None
postlude = Postlude(app, store=URL, queues={"default": engine} if engine else None, config=config)
task = job if engine else async_job


@app.post("/add")
async def add(tasks: BackgroundTasks) -> dict[str, int]:
    """Add one."""
    number = next(numbers)
    tasks.add_task(task, number, time.monotonic())
    return {"number": number}


def application() -> FastAPI:
    """Return the application."""
    return app


def fill(count: int) -> None:
    """Add so many."""

    async def add_all() -> None:
        now = time.monotonic()
        for first in range(0, count, 1000):
            some = range(first, min(first + 1000, count))
            await postlude.add_tasks([partial(task, number, now) for number in some])
        await postlude.close()

    asyncio.run(add_all())


def left() -> int:
    """Return how many have not ended."""

    async def ask() -> int:
        found = await postlude.queues()
        await postlude.close()
        return sum(one.ready + one.scheduled + one.blocked + one.running + one.parked for one in found)

    return asyncio.run(ask())
