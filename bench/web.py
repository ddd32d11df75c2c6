"""The web measurements: one server process per variant, all alive, measured in turn.

How the memory of a process happens to lie makes up to 6 % of its rate, for as long as it lives. So where
rates are compared, each round has processes of its own.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import quantile
from bench.server import ON_POSTGRES

ROOT = Path(__file__).parents[1]
WARM = 1.5
"""Seconds of load before rates are measured: a journal's log grows until it is folded for the first time, and
a file that grows costs the disk more than one that is written again."""

SETTLE = 120.0
"""Seconds that a server may take to run the jobs that a round has left behind."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    variants: Sequence[str]
    rounds: int
    seconds: float
    loop: str
    http: str
    journals: Path
    url: str = ""
    """Of the database that `ON_POSTGRES` use."""
    fresh: Callable[[], None] = lambda: None
    """Called before each round that has new journals."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running variant."""

    variant: str
    port: int
    process: "subprocess.Popen[bytes]"

    def report(self) -> Figures:
        """Ask what its jobs have done."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/report", timeout=30) as answer:
            found: Figures = json.load(answer)
            return found

    def load(self, path: str, connections: int, seconds: float, rate: float | None = None) -> Figures:
        """Put it under load from another process, and wait until every job of that load has run."""
        before = self.report()["done"]
        found = self._offer(path, connections, seconds, rate)
        return found | self.settle(before if self.variant == "none" else before + found["requests"])

    def load_beside(self, path: str, seconds: float) -> Figures:
        """Ask one route that adds nothing, again and again, while a job computes in a thread."""
        before = self.report()["done"]
        # The load generator takes its time to start, and must end before the job does.
        computing = f"http://127.0.0.1:{self.port}/compute?seconds={seconds + 2}"
        urllib.request.urlopen(urllib.request.Request(computing, method="POST"), timeout=30).close()
        found = self._offer(path, 1, seconds, None)
        if self.report()["done"] != before:
            raise RuntimeError(f"{self.variant}: the computing job ended before the measurement")
        self.settle(before + 1)
        return found

    def _offer(self, path: str, connections: int, seconds: float, rate: float | None) -> Figures:
        command = [sys.executable, "-m", "bench.load", str(self.port), path, str(connections), str(seconds)]
        ended = subprocess.run(
            command + ([str(rate)] if rate else []), cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        found: Figures = json.loads(ended.stdout)
        if found["errors"]:
            raise RuntimeError(f"{self.variant}: {found['errors']} requests failed")
        return found

    def settle(self, until: int) -> Figures:
        """Wait until so many jobs have run in this server's life."""
        began = time.perf_counter()
        waits: list[float] = []
        while True:
            seen = self.report()
            waits += seen["waits"]
            if seen["done"] >= until:
                break
            if time.perf_counter() - began > SETTLE:
                raise RuntimeError(f"{self.variant}: {until - seen['done']} jobs have not run")
            time.sleep(0.02)
        return {"settled": round(time.perf_counter() - began, 3), "waits": sorted(waits)}


@contextmanager
def servers(plan: Plan) -> Iterator[list[Server]]:
    """Start all variants, and stop them at the end."""
    with ExitStack() as stack:
        running = [stack.enter_context(_serve(variant, plan)) for variant in plan.variants]
        for server in running:
            server.load("/async", 8, 0.5)  # warm: imports, caches
        yield running


@contextmanager
def _serve(variant: str, plan: Plan) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        journal = plan.url if variant in ON_POSTGRES else plan.journals / f"{variant}.db"
        command = [
            sys.executable,
            "-m",
            "bench.server",
            str(listening.fileno()),
            variant,
            plan.loop,
            plan.http,
            str(journal),
        ]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, pass_fds=[listening.fileno()])
        try:
            yield Server(variant, listening.getsockname()[1], process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def memory(running: Sequence[Server]) -> Figures:
    """MiB that each server holds."""
    return {server.variant: round(server.report()["resident"], 1) for server in running}


def saturated(plan: Plan, path: str) -> Figures:
    """Requests a second and latencies at 32 connections, with new servers and journals in each round."""
    taken: dict[str, list[Figures]] = {variant: [] for variant in plan.variants}
    for number in range(plan.rounds):
        journals = plan.journals / f"{path.strip('/')}{number}"
        journals.mkdir()
        plan.fresh()
        with servers(replace(plan, journals=journals)) as running:
            for server in running:
                server.load(path, 32, WARM)
            for server in running if number % 2 == 0 else reversed(running):
                taken[server.variant].append(server.load(path, 32, plan.seconds))
    return _summary(taken, "per_second", "p50", "p99", "worst", "settled")


def one_connection(running: Sequence[Server], plan: Plan) -> Figures:
    """Latency with one connection, where nothing is gathered."""
    return _summary(
        _rounds(running, plan, lambda server: server.load("/async", 1, plan.seconds)), "p50", "p99"
    )


def add_to_start(running: Sequence[Server], plan: Plan) -> Figures:
    """Milliseconds from `add_task` to the job's first line, at 50 requests a second."""

    def measure(server: Server) -> Figures:
        waits = [wait * 1000 for wait in server.load("/wait", 4, plan.seconds * 2, 50)["waits"]]
        return {"p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99), "worst": waits[-1]}

    return _summary(_rounds(_with_tasks(running), plan, measure), "p50", "p99", "worst")


def beside(running: Sequence[Server], plan: Plan) -> Figures:
    """Latency of a route that adds nothing, while one plain job computes in a thread of its server."""
    taken = _rounds(_with_tasks(running), plan, lambda server: server.load_beside("/ping", plan.seconds))
    return _summary(taken, "p50", "p99", "worst")


def _with_tasks(running: Sequence[Server]) -> list[Server]:
    return [server for server in running if server.variant not in ("none", "bare", "bare-postgres")]


def _rounds(
    running: Sequence[Server], plan: Plan, measure: Callable[[Server], Figures]
) -> dict[str, list[Figures]]:
    """Measure A B C D, A B C D, ...: whatever the machine does meanwhile, it does to all of them."""
    taken: dict[str, list[Figures]] = {server.variant: [] for server in running}
    for _ in range(plan.rounds):
        for server in running:
            taken[server.variant].append(measure(server))
    return taken


def _summary(taken: dict[str, list[Figures]], *names: str) -> Figures:
    """Return medians, and the median of each round's ratio to native in that round."""
    native = taken.get("native")
    found: Figures = {}
    for variant, rounds in taken.items():
        entry: Figures = {name: round(median(one[name] for one in rounds), 3) for name in names}
        if native and variant != "native":
            entry["to_native"] = {
                name: round(
                    median(ours[name] / theirs[name] for ours, theirs in zip(rounds, native, strict=True)), 3
                )
                for name in names
                if all(theirs[name] for theirs in native)
            }
        entry["rounds"] = [{name: one[name] for name in names} for one in rounds]
        found[variant] = entry
    return found
