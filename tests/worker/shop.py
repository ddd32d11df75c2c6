"""An application whose jobs note what they do; where its journal is, `POSTLUDE_STORE` says."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import psycopg
from fastapi import Depends, FastAPI, Request

from postlude import Config, Local, Postlude, injected
from postlude.stores.postgres import PostgresStore, listening

SETTINGS: Final[dict[str, Any]] = json.loads(os.environ["SHOP"])
FOLDER: Final = Path(SETTINGS["folder"])


def note(what: str, token: object) -> None:
    """Write a line of this process's own: when, what, and of which job."""
    with (FOLDER / f"{os.getpid()}.notes").open("a") as out:
        out.write(f"{time.monotonic_ns()} {what} {token}\n")


def refuse(*_: object) -> NoReturn:
    raise psycopg.OperationalError("nobody may LISTEN here")


if SETTINGS.get("deaf"):  # as behind a pooler that hands each transaction another connection
    vars(listening)["connect"] = refuse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    note("opens", "-")
    if SETTINGS.get("broken") == "start":
        raise RuntimeError("the pool cannot be opened")
    yield {"pool": "open"}
    note("closes", "-")


app = FastAPI(lifespan=lifespan)
if SETTINGS.get("by_lease"):  # locks are no sign of a death here
    postlude = Postlude(
        app,
        store=PostgresStore(os.environ.pop("POSTLUDE_STORE"), free_for=1e9),
        config=Config(**SETTINGS.get("config", {})),
    )
else:
    postlude = Postlude(
        app,
        config=Config(**SETTINGS.get("config", {})),
        queues={"mail": Local(run="workers")},
    )


def pool_of(request: Request) -> str:
    return str(request.state.pool)


@postlude.task
async def send(
    token: str, seconds: float = 0.0, *, pool: Annotated[str, Depends(pool_of)] = injected
) -> None:
    """Take some time."""
    note("starts", token)
    await asyncio.sleep(seconds)
    note(f"ends-{pool}", token)


@postlude.task
async def noop(token: str) -> None:
    note("starts", token)


@postlude.task
def block(token: str, seconds: float) -> None:
    """Take some time in a thread, which nothing ends."""
    note("starts", token)
    time.sleep(seconds)
    note("ends", token)


@postlude.task
async def again(token: str, seconds: float) -> int:
    """Take some time at the first run, and none later; return which it was."""
    try:
        (FOLDER / f"{token}.first").touch(exist_ok=False)
    except FileExistsError:
        note("starts", token)
        return 2
    note("starts", token)
    await asyncio.sleep(seconds)
    note("wakes", token)
    return 1


@postlude.task
def spawn(token: str, seconds: float) -> None:
    """Start a program that outlives nobody."""
    program = subprocess.Popen(["sleep", str(seconds)])
    note(f"child-{program.pid}", token)
    program.wait()


@postlude.task
def orphan(token: str) -> None:
    """Start a program whose parent ends before it does."""
    shell = subprocess.run(["sh", "-c", "sleep 1 & echo $!"], stdout=subprocess.PIPE, text=True, check=True)
    note(f"orphan-{shell.stdout.strip()}", token)
