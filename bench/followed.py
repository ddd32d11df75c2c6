"""What `bench.following` serves: jobs that wait until they are let go, and their events."""

import asyncio
import os

from fastapi import FastAPI

from postlude import Postlude, current_job

QUEUE = "followed"
STEPS = 3

app = FastAPI()
postlude = Postlude(app, packages=["bench"])
app.include_router(postlude.router(prefix="/jobs"))


@postlude.task(queue=QUEUE)
async def steps() -> int:
    """Say how far it is, a few times."""
    for step in range(STEPS):
        await current_job().progress(step + 1, STEPS, "steps")
        await asyncio.sleep(0.1)
    return STEPS


@app.post("/jobs")
async def add(jobs: int) -> list[str]:
    """Add jobs that wait; returns their ids."""
    await postlude.pause(QUEUE)
    return [job.id for job in await postlude.add_tasks(steps.call() for _ in range(jobs))]


@app.post("/go")
async def go() -> None:
    """Let them run."""
    await postlude.resume(QUEUE)


@app.get("/pid")
async def pid() -> int:
    """Say which process has answered."""
    return os.getpid()
