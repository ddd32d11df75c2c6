"""Measure Postlude beside other systems of background jobs.

    python -m bench.peers --rounds 5     # all; writes bench/results/peers.json and docs/comparison.md
    python -m bench.peers --rounds 5 --only speed    # the kills of the page stay as they are
    python -m bench.peers --only kills --systems rq    # those of one system
    python -m bench.peers --rounds 1 --systems arq rq --keep    # prints, and writes no file

What is measured stands in docs/comparison.md. Every server and process is started for this and ended by it.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from bench.machine import description
from bench.peers import kills, page, speed
from bench.peers.environment import ROOT, NotInstalled, programs, versions
from bench.peers.running import Servers
from bench.peers.systems import BY_NAME, SYSTEMS, System
from tests.servers.postgres import binaries

RESULTS: Final = ROOT / "bench" / "results" / "peers.json"


def main() -> int:
    """Run what the command line asks for; returns an exit code."""
    options = _options()
    found = _stored(options)
    systems = []
    for system in options.systems:
        try:
            programs(system)
            systems.append(system)
        except NotInstalled as error:
            found["missing"][system.name] = str(error)
            print(f"{system.name}: not installed: {error}", flush=True)
    told = description()
    found["machine"] = {
        "cores": told["cores"], "python": told["python"], "processor": platform.machine(),
        "fastapi": told["fastapi"], "uvicorn": told["uvicorn"], "servers": _servers(),
    }  # fmt: skip
    found["versions"] = found.get("versions", {}) | {system.name: versions(system) for system in systems}
    for part, measure in (("speed", _speed), ("kills", _kills)):
        if part in options.only:
            began, load = time.monotonic(), os.getloadavg()[0]
            # Kills are not measured in turns: those of other systems stay.
            found[part] = found[part] if part == "kills" else {}
            measure(options, systems, found)
            some = len(options.systems) < len(SYSTEMS) and part in found["about"]
            found["about"][part] = {
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "rounds": options.rounds if part == "speed" else 1,
                "load_before": round(load, 1),
                "load_after": round(os.getloadavg()[0], 1),
                "minutes": round((time.monotonic() - began) / 60, 1),
            } | (found["about"][part] if some else {})  # a few systems anew are not the run
            if not options.keep:  # after each part: the second one may be interrupted
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
                page.write()
                print(
                    f"{RESULTS.relative_to(ROOT)} and {page.PAGE.relative_to(ROOT)} are written", flush=True
                )
    if options.keep:
        print(json.dumps(found, indent=1))
    failed = [name for name in options.only if _errors(found[name])]
    for name in failed:
        print(f"failed in {name}: {', '.join(_errors(found[name]))}", file=sys.stderr)
    return 1 if failed else 0


def _stored(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the results begin as: what is not measured, or not yet, stays as it was."""
    found: dict[str, Any] = {"about": {}, "speed": {}, "kills": {}}
    if RESULTS.exists() and not options.keep:
        found |= json.loads(RESULTS.read_text("utf-8"))
    return found | {"missing": {}}


def _speed(options: argparse.Namespace, systems: list[System], found: dict[str, Any]) -> None:
    """Measure A B C, C B A, ...: what the machine does meanwhile, it does to all of them."""
    servers = Servers()
    pairs = [(system, mode) for system in systems for mode in system.modes]
    try:
        for number in range(options.rounds):
            for system, mode in pairs if number % 2 == 0 else reversed(pairs):
                began = time.monotonic()
                entry = found["speed"].setdefault(system.name, {}).setdefault(mode, {})
                try:
                    figures = speed.measured(system, mode, servers, options.seconds)
                except Exception as error:  # what fails of one must not take the others along
                    entry.setdefault("errors", []).append(f"{type(error).__name__}: {error}"[-600:])
                    print(f"{system.name} {mode}: {entry['errors'][-1]}", flush=True)
                    continue
                for name, value in figures.items():
                    entry.setdefault(name, []).append(round(value, 2))
                words = ", ".join(f"{name} {value:,.1f}" for name, value in figures.items())
                print(
                    f"{number + 1}  {system.name} {mode}: {words}  ({time.monotonic() - began:.0f} s)",
                    flush=True,
                )
    finally:
        servers.close()


def _kills(options: argparse.Namespace, systems: list[System], found: dict[str, Any]) -> None:
    tasks = [(system, mode, what) for system in systems for mode in system.modes for what in kills.of(system)]
    for (system, mode, what), outcome in zip(tasks, kills.all_counted(tasks, options.at_once), strict=True):
        entry = outcome if isinstance(outcome, dict) else {"error": outcome[-600:]}
        found["kills"].setdefault(system.name, {}).setdefault(mode, {})[what] = entry


def _errors(found: dict[str, Any]) -> list[str]:
    return [
        f"{name} {mode}"
        for name, modes in found.items()
        for mode, entry in modes.items()
        if "errors" in entry or any(isinstance(one, dict) and "error" in one for one in entry.values())
    ]


def _servers() -> dict[str, str]:
    """Return the versions of the servers that are here, as Debian's packages name them."""
    found = {}
    for name, package in (("Redis", "redis-server"), ("RabbitMQ", "rabbitmq-server")):
        asked = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True
        )
        found[name] = asked.stdout.split("-")[0].rpartition(":")[2].split("+")[0] or "unknown"
    program = (binaries() or Path()) / "postgres"
    asked = subprocess.run([program, "--version"], capture_output=True, text=True)
    found["PostgreSQL"] = asked.stdout.split()[2] if asked.stdout else "unknown"
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="of speed; kills are counted once")
    parser.add_argument("--seconds", type=float, default=1.8, help="of each measurement in a round")
    parser.add_argument("--systems", nargs="+", choices=list(BY_NAME), default=list(BY_NAME))
    parser.add_argument("--only", nargs="+", choices=("speed", "kills"), default=("speed", "kills"))
    parser.add_argument("--at-once", type=int, default=5, help="kills that are counted at the same time")
    parser.add_argument("--keep", action="store_true", help="print the results; write no file")
    options = parser.parse_args()
    options.systems = [system for system in SYSTEMS if system.name in options.systems]
    if "speed" in options.only and not options.keep and len(options.systems) < len(SYSTEMS):
        parser.error(
            "speeds are measured in turns, so some systems alone would take the others off the page: "
            "say --keep as well, or --only kills"
        )
    return options


if __name__ == "__main__":
    sys.exit(main())
