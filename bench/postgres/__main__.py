"""Measure a journal in PostgreSQL on a server of its own: `python -m bench.postgres`."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.machine import description
from bench.postgres import between, throughput, web
from bench.postgres.server import MeasuredServer
from bench.table import web_table

ROOT: Final = Path(__file__).parents[2]
SCENARIOS: Final = ("throughput", "backlog", "held", "web", "between")


def main() -> None:
    """Run what the command line asks for, and print it."""
    options = _options()
    print(f"load average {os.getloadavg()[0]:.1f}, {description()['cores']} cores", flush=True)
    server = MeasuredServer()
    try:
        for scenario in options.scenarios:
            if scenario == "web":
                found = web.saturated(server, options.rounds, options.seconds)
                print(
                    web_table(
                        "async no-op job, 32 connections (to native)", found, ("per_second", "p50", "p99")
                    )
                )
                print("to the floor, round by round:", found["postlude-postgres"]["to_floor"])
            else:
                print(scenario, json.dumps(_measured(scenario, server, options), indent=1))
            sys.stdout.flush()
    finally:
        server.close()


def _measured(scenario: str, server: MeasuredServer, options: argparse.Namespace) -> dict[str, Any]:
    if scenario == "throughput":
        return throughput.measured(server, options.jobs, options.rounds, options.procrastinate)
    if scenario == "between":
        return between.measured(server, options.latencies, options.rest, options.rounds)
    if scenario == "backlog":
        return _against_empty(
            server, options.backlog, held=False, seconds=options.claims, rounds=options.rounds
        )
    return _against_empty(server, 0, held=True, seconds=options.held, rounds=1)


def _against_empty(
    server: MeasuredServer, waiting: int, held: bool, seconds: float, rounds: int
) -> dict[str, Any]:
    """Claims on an empty table and then in the harder case, on one core each time."""
    pairs = []
    for number in range(rounds):
        empty = _claims(server, f"empty{number}", 0, False, min(seconds, 60.0))
        hard = _claims(server, f"hard{number}", waiting, held, seconds)
        pairs.append((empty, hard))
    return {
        "empty": pairs[-1][0],
        "held" if held else f"{waiting:,} waiting": pairs[-1][1],
        "times, p50": round(median(hard["claim"]["p50"] / empty["claim"]["p50"] for empty, hard in pairs), 2),
        "times, p99": round(median(hard["claim"]["p99"] / empty["claim"]["p99"] for empty, hard in pairs), 2),
    }


def _claims(server: MeasuredServer, schema: str, waiting: int, held: bool, seconds: float) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "bench.postgres.claims",
        server.url,
        schema,
        str(waiting),
        str(int(held)),
    ]
    ended = subprocess.run([*command, str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.postgres", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; default all"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each web measurement in a round")
    parser.add_argument("--jobs", type=int, default=30_000, help="of each round of throughput")
    parser.add_argument(
        "--procrastinate", default="", metavar="PYTHON", help="of an environment of its own that has it"
    )
    parser.add_argument("--backlog", type=int, default=1_000_000)
    parser.add_argument("--claims", type=float, default=20.0, help="seconds of claims beside a backlog")
    parser.add_argument("--held", type=float, default=300.0, help="seconds that a transaction is held open")
    parser.add_argument("--latencies", type=int, default=500, help="jobs between two processes")
    parser.add_argument("--rest", type=float, default=20.0, help="seconds that the CPU at rest is measured")
    options = parser.parse_args()
    options.scenarios = options.scenarios or SCENARIOS
    if unknown := set(options.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    main()
