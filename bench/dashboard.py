"""Pages of the dashboard over a million jobs, and what it costs the application that ten people look:
`python -m bench.dashboard`, `python -m bench.dashboard --postgres URL`, `python -m bench.dashboard looking`.

A page is asked for as a browser asks, in this process and without a network, with nothing kept from the page
before but minutes that are over. Times are of the processor, in all threads: what else runs on the machine
has no part in them. Of PostgreSQL they are of the clock, since its own processes work too. `looking` adds
jobs in rounds, in turn with nobody looking and with ten pages open, and compares pairs: jobs for each second
of the processor.
"""

import argparse
import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from bench.million import fill
from postlude import Access, Postlude
from postlude.clock import SystemClock
from postlude.dashboard.alone import StoreDesk
from postlude.dashboard.app import Dashboard
from postlude.dashboard.site import Look
from postlude.model.job import JobFilter
from postlude.model.state import State
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore

INDEXED: Final = 100.0
SEARCHED: Final = 150.0
"""Milliseconds that 95 of 100 answers may take."""

TIMES: Final = 20

LOOKED_AT: Final = (
    "/", "/jobs", "/jobs", "/jobs?q=state:failed", "/failures", "/tasks", "/", "/processes", "/jobs", "/",
)  # fmt: skip
"""What ten people have open."""

PAGES: Final = {
    "Now": ("", INDEXED),
    "Now, 7 days": ("?span=7d", INDEXED),
    "Failures": ("failures", INDEXED),
    "Failures, all": ("failures?span=all", INDEXED),
    "Jobs": ("jobs", INDEXED),
    "Jobs, failed": ("jobs?q=state:failed", INDEXED),
    "Jobs, running": ("jobs?q=state:running", INDEXED),
    "Jobs, by key": ("jobs?q=key:key:500", INDEXED),
    "Jobs, of a task": ("jobs?q=task:task_3", SEARCHED),
    "Jobs, of a rare task": ("jobs?q=task:rare", SEARCHED),
    "Jobs, of a queue, queued": ("jobs?q=queue:mail+state:queued", SEARCHED),
    "Jobs, by owner": ("jobs?q=owner:owner7", SEARCHED),
    "Jobs, by an argument": ("jobs?q=tenant:t7", SEARCHED),
    "Jobs, by an error that is none": ("jobs?q=state:failed+error:never", SEARCHED),
    "Jobs, an hour long ago": ("jobs?q=since:80d+until:79d", SEARCHED),
    "Tasks": ("tasks", INDEXED),
    "Tasks, 7 days": ("tasks?span=7d", INDEXED),
    "One task": ("tasks/one?name=shop:task_3", INDEXED),
    "Schedules": ("schedules", INDEXED),
    "Processes": ("processes", INDEXED),
    "Audit": ("audit", INDEXED),
}


async def ask(request: Any) -> Access:
    """Let everybody look."""
    return Access.admin("bench")


async def pages_of(store: Store) -> dict[str, tuple[str, float]]:
    """Return the pages, with those of one job and of one group."""
    failed = await store.page(JobFilter(states=(State.FAILED,), limit=1))
    group = (await store.groups())[0]
    params = httpx.QueryParams({"task": group.task, "kind": group.kind, "place": group.place})
    return {
        **PAGES,
        "One job": (f"jobs/{failed[0].id.hex()}", INDEXED),
        "One group": (f"failures/group?{params}", INDEXED),
    }


async def measure(store: Store, clock: Callable[[], float]) -> bool:
    """Ask for each page, and print what that takes; returns whether all is within bounds."""
    desk = StoreDesk(store)
    app = Dashboard(lambda: desk, ask, Look("bench"))
    good = True
    async with browser(app) as client:
        await client.get("/jobs")
        for name, (path, most) in (await pages_of(store)).items():
            taken: list[float] = []
            for _ in range(TIMES + 1):
                app.forget()
                began = clock()
                answer = await client.get(f"/{path}")
                taken.append((clock() - began) * 1000)
                assert answer.status_code == 200, (path, answer.status_code)
            found = sorted(taken[1:])
            high = found[math.ceil(0.95 * len(found)) - 1]
            good &= high <= most
            told = f"first {taken[0]:6.1f}  p50 {median(found):6.1f}  p95 {high:6.1f} ms  of {most:.0f}"
            print(f"{name:32} {told}{'' if high <= most else '  TOO LONG'}", flush=True)
    return good


