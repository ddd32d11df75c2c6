"""An application whose journal is in PostgreSQL; where, `POSTLUDE_STORE` says."""

import asyncio
import os
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI

from postlude import Config, Postlude

app = FastAPI()
postlude = Postlude(app, config=Config(lease=3, renew_every=1))
RAN = Path(os.environ["RAN"])


async def work(number: int) -> None:
    await asyncio.sleep(0.02)
    with RAN.open("a") as out:
        out.write(f"{number}\n")


async def dies(seconds: float) -> None:
    await asyncio.sleep(seconds)
    os.kill(os.getpid(), 9)


@app.post("/deaths/{seconds}")
async def add_death(seconds: float, tasks: BackgroundTasks) -> None:
    tasks.add_task(dies, seconds)


@app.post("/jobs/{number}")
async def add(number: int, tasks: BackgroundTasks) -> int:
    tasks.add_task(work, number)
    return os.getpid()
