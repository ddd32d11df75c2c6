"""Jobs a second from add to finished, in turns with the floor and, more seldom, with Procrastinate."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg

from bench.postgres.server import MeasuredServer

ROOT: Final = Path(__file__).parents[2]
FEWER: Final = 10
"""Procrastinate is given so many times fewer jobs: each is several statements there."""


def measured(server: MeasuredServer, jobs: int, rounds: int, elsewhere: str = "") -> dict[str, Any]:
    """Measure each in turn, on empty tables.

    Args:
        server: where.
        jobs: of each round; of Procrastinate's, fewer.
        rounds: how many.
        elsewhere: the Python of an environment that has Procrastinate; by default, this one, if it has.
    """
    taken: dict[str, list[dict[str, float]]] = {"floor": [], "postlude": []}
    if not elsewhere and importlib.util.find_spec("procrastinate") is not None:
        elsewhere = sys.executable
    for _ in range(rounds):
        taken["floor"].append(_run(server, jobs, "bench.postgres.floor", server.url))
        taken["postlude"].append(_run(server, jobs, "bench.jobs", "throughput", server.url))
        if elsewhere:
            module = "bench.postgres.procrastinate"
            one = _run(server, jobs // FEWER, module, server.url, python=elsewhere)
            taken.setdefault("procrastinate", []).append(one)
    found: dict[str, Any] = {
        name: {key: round(median(one[key] for one in each), 1) for key in each[0]}
        for name, each in taken.items()
    }
    shares = [
        ours["jobs a second"] / floor["jobs a second"]
        for ours, floor in zip(taken["postlude"], taken["floor"], strict=True)
    ]
    found["postlude"]["of the floor in the same round, median"] = round(median(shares), 2)
    found["postlude"]["rounds"] = sorted(round(share, 2) for share in shares)
    if not elsewhere:
        found["procrastinate"] = {"left out": "pip install -r requirements/bench.txt"}
    return found


def _run(
    server: MeasuredServer, jobs: int, module: str, *arguments: str, python: str = sys.executable
) -> dict[str, float]:
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS postlude, floor, procrastinate CASCADE")
        db.execute("CHECKPOINT")
    before = server.cpu()
    command = [python, "-m", module, *arguments, str(jobs)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])
    return {
        "jobs a second": found["per_second"],
        "added a second": found["added_per_second"],
        "its processor, us a job": found["cpu"] * 1e6,
        "the server's processor, us a job": (server.cpu() - before) / jobs * 1e6,
    }
