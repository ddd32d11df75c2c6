"""Two processes on one journal: add to start by LISTEN and by looking, both at rest, and what NOTIFY costs.

    python -m bench.postgres.between run URL LISTENS
    python -m bench.postgres.between add URL LISTENS JOBS EVERY
    python -m bench.postgres.between clients URL LISTENS SECONDS

The parts that are processes of their own; `python -m bench.postgres between` starts them.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg

from bench.load import quantile
from bench.postgres.server import MeasuredServer
from postlude import Postlude
from postlude.model.job import NewJob
from postlude.stores.postgres import PostgresStore

ROOT: Final = Path(__file__).parents[2]
CLIENTS: Final = 8
PATIENCE: Final = 60.0


def note(added: float) -> None:
    """Say how long ago this job was added: the clock is the machine's."""
    sys.stdout.write(f"{time.monotonic() - added}\n")
    sys.stdout.flush()


def _postlude(url: str, listens: bool) -> Postlude:
    return Postlude(store=PostgresStore(url, listens=listens), packages=["bench"])


async def _run(url: str, listens: bool) -> None:
    postlude = _postlude(url, listens)
    await postlude.open()
    await postlude.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    await postlude.drain()
    await postlude.close()


def _add(url: str, listens: bool, jobs: int, every: float) -> None:
    from bench.postgres import between

    postlude = _postlude(url, listens)
    began = time.monotonic() + 0.5
    for number in range(jobs):
        time.sleep(max(0.0, began + number * every - time.monotonic()))
        postlude.blocking.add_task(between.note, time.monotonic())


def _clients(url: str, listens: bool, seconds: float) -> None:
    """Let eight threads add one by one, each with a store of its own, as eight processes would."""
    stores = [PostgresStore(url, listens=listens) for _ in range(CLIENTS)]
    for store in stores:
        store.open()
    added = [0] * CLIENTS
    until = time.monotonic() + seconds

    def client(place: int) -> None:
        while time.monotonic() < until:
            now = time.time_ns()
            id = (now // 1_000_000).to_bytes(6) + os.urandom(10)
            job = NewJob(id, "bench.tasks:nothing", "default", b'{"a":[],"k":{}}', now // 1000)
            stores[place].add([job]).wait(PATIENCE)
            added[place] += 1

    threads = [threading.Thread(target=client, args=[place]) for place in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    sys.stdout.write(f"{sum(added) / seconds}\n")


def measured(server: MeasuredServer, jobs: int, rest: float, rounds: int) -> dict[str, Any]:
    """Measure all three."""
    found: dict[str, Any] = {}
    for name, listens in (("LISTEN", "1"), ("looking", "0")):
        _fresh(server)
        runner = _start("run", server.url, listens)
        assert runner.stdout is not None
        assert runner.stdout.readline() == "ready\n"
        subprocess.run(_command("add", server.url, listens, str(jobs), "0.02"), cwd=ROOT, check=True)
        time.sleep(1)
        before, began = _cpu(runner.pid), time.monotonic()
        time.sleep(rest)
        share = 100 * (_cpu(runner.pid) - before) / (time.monotonic() - began)
        output, _ = runner.communicate("\n", timeout=60)
        delays = sorted(float(line) * 1000 for line in output.split())
        found[name] = {
            "jobs": len(delays),
            "add to start, p50 ms": round(quantile(delays, 0.5), 2),
            "add to start, p99 ms": round(quantile(delays, 0.99), 2),
            "at rest, % of a core": round(share, 2),
        }
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        pair: dict[str, float] = {}
        for listens in ("1", "0") if number % 2 else ("0", "1"):
            _fresh(server)
            command = _command("clients", server.url, listens, "4")
            ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
            pair[listens] = float(ended.stdout)
        pairs.append((pair["1"], pair["0"]))
    found["eight clients, adds a second"] = {
        "with LISTEN": round(median(on for on, _ in pairs)),
        "without": round(median(off for _, off in pairs)),
        "share in the same round, median": round(median(on / off for on, off in pairs), 3),
        "rounds": sorted(round(on / off, 2) for on, off in pairs),
    }
    return found


def _fresh(server: MeasuredServer) -> None:
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS postlude CASCADE")
        db.execute("CHECKPOINT")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bench.postgres.between", *arguments]


def _start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        _command(*arguments), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Be one of the processes."""
    part, url, listens, *rest = sys.argv[1:]
    if part == "run":
        asyncio.run(_run(url, listens == "1"))
    elif part == "add":
        _add(url, listens == "1", int(rest[0]), float(rest[1]))
    else:
        _clients(url, listens == "1", float(rest[0]))


if __name__ == "__main__":
    main()
