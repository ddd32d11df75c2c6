"""One variant of the measured application, served on one core.

    python -m bench.server FD VARIANT LOOP HTTP JOURNAL

The routes are the same in all variants; what differs is what they add, and who keeps it.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import uvicorn
from fastapi import BackgroundTasks, FastAPI

from bench.bare import Bare
from bench.machine import pin, resident
from bench.tasks import compute, note_wait, nothing, nothing_in_a_thread, seen

VARIANTS = ("none", "native", "bare", "postlude-memory", "postlude-sqlite")
ON_POSTGRES = ("bare-postgres", "postlude-postgres")
"""Those whose journal is a URL."""


def build(variant: str, journal: str) -> FastAPI:
    """Return the application of one variant."""
    app = FastAPI()
    if variant == "none":
        app.post("/async")(add_nothing)
        app.post("/sync")(add_nothing)
    elif variant == "bare":
        app.post("/async")(add_barely(Bare(journal)))
    elif variant == "bare-postgres":
        from bench.postgres.bare import BarePostgres

        app.post("/async")(add_barely(BarePostgres(journal)))
    else:
        app.post("/async")(add_async)
        app.post("/sync")(add_sync)
        app.post("/wait")(add_wait)
        app.post("/compute")(add_compute)
    app.post("/ping")(add_nothing)
    app.get("/report")(report)
    if variant.startswith("postlude-"):
        from postlude import Postlude

        stores = {"postlude-memory": "memory", "postlude-postgres": journal}
        Postlude(app, store=stores.get(variant, f"sqlite:///{journal}"))
    return app


async def add_nothing() -> dict[str, str]:
    """The route without a task."""
    return {"status": "ok"}


async def add_async(background_tasks: BackgroundTasks) -> dict[str, str]:
    """The same with an async task."""
    background_tasks.add_task(nothing)
    return {"status": "ok"}


def add_barely(bare: Bare) -> Callable[[BackgroundTasks], Awaitable[dict[str, str]]]:
    """Return the same with an async task that the least code there can be makes durable."""

    async def add_bare(background_tasks: BackgroundTasks) -> dict[str, str]:
        stored = await bare.store("bench.tasks:nothing")
        background_tasks.add_task(bare.run, stored, nothing)
        return {"status": "ok"}

    return add_bare


async def add_sync(background_tasks: BackgroundTasks) -> dict[str, str]:
    """The same with a plain task."""
    background_tasks.add_task(nothing_in_a_thread)
    return {"status": "ok"}


async def add_wait(background_tasks: BackgroundTasks) -> dict[str, str]:
    """The same with a task that notes when it was started."""
    background_tasks.add_task(note_wait, time.perf_counter())
    return {"status": "ok"}


async def add_compute(seconds: float, background_tasks: BackgroundTasks) -> dict[str, str]:
    """The same with a plain task that computes for so many seconds."""
    background_tasks.add_task(compute, seconds)
    return {"status": "ok"}


async def report() -> dict[str, Any]:
    """How many jobs this process has run, the waits noted since the last report, and its memory."""
    # The count is never set back: jobs in threads add to it meanwhile.
    waits, seen.waits = seen.waits, []
    return {"done": seen.done, "waits": waits, "resident": resident()}


def main() -> None:
    """Serve until the parent's end of the pipe is closed."""
    pin(0)
    fd, variant, loop, http, journal = sys.argv[1:]
    listening = socket.socket(fileno=int(fd))
    kind: Literal["asyncio", "uvloop"] = "uvloop" if loop == "uvloop" else "asyncio"
    parser: Literal["h11", "httptools"] = "httptools" if http == "httptools" else "h11"
    config = uvicorn.Config(
        build(variant, journal), loop=kind, http=parser, access_log=False, log_level="warning"
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_end_with_parent, args=[server], daemon=True).start()
    server.run(sockets=[listening])


def _end_with_parent(server: uvicorn.Server) -> None:
    os.read(0, 1)
    server.should_exit = True


if __name__ == "__main__":
    main()
