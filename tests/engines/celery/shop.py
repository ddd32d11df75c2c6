"""An application of which Celery's workers run a queue; what its jobs do is written to a file."""

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI

from postlude import CeleryEngine, Config, Postlude, Retry, current_job
from postlude.model.retry import Fixed

FOLDER = Path(os.environ["SHOP_FOLDER"])
CONFIG = Config(reap_every=0.3, poll_every=0.1, grace=5.0)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.sleep(float(os.environ.get("SHOP_STARTS_FOR", "0")))
    app.state.loop = asyncio.get_running_loop()
    app.state.opened = True
    yield
    say("closed", 0)


app = FastAPI(lifespan=lifespan)
postlude = Postlude(
    app,
    store=os.environ["SHOP_STORE"],
    config=CONFIG,
    queues={"reports": CeleryEngine(os.environ["SHOP_BROKER"])},
)
celery_app = postlude.components.queues["reports"].app  # type: ignore[attr-defined]


def say(what: str, number: int) -> None:
    """Note something, whole lines from many processes."""
    line = f"{time.time():.6f} {os.getpid()} {threading.get_ident()} {what} {number}\n"
    with (FOLDER / "said").open("a") as file:
        file.write(line)


@postlude.task(queue="reports")
def note(number: int) -> int:
    say("begins", number)
    say("ends", number)
    return 2 * number


@postlude.task(queue="reports")
def takes(number: int, seconds: float) -> int:
    say("begins", number)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.02)
    say("ends", number)
    return number


async def session() -> AsyncIterator[Any]:
    """A resource of the loop that the lifespan has."""
    lock = asyncio.Lock()
    async with lock:
        yield app.state.loop


@postlude.task(queue="reports")
async def on_loop(number: int, loop: Any = Depends(session)) -> int:
    assert loop is asyncio.get_running_loop(), "another loop"
    say("begins", number)
    await asyncio.sleep(0)
    await current_job().progress(1, 1, "done")
    say("ends", number)
    return number


@postlude.task(queue="reports", retry=Retry(3, Fixed(0.1)))
async def flaky(number: int) -> int:
    say("begins", number)
    if current_job().attempt < 2:
        raise ValueError(number)
    say("ends", number)
    return number


@postlude.task(queue="reports")
def poison(number: int) -> None:
    say("begins", number)
    ctypes.string_at(0)


@postlude.task(queue="reports")
def hungry(number: int) -> None:
    """Takes all the memory that there is."""
    say("begins", number)
    os.kill(os.getpid(), 9)
