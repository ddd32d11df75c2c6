"""Tasks that do not end when they should, and note how far they are."""

import asyncio
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI

from postlude import Config, Fixed, Postlude, Retry, raise_if_cancelled
from postlude.runner.executors.process import inside
from tests.durability.occupancy import Logbook

logging.basicConfig(level=logging.INFO)

ARENA: Final[dict[str, Any]] = json.loads(os.environ["DURABILITY"])

app = FastAPI()
postlude = Postlude(app, store=f"sqlite:///{ARENA['journal']}", config=Config(**ARENA["config"]))
logbook = Logbook(Path(ARENA["folder"]))
never = threading.Event()

ONCE: Final = Retry(attempts=1)


@postlude.task(retry=ONCE)
async def deaf(token: str) -> None:
    """Ignore that it is cancelled."""
    logbook.note("come", "deaf", token)
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            logbook.note("told", "deaf", token)


@postlude.task(retry=ONCE)
async def waits(token: str) -> None:
    with logbook.stay("waits", token):
        await asyncio.sleep(3600)


@postlude.task(retry=ONCE)
async def quick(token: str) -> None:
    with logbook.stay("quick", token):
        pass


@postlude.task(retry=ONCE)
def hang(token: str) -> None:
    logbook.note("come", "hang", token)
    never.wait()


@postlude.task(retry=ONCE)
def quick_sync(token: str) -> None:
    with logbook.stay("quick_sync", token):
        pass


@postlude.task(retry=ONCE)
def looks(token: str, every: float = 0.01) -> None:
    """Stop where it asks whether it should."""
    with logbook.stay("looks", token):
        while True:
            time.sleep(every)
            raise_if_cancelled()


@postlude.task(retry=ONCE)
def looks_when_told(token: str, file: str) -> None:
    """Ask whether it should stop when a file is there, and not before."""
    with logbook.stay("looks", token):
        while not os.path.exists(file):
            time.sleep(0.01)
        raise_if_cancelled()


async def get_nothing() -> None:
    return None


@postlude.task(retry=ONCE)
def looks_when_told_injected(
    token: str, file: str, nothing: Annotated[None, Depends(get_nothing)] = None
) -> None:
    looks_when_told(token, file)


@postlude.task(retry=ONCE)
def hang_injected(token: str, nothing: Annotated[None, Depends(get_nothing)] = None) -> None:
    logbook.note("come", "hang", token)
    never.wait()


@postlude.task(retry=ONCE)
def quick_injected(token: str, nothing: Annotated[None, Depends(get_nothing)] = None) -> None:
    with logbook.stay("quick_injected", token):
        pass


@postlude.task(run="process", retry=ONCE)
def compute(token: str) -> None:
    assert inside()
    logbook.note("come", "compute", token)
    while True:
        pass


@postlude.task(run="process", retry=ONCE)
def quick_process(token: str) -> None:
    with logbook.stay("quick_process", token):
        pass


@postlude.task(retry=Retry(attempts=1000, backoff=Fixed(0.2)))
async def fails(token: str) -> None:
    with logbook.stay("fails", token):
        raise ValueError("as always")


@postlude.task(retry=Retry(attempts=3, backoff=Fixed(0.05)), timeout=0.2)
async def slow_thrice(token: str) -> None:
    with logbook.stay("slow_thrice", token):
        await asyncio.sleep(3600)
