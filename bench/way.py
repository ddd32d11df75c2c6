"""One job's way through the modules: `python -m bench.way`.

A task function, FastAPI's own parameter, SQLite, in an idle process. Counted are the calls of Postlude's
functions from the request to the written end, on the loop and in the writer's thread, the modules that they
enter, and how often a call is of another module than the call before it in its thread.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

from fastapi import BackgroundTasks, FastAPI

import postlude as package
from postlude import Postlude

ROOT: Final = str(Path(package.__file__).parent) + "/"
WRITER: Final = "postlude-writer"
QUIET: Final = 0.1
"""Seconds after the end of a job in which what it leaves behind is done."""

TRIES: Final = 9
"""Jobs that are counted. The shortest way is shown: housekeeping comes between on others."""

WRITTEN: Final = "Finisher._taken"
"""What is called last: a way without it was cut off."""

WARM: Final = 20
"""Jobs that run before one is counted: what is done once in a process is no part of the way."""


class Call(NamedTuple):
    """A call of one of Postlude's functions."""

    module: str
    function: str


class Way:
    """The calls that were made, by thread, in order."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = {"loop": [], WRITER: []}

    def number(self, *threads: str) -> int:
        """Return how many calls these threads have made."""
        return sum(len(self.calls[thread]) for thread in threads)

    def modules(self, *threads: str) -> set[str]:
        """Return which modules these threads have entered."""
        return {call.module for thread in threads for call in self.calls[thread]}

    def changes(self, *threads: str) -> list[tuple[str, str]]:
        """Return from which module to which other one each change of module goes."""
        return [
            (before.module, after.module)
            for thread in threads
            for before, after in pairwise(self.calls[thread])
            if before.module != after.module
        ]


_THREADS: Final = {"MainThread": "loop", WRITER: WRITER}

_way: Way | None = None
"""The one that is walked now."""


def _note(frame: FrameType, event: str, _: Any) -> None:
    if _way is None or event != "call" or not frame.f_code.co_filename.startswith(ROOT):
        return
    calls = _way.calls.get(_THREADS.get(threading.current_thread().name, ""))
    if calls is not None:
        calls.append(Call(frame.f_code.co_filename.removeprefix(ROOT), frame.f_code.co_qualname))


@contextmanager
def walked() -> Iterator[Way]:
    """Note all calls that are made meanwhile."""
    global _way
    _way = way = Way()
    try:
        yield way
    finally:
        _way = None


async def task() -> None:
    """The job."""


def application(journal: Path) -> FastAPI:
    """Return one route that adds one job."""
    app = FastAPI()
    Postlude(app, store=f"sqlite:///{journal}").task(task)

    @app.post("/")
    async def add(background_tasks: BackgroundTasks) -> dict[str, str]:
        background_tasks.add_task(task)
        return {}

    return app


async def served(app: FastAPI, watch: Callable[[Any], Any]) -> Way:
    """Serve the application, in process, and return the way of one of its jobs."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started = asyncio.Event()

    async def told(message: Any) -> None:
        started.set()

    lifespan = asyncio.create_task(app({"type": "lifespan", "asgi": {}, "state": {}}, inbox.get, told))
    inbox.put_nowait({"type": "lifespan.startup"})
    await started.wait()
    for _ in range(WARM):
        await _request(app)
        await asyncio.sleep(QUIET / 5)
    watch(_note)
    ways: list[Way] = []
    for _ in range(TRIES):
        await asyncio.sleep(QUIET)
        with walked() as way:
            await _request(app)
            await asyncio.sleep(QUIET)
        ways.append(way)
    watch(None)
    inbox.put_nowait({"type": "lifespan.shutdown"})
    await lifespan
    whole = [way for way in ways if any(call.function == WRITTEN for call in way.calls["loop"])]
    return min(whole, key=lambda way: way.number("loop", WRITER))


async def _request(app: FastAPI) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)


def main() -> None:
    """Print what one job took; with `--calls`, call by call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", action="store_true", help="list all calls, in order")
    options = parser.parse_args()
    threading.setprofile(_note)  # before the writer's thread begins
    with tempfile.TemporaryDirectory() as folder:
        way = asyncio.run(served(application(Path(folder) / "journal.db"), sys.setprofile))
    for title, threads in (("on the loop", ["loop"]), ("with the writer's thread", ["loop", WRITER])):
        modules, changes = way.modules(*threads), way.changes(*threads)
        sums = f"{len(modules)} modules, {way.number(*threads)} calls, {len(changes)} changes of module"
        print(f"{title}: {sums}")
    pairs = Counter(tuple(sorted(change)) for change in way.changes("loop", WRITER))
    for (one, other), number in pairs.most_common():
        print(f"{number:4} {one} - {other}")
    if options.calls:
        for thread, calls in way.calls.items():
            print(f"\n{thread}")
            for call in calls:
                print(f"  {call.module:40} {call.function}")


if __name__ == "__main__":
    main()
