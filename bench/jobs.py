"""One measurement of the journal and the runner, without a web server.

    python -m bench.jobs throughput|policy|depends|fill|drain JOURNAL JOBS

JOURNAL is a file, or the URL of another store. Prints one line of JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

from bench.machine import resident
from bench.tasks import nothing, nothing_more, nothing_with_session, seen
from postlude import Exponential, Postlude, Retry
from postlude.tasks.call import Call

Figures = dict[str, float]

TURNS = 10


async def throughput(journal: str, jobs: int) -> Figures:
    """Add jobs, and wait until the journal has the end of each."""
    app, postlude = _application(journal)
    call = postlude.task(nothing).call
    async with lifespan(app):
        began, cpu = time.perf_counter(), time.process_time()
        await postlude.add_tasks(call() for _ in range(jobs))
        added = time.perf_counter()
        await _until_succeeded(postlude, jobs)
        ended = time.perf_counter()
        cpu = time.process_time() - cpu
    return {
        "per_second": jobs / (ended - began),
        "added_per_second": jobs / (added - began),
        "cpu": cpu / jobs,
    }


async def policy(journal: str, jobs: int) -> Figures:
    """Plain jobs and jobs with retry, timeout, key and priority set, in turns; seconds a job of each."""
    app, postlude = _application(journal)
    plain = postlude.task(nothing)
    with_policy = postlude.task(
        nothing_more, retry=Retry(attempts=8, backoff=Exponential(first=1, most=300)), timeout=30, priority=5
    )
    async with lifespan(app):
        return await _compared(
            postlude,
            jobs,
            plain=lambda number: plain.call(),
            policy=lambda number: with_policy.using(key=f"job:{number}").call(),
        )


async def depends(journal: str, jobs: int) -> Figures:
    """Jobs of a task without dependencies and of one with a `yield` dependency, in turns."""
    app, postlude = _application(journal)
    plain = postlude.task(nothing)
    injected = postlude.task(nothing_with_session)
    async with lifespan(app):
        return await _compared(
            postlude,
            jobs,
            plain=lambda number: plain.call(),
            depends=lambda number: injected.call(),
        )


async def _compared(postlude: Postlude, jobs: int, **kinds: Callable[[int], Call]) -> Figures:
    """Measure each kind in many short turns, so that the machine's moods meet all of them alike."""
    spent = dict.fromkeys(kinds, 0.0)
    part = jobs // TURNS
    done = 0
    for turn in range(TURNS + 1):
        for kind, call in kinds.items():
            began = time.perf_counter()
            await postlude.add_tasks(call(turn * part + number) for number in range(part))
            done += part
            while seen.done < done:
                await asyncio.sleep(0)
            await _until_succeeded(postlude, done)
            if turn:  # the first turn is for warming up
                spent[kind] += time.perf_counter() - began
    return {kind: seconds / (part * TURNS) for kind, seconds in spent.items()}


async def fill(journal: str, jobs: int) -> Figures:
    """Store jobs without a runner that would claim them."""
    _, postlude = _application(journal)
    call = postlude.task(nothing).call
    await postlude.open()
    began = time.perf_counter()
    await postlude.add_tasks(call() for _ in range(jobs))
    ended = time.perf_counter()
    await postlude.close()
    return {"seconds": ended - began}


async def drain(journal: str, jobs: int) -> Figures:
    """Start on what waits, and measure until this many jobs have ended."""
    app, postlude = _application(journal)
    postlude.task(nothing)
    before = most = resident()
    began = time.perf_counter()
    async with lifespan(app):
        first = await _first_job(began)
        started = time.perf_counter()
        early = done = await _succeeded(postlude)
        until = early + jobs - seen.done  # in a small journal, the last of these is the last of all
        while done < until:
            most = max(most, resident())
            await asyncio.sleep(0.02)
            done = await _succeeded(postlude)
        per_second = (done - early) / (time.perf_counter() - started)
    return {"first": first, "per_second": per_second, "before": before, "most": most}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start and end an application as a server does."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, to_app.get, from_app.put))
    for event in ("startup", "shutdown"):
        await to_app.put({"type": f"lifespan.{event}"})
        answer = await from_app.get()
        if answer["type"] != f"lifespan.{event}.complete":
            raise RuntimeError(answer)
        if event == "startup":
            yield
    await running


def _application(journal: str) -> tuple[FastAPI, Postlude]:
    app = FastAPI()
    return app, Postlude(app, store=journal if "://" in journal else f"sqlite:///{journal}")


async def _first_job(began: float) -> float:
    while not seen.done:
        await asyncio.sleep(0.001)
    return time.perf_counter() - began


async def _until_succeeded(postlude: Postlude, jobs: int) -> None:
    while await _succeeded(postlude) < jobs:
        await asyncio.sleep(0.01)


async def _succeeded(postlude: Postlude) -> int:
    return sum(entry.jobs for entry in await postlude.inspector.counts() if entry.state == "succeeded")


def main() -> None:
    """Run from the command line."""
    work, journal, jobs = sys.argv[1:]
    measures: dict[str, Any] = {
        "throughput": throughput,
        "policy": policy,
        "depends": depends,
        "fill": fill,
        "drain": drain,
    }
    measure = measures[work]
    print(json.dumps(asyncio.run(measure(journal, int(jobs)))))


if __name__ == "__main__":
    main()
