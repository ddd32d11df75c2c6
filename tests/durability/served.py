"""The application under test, served by a real server in a process of its own."""

import asyncio
import json
import logging
import os
import time
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from fastapi import FastAPI

from postlude import Local, Postlude
from postlude.config import Config
from postlude.fastapi import BackgroundTasks
from tests.durability.faults import arm
from tests.durability.witness import Witness

logging.basicConfig(level=logging.INFO)

VARIABLE: Final = "DURABILITY"
ARENA: Final[dict[str, Any]] = json.loads(os.environ[VARIABLE])
FOLDER: Final = Path(ARENA["folder"])

app = FastAPI()
_delivery = ARENA["config"].pop("delivery", "at_least_once")
_run = ARENA["config"].pop("run", "everywhere")
_config = Config(**ARENA["config"])
postlude = Postlude(
    app, store=ARENA["store"], config=_config, delivery=_delivery, queues={"default": Local(run=_run)}
)
arm(ARENA["faults"], ARENA["store"])

_witnesses: dict[int, Witness] = {}


def note(kind: Any, token: str) -> None:
    """Write to the file of this process, which may be a fork of the one that imported this."""
    pid = os.getpid()
    if pid not in _witnesses:
        _witnesses[pid] = Witness(FOLDER)
    _witnesses[pid].note(kind, token)


async def noop(token: str) -> None:
    note("start", token)
    note("end", token)


async def nap(token: str, seconds: float = 0.004) -> None:
    note("start", token)
    await asyncio.sleep(seconds)
    note("end", token)


def work(token: str, seconds: float = 0.002) -> None:
    note("start", token)
    time.sleep(seconds)
    note("end", token)


@postlude.task
async def declared(token: str, seconds: float = 0.0) -> None:
    note("start", token)
    await asyncio.sleep(seconds)
    note("end", token)


@postlude.task
async def block(token: str, seconds: float) -> None:
    """Block the event loop, as one must not."""
    note("start", token)
    time.sleep(seconds)
    note("end", token)


@postlude.task
async def die(token: str, how: str) -> None:
    """Take the process along."""
    note("start", token)
    if how == "exit":
        os._exit(1)
    os.abort()


async def stale(token: str, seconds: float, loser: int) -> None:
    """Fail in one process, succeed in any other."""
    note("start", token)
    await asyncio.sleep(seconds)
    note("end", token)
    if os.getpid() == loser:
        raise RuntimeError("the end of a run that was taken over")


ERRORS: Final[dict[str, BaseException]] = {
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "CancelledError": asyncio.CancelledError(),
    "GeneratorExit": GeneratorExit(),
    "ExceptionGroup": ExceptionGroup("two", [ValueError("one"), KeyError("other")]),
    "BaseExceptionGroup": BaseExceptionGroup("two", [SystemExit(4), KeyboardInterrupt()]),
}


async def raise_async(token: str, error: str) -> None:
    note("start", token)
    raise ERRORS[error]


def raise_sync(token: str, error: str) -> None:
    note("start", token)
    raise ERRORS[error]


@app.get("/ping")
def ping() -> int:
    return os.getpid()


@app.get("/threads")
async def threads() -> float:
    """How many of the threads that serve endpoints are taken."""
    return anyio.to_thread.current_default_thread_limiter().borrowed_tokens


@app.post("/jobs/noop/{token}")
async def add_noop(token: str, tasks: BackgroundTasks) -> int:
    tasks.add_task(noop, token)
    return os.getpid()


@app.post("/jobs/nap/{token}")
async def add_nap(token: str, tasks: BackgroundTasks, seconds: float = 0.004) -> int:
    tasks.add_task(nap, token, seconds)
    return os.getpid()


@app.post("/jobs/sync/{token}")
def add_work(token: str, tasks: BackgroundTasks, seconds: float = 0.002) -> int:
    tasks.add_task(work, token, seconds)
    return os.getpid()


@app.post("/jobs/declared/{token}")
async def add_declared(token: str, tasks: BackgroundTasks, seconds: float = 0.0) -> int:
    tasks.add_task(declared, token, seconds)
    return os.getpid()


@app.post("/jobs/later/{token}")
async def add_later(token: str, tasks: BackgroundTasks, delay: float) -> int:
    tasks.add_task(declared.using(delay=delay), token)
    return os.getpid()


@app.post("/jobs/several/{token}")
async def add_several(token: str, tasks: BackgroundTasks) -> int:
    tasks.add_task(noop, f"{token}.0")
    tasks.add_task(work, f"{token}.1")
    tasks.add_task(nap, f"{token}.2")
    return os.getpid()


@app.post("/jobs/blocked/{token}")
async def add_blocked(token: str, tasks: BackgroundTasks, seconds: float, behind: int) -> int:
    tasks.add_task(block, token, seconds)
    for number in range(behind):
        tasks.add_task(declared, f"{token}.{number}")
    return os.getpid()


@app.post("/jobs/die/{token}")
async def add_die(token: str, tasks: BackgroundTasks, how: str) -> int:
    tasks.add_task(die, token, how)
    return os.getpid()


@app.post("/jobs/stale/{token}")
async def add_stale(token: str, tasks: BackgroundTasks, seconds: float) -> int:
    tasks.add_task(stale, token, seconds, os.getpid())
    return os.getpid()


@app.post("/jobs/raise/{token}")
async def add_raise(token: str, tasks: BackgroundTasks, error: str, sync: bool) -> int:
    tasks.add_task(raise_sync if sync else raise_async, token, error)
    return os.getpid()
