"""How fast a system is: jobs drained, latency, requests; one round of one system at a time."""

import json
import subprocess
import sys
import time
from typing import Any, Final

from bench.load import quantile
from bench.peers import record
from bench.peers.environment import ROOT
from bench.peers.running import Running, Servers
from bench.peers.systems import System

CONNECTIONS: Final = 32
RATE: Final = 50.0
"""Jobs a second while latency is measured."""

DRAINS_WITHIN: Final = 60.0


def measured(system: System, mode: str, servers: Servers, seconds: float) -> dict[str, float]:
    """Return the figures of one round.

    Args:
        system: which.
        mode: `default` or `durable`.
        servers: where its servers come from.
        seconds: of each measurement.
    """
    found: dict[str, float] = {}
    with Running(system, mode, servers) as running:
        if system.worker:
            running.fill(system.jobs)
            running.start_worker()
            found["drain"] = _drained(running, system.jobs)
            if system.in_process:
                running.kill_worker()
        running.start_web(first=system.jobs, core=0)
        if mode == "default" and system.name != "none":
            _load(running, 4, 0.3, RATE)  # connections, caches
            time.sleep(0.2)
            found |= _latency(running, seconds)
        running.kill_worker()
        _load(running, CONNECTIONS, seconds / 3)
        found["web"] = _load(running, CONNECTIONS, seconds)["per_second"]
    return found


def _drained(running: Running, jobs: int) -> float:
    """Return jobs a second, without the first tenth, in which the worker begins."""
    running.wait_for(jobs, DRAINS_WITHIN)
    return rate(record.read(running.record).ended)


def rate(ended: list[float]) -> float:
    """Return how many ends there were a second, from the end of the first tenth on."""
    times = sorted(ended)
    tenth = len(times) // 10
    return (len(times) - 1 - tenth) / (times[-1] - times[tenth])


def _latency(running: Running, seconds: float) -> dict[str, float]:
    before = {number for number, _ in record.read(running.record).waits}
    sent = _load(running, 4, seconds, RATE)["requests"]
    until = time.monotonic() + 20
    while True:
        waits = [wait * 1000 for number, wait in record.read(running.record).waits if number not in before]
        if len(waits) >= sent:
            break
        if time.monotonic() > until:
            raise RuntimeError(
                f"{running.system.name}: {sent - len(waits)} jobs have not started\n{running.said()}"
            )
        time.sleep(0.05)
    waits.sort()
    return {"p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99)}


def _load(
    running: Running, connections: int, seconds: float, per_second: float | None = None
) -> dict[str, Any]:
    words = [str(running.port), "/add", str(connections), str(seconds)]
    ended = subprocess.run(
        [sys.executable, "-m", "bench.load", *words, *([str(per_second)] if per_second else [])],
        cwd=ROOT, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(ended.stdout)
    if found["errors"]:
        raise RuntimeError(f"{running.system.name}: {found['errors']} requests failed\n{running.said()}")
    return found
