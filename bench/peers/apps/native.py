"""FastAPI's own BackgroundTasks."""

import time

from fastapi import BackgroundTasks, FastAPI

from bench.peers.apps import numbers
from bench.peers.record import async_job


def application() -> FastAPI:
    """Return the application."""
    app = FastAPI()

    @app.post("/add")
    async def add(tasks: BackgroundTasks) -> dict[str, int]:
        number = next(numbers)
        tasks.add_task(async_job, number, time.monotonic())
        return {"number": number}

    return app


def left() -> int:
    """Return how many it holds when its process has died."""
    return 0
