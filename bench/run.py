"""Measure Postlude beside FastAPI's own background tasks: `make bench`."""

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import journal, web
from bench.machine import description
from bench.server import VARIANTS
from bench.table import pairs_table, web_table

RESULTS = Path(__file__).parent / "results"
SCENARIOS = ("async", "sync", "one", "start", "beside", "throughput", "policy", "depends", "backlog")


def main() -> None:
    """Run what the command line asks for, print tables and write the results as JSON."""
    options = _options()
    RESULTS.mkdir(exist_ok=True)
    # Beside the results, because a temporary directory may be in memory, where fsync costs nothing.
    journals = Path(tempfile.mkdtemp(prefix="journal-", dir=RESULTS))
    began = time.monotonic()
    found: dict[str, Any] = {"machine": description() | {"loop": options.loop, "http": options.http}}
    try:
        _web(options, journals, found)
        _journal(options, journals, found)
    finally:
        shutil.rmtree(journals, ignore_errors=True)
    found["seconds"] = round(time.monotonic() - began)
    target = RESULTS / "latest.json"
    target.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(f"{found['seconds']} s; all figures, round by round: {os.path.relpath(target)}")


def _web(options: argparse.Namespace, journals: Path, found: dict[str, Any]) -> None:
    wanted = set(options.scenarios) & {"async", "sync", "one", "start", "beside"}
    if not wanted:
        return
    plan = web.Plan(options.variants, options.rounds, options.seconds, options.loop, options.http, journals)
    for kind in ("async", "sync"):
        if kind in wanted:
            variants = [each for each in plan.variants if kind == "async" or each != "bare"]
            figures = found[f"requests_{kind}"] = web.saturated(replace(plan, variants=variants), f"/{kind}")
            title = f"{kind} no-op job, 32 connections (to native)"
            _show(web_table(title, figures, ("per_second", "p50", "p99", "settled")))
    if wanted <= {"async", "sync"}:
        return
    with web.servers(plan) as running:
        found["memory_idle"] = web.memory(running)
        _show(pairs_table("memory of the servers before load, MiB", found["memory_idle"]))
        if "one" in wanted:
            figures = found["one_connection"] = web.one_connection(running, plan)
            _show(web_table("one connection, ms (to native)", figures, ("p50", "p99")))
        if "start" in wanted:
            figures = found["add_to_start"] = web.add_to_start(running, plan)
            _show(web_table("add to start at 50/s, ms (to native)", figures, ("p50", "p99", "worst")))
        if "beside" in wanted:
            figures = found["beside_computing"] = web.beside(running, plan)
            _show(web_table("beside a job that computes, ms (to native)", figures, ("p50", "p99", "worst")))


def _journal(options: argparse.Namespace, journals: Path, found: dict[str, Any]) -> None:
    if "throughput" in options.scenarios:
        found["throughput"] = journal.throughput(journals, options.jobs, options.rounds)
        _show(pairs_table("add_tasks to the last finish, SQLite FULL", found["throughput"]))
    for kind, title in (
        ("policy", "retry, timeout, key and priority set, add to finish"),
        ("depends", "a yield dependency, add to finish"),
    ):
        if kind in options.scenarios:
            found[kind] = journal.compared(kind, journals, options.jobs // 3, options.rounds)
            _show(pairs_table(title, found[kind]))
    if "backlog" in options.scenarios:
        found["backlog"] = journal.backlog(journals, options.backlog, options.jobs, options.rounds)
        _show(pairs_table(f"backlog of {options.backlog:,}", found["backlog"]))


def _show(table: str) -> None:
    print(table, end="\n\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench BENCH=...", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; default all"
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each measurement in a round")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument(
        "--http",
        choices=("h11", "httptools"),
        default="h11",
        help="uvicorn's parser: what `pip install uvicorn` brings, or `uvicorn[standard]`",
    )
    parser.add_argument("--jobs", type=int, default=60_000)
    parser.add_argument("--backlog", type=int, default=1_000_000)
    options = parser.parse_args()
    options.scenarios = options.scenarios or SCENARIOS
    if unknown := set(options.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    main()
