"""What a job takes on disk, and a process in memory: `python -m bench.sizing`.

Each figure is of a process of its own. Disk is what a journal in SQLite has grown by, folded and closed,
divided by its jobs. Memory is the resident set of the process and its children, each page that several have
counted once (`Pss`), while all that it runs is held.
"""

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from bench.table import pairs_table
from postlude import Config, Postlude, Retry

logger = logging.getLogger("bench.sizing")
GATE: Final = threading.Event()
DOORS: Final[list[asyncio.Event]] = []
PATIENCE: Final = 120.0


def nothing(number: int) -> None:
    """Return at once."""


def takes(text: str) -> None:
    """Return at once."""


def logs(number: int) -> None:
    """Log ten lines of 60 characters."""
    for line in range(10):
        logger.info("%060d", line)


def fails(number: int) -> None:
    """Fail some frames deep."""
    _deeper(10)


def _deeper(left: int) -> None:
    if not left:
        raise ValueError("the partner has answered 500")
    _deeper(left - 1)


async def waits(number: int) -> None:
    """Stay until the process ends."""
    await DOORS[0].wait()


def blocks(number: int) -> None:
    """Stay in a thread until the process ends."""
    GATE.wait(PATIENCE)


def computes(number: int) -> int:
    """Run in a process of its own."""
    return number


DISK: Final[dict[str, tuple[Callable[..., Any], Any, int, dict[str, Any]]]] = {
    "a job that succeeded": (nothing, 7, 20_000, {}),
    "with 1,000 characters of arguments": (takes, "x" * 1000, 10_000, {}),
    "with 10 log lines of 60 characters": (logs, 7, 5_000, {}),
    "a job that failed, with its traceback": (fails, 7, 5_000, {}),
    "a job that waits": (nothing, 7, 20_000, {"delay": 86_400}),
}
MEMORY: Final = (
    "FastAPI alone",
    "with a Postlude that is idle",
    "with 100,000 jobs that wait",
    "with 1,000 async jobs that run",
    "with 40 sync jobs that run",
    'with a process of run="process", both together',
)


async def _all_ended(postlude: Postlude) -> None:
    until = perf_counter() + PATIENCE
    while any(queue.ready or queue.blocked or queue.running for queue in await postlude.queues()):
        assert perf_counter() < until, "the jobs have not ended"
        await asyncio.sleep(0.05)


async def _disk(name: str, store: str, size: Callable[[], int]) -> float:
    """Return the bytes of a job in a journal, of which `size` tells the bytes when it is closed."""
    function, argument, jobs, options = DISK[name]
    postlude = Postlude(store=store, packages=["bench"])
    logging.getLogger("bench.sizing").setLevel(logging.INFO)
    task = postlude.task(retry=Retry(attempts=1))(function)
    await postlude.open()
    await postlude.close()
    empty = size()
    await postlude.open()
    await postlude.start()
    await postlude.add_tasks(task.using(**options).call(argument) for _ in range(jobs))
    if not options:
        await _all_ended(postlude)
    await postlude.close()
    return (size() - empty) / jobs


def _on_disk(name: str, server: str) -> float:
    if server:
        return asyncio.run(_disk(name, server, lambda: _in_postgres(server)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        return asyncio.run(_disk(name, f"sqlite:///{path}", lambda: path.stat().st_size))


def _in_postgres(server: str) -> int:
    """Return the bytes of all tables and indexes, as they are: with what waits to be cleaned up."""
    import psycopg  # here: the memory of a process that has no journal there is measured too

    with psycopg.connect(server) as db:
        row = db.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'postlude'::regnamespace"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _memory() -> float:
    """Return the MiB that this process and its children have."""
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(_own())], capture_output=True, text=True, check=False
    ).stdout.split()
    total = 0
    for pid in ("self", *children):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
        except OSError:  # it has ended: `ps` itself
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def _own() -> int:
    return int(Path("/proc/self").resolve().name)


async def _held(name: str) -> float:
    """Return the MiB of a process in this case."""
    import fastapi

    app = fastapi.FastAPI()

    @app.get("/")
    async def root() -> dict[str, str]:
        return {}

    app.openapi()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        postlude = Postlude(app, store=f"sqlite:///{path}", packages=["bench"], config=Config(grace=0))
        await postlude.open()
        await postlude.start()
        DOORS.append(asyncio.Event())
        if name == MEMORY[2]:
            task = postlude.task(nothing).using(delay=86_400)
            await postlude.add_tasks(task.call(number) for number in range(100_000))
        if name in MEMORY[3:5]:
            function, jobs = (waits, 1000) if name == MEMORY[3] else (blocks, 40)
            await postlude.add_tasks(postlude.task(function).call(number) for number in range(jobs))
            until = perf_counter() + PATIENCE
            while sum(queue.running for queue in await postlude.queues()) < jobs:
                assert perf_counter() < until, "the jobs do not run"
                await asyncio.sleep(0.05)
        if name == MEMORY[5]:
            job = await postlude.add_task(postlude.task(run="process")(computes), 7)
            await job.result(timeout=PATIENCE)
        found = _memory()
        GATE.set()
        DOORS[0].set()
        await postlude.close()
        return found


ALONE: Final = """
import asyncio, re, fastapi
app = fastapi.FastAPI()
@app.get("/")
async def root() -> dict[str, str]: ...
app.openapi()
print(int(re.search(r"Pss: *([0-9]+)", open("/proc/self/smaps_rollup").read())[1]) / 1024)
"""
"""A process without Postlude, not even imported."""


def _measured(name: str, server: str = "") -> float:
    asked = ["-c", ALONE] if name == MEMORY[0] else ["-m", "bench.sizing", "--one", name, "--server", server]
    told = subprocess.run([sys.executable, *asked], capture_output=True, text=True, check=True)
    return float(json.loads(told.stdout.splitlines()[-1]))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizing", description=__doc__.partition(":")[0])
    parser.add_argument("--postgres", action="store_true", help="also a journal in a server of its own")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--server", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        on_disk = asked.one in DISK
        print(_on_disk(asked.one, asked.server) if on_disk else asyncio.run(_held(asked.one)))
        return
    print(pairs_table("on disk, bytes a job", {name: round(_measured(name)) for name in DISK}))
    if asked.postgres:
        from bench.postgres.server import MeasuredServer

        found = {}
        for name in DISK:
            with closing(MeasuredServer()) as server:
                found[name] = round(_measured(name, server.url))
        print(f"\n{pairs_table('in PostgreSQL', found)}")
    print(f"\n{pairs_table('in memory, MiB', {name: round(_measured(name), 1) for name in MEMORY})}")


if __name__ == "__main__":
    main()
