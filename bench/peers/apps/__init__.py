"""The same small application, once for each system; each runs in that system's environment alone.

A module has `application()`, which makes the web application, `fill(count)`, which adds jobs without it,
and `left()`, which tells how many jobs the system still holds. What it has to know comes by the environment:
`PEERS_URL` (its broker or database), `PEERS_DURABLE` (1: the settings that its documentation has for not
losing jobs), `PEERS_CONCURRENCY`, and what `bench.peers.record` reads.
"""

import inspect
import itertools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

URL = os.environ.get("PEERS_URL", "")
DURABLE = os.environ.get("PEERS_DURABLE") == "1"
CONCURRENCY = int(os.environ.get("PEERS_CONCURRENCY", "0"))
"""How many jobs the worker runs at once; 0: as many as it does by default."""

numbers = itertools.count(int(os.environ.get("PEERS_FIRST", "0")))
"""What the jobs of this process are called by."""


def application(
    add: Callable[[int, float], Any],
    start: Callable[[], Awaitable[Any]] | None = None,
    stop: Callable[[], Awaitable[Any]] | None = None,
) -> FastAPI:
    """Return an application whose one route adds one job.

    Args:
        add: how. An async function is called by an async route, a plain one by a plain route, in a thread, as
            FastAPI's documentation asks for what blocks.
        start: awaited before requests.
        stop: awaited after them.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if start is not None:
            await start()
        yield
        if stop is not None:
            await stop()

    app = FastAPI(lifespan=lifespan)

    async def add_async() -> dict[str, int]:
        number = next(numbers)
        await add(number, time.monotonic())
        return {"number": number}

    def add_blocking() -> dict[str, int]:
        number = next(numbers)
        add(number, time.monotonic())
        return {"number": number}

    app.post("/add")(add_async if inspect.iscoroutinefunction(add) else add_blocking)
    return app