@asynccontextmanager
async def browser(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Give what asks an application without a network."""
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def nothing() -> None:
    """Be the task that is added."""


async def looking(rounds: int, seconds: float) -> float:
    """Add jobs, in turn with nobody and with ten who look; returns the median loss of pairs, as a share."""
    losses: list[float] = []
    for number in range(rounds + 1):
        order = (0, 10) if number % 2 else (10, 0)
        pair = [(people, await _round(people, seconds)) for people in order]
        alone, watched = (rate for _, rate in sorted(pair))
        if number:
            losses.append(1 - watched / alone)
            told = f"{watched:8.0f} with ten who look  {losses[-1]:+.1%}"
            print(f"{alone:8.0f} jobs/s alone  {told}", flush=True)
    return median(losses)


async def _round(people: int, seconds: float) -> float:
    """Return how many jobs are added in a second of the processor's, into a journal of its own."""
    with TemporaryDirectory() as folder:
        postlude = Postlude(store=f"sqlite:///{folder}/looking.db", packages=["bench"])
        task = postlude.task(nothing)
        await postlude.open()
        await postlude.start()
        app = postlude.dashboard(auth=lambda request: Access.admin("bench"))
        lookers = [asyncio.create_task(_look(app, path)) for path in LOOKED_AT[:people]]
        try:
            await _add(postlude, task, 2.0)
            began = time.process_time()
            return await _add(postlude, task, seconds) / (time.process_time() - began)
        finally:
            for each in lookers:
                each.cancel()
            await asyncio.gather(*lookers, return_exceptions=True)
            await postlude.drain()
            await postlude.close()


async def _add(postlude: Postlude, task: Any, seconds: float) -> int:
    """Add jobs for a while; returns how many."""
    until = time.perf_counter() + seconds

    async def add() -> int:
        added = 0
        while time.perf_counter() < until:
            await postlude.add_task(task)
            added += 1
        return added

    return sum(await asyncio.gather(*(add() for _ in range(32))))


async def _look(app: Any, path: str) -> None:
    """Do what the script of a page does."""
    tag = ""
    async with browser(app) as client:
        while True:
            began = time.perf_counter()
            answer = await client.get(path, headers={"If-None-Match": tag} if tag else {})
            tag = answer.headers["etag"]
            pause = max(2.0, float(answer.headers["Postlude-Poll"]), (time.perf_counter() - began) * 20)
            await asyncio.sleep(pause)


def main() -> None:
    """Run from the command line; exits with 1 if something takes longer than it may."""
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__.partition(":")[0])
    parser.add_argument("what", nargs="?", choices=["pages", "looking"], default="pages")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--journal", type=Path, help="a journal of bench.million; made if it is missing")
    parser.add_argument("--postgres", help="a journal there that has the jobs already")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=12.0, help="of a round")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        if asked.what == "looking":
            loss = asyncio.run(looking(asked.rounds, asked.seconds))
            print(f"median of {asked.rounds} pairs: {loss:+.1%}, of 5 %")
            raise SystemExit(loss > 0.05)
        store: Store
        if asked.postgres:
            from postlude.stores.postgres import PostgresStore

            store = PostgresStore(asked.postgres)
        else:
            path = asked.journal or Path(folder) / "million.db"
            if not path.exists():
                fill(path, asked.jobs)
            store = SqliteStore(path, clock=SystemClock())
        store.open()
        try:
            good = asyncio.run(measure(store, time.perf_counter if asked.postgres else time.process_time))
        finally:
            store.close()
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
