"""Running a Postlude without a server, and waiting for what its jobs become."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from postlude import Config, Job, Postlude
from postlude.jobs.inspector import JobStatus
from postlude.model.state import State

T = TypeVar("T")

EVERY_STORE = pytest.mark.parametrize(
    "location", ["memory", pytest.param("sqlite:///jobs.db", id="sqlite", marks=pytest.mark.disk)]
)

EAGER = Config(poll_every=0.01)
"""What another attempt waits for comes soon."""


@asynccontextmanager
async def serving(*postludes: Postlude) -> AsyncIterator[None]:
    """Do what the lifespan does; at the end, what was claimed has run."""
    for postlude in postludes:
        await postlude.open()
        await postlude.start()
    try:
        yield
    finally:
        for postlude in postludes:
            await postlude.drain()
            await postlude.close()


PATIENCE = 10.0
"""Seconds until a wait is given up."""


async def becomes(postlude: Postlude, job: Job[Any], state: State, patience: float = PATIENCE) -> JobStatus:
    """Return a job once it is in a state."""

    async def look() -> JobStatus | None:
        status = await postlude.inspector.get(job.id)
        return status if status.state is state else None

    return await eventually(look, patience)


async def eventually(look: Callable[[], Awaitable[T | None]], patience: float = PATIENCE) -> T:
    async with asyncio.timeout(patience):
        while True:
            seen = await look()
            if seen is not None:
                return seen
            await asyncio.sleep(0.005)
