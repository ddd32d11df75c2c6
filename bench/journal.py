"""The measurements without a web server; each runs in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]

Figures = dict[str, Any]


def throughput(journals: Path, jobs: int, rounds: int) -> Figures:
    """Jobs a second from the first `add_tasks` to the last finish on disk."""
    taken = [_child("throughput", journals / f"throughput-{number}.db", jobs) for number in range(rounds)]
    return {
        "jobs": jobs,
        "jobs a second, median": round(median(one["per_second"] for one in taken)),
        "jobs a second, worst": round(min(one["per_second"] for one in taken)),
        "jobs a second, best": round(max(one["per_second"] for one in taken)),
        "of that, adding: jobs a second": round(median(one["added_per_second"] for one in taken)),
    }


def backlog(journals: Path, waiting: int, jobs: int) -> Figures:
    """Start on a journal in which this many jobs wait, beside one that holds only those that are measured."""
    large, small = journals / "backlog.db", journals / "small.db"
    filled = _child("fill", large, waiting)
    _child("fill", small, jobs)
    few = _child("drain", small, jobs)
    many = _child("drain", large, jobs)
    return {
        "seconds to fill": round(filled["seconds"], 1),
        "journal, MiB": round(large.stat().st_size / 2**20),
        "seconds from start to the first claimed job": round(many["first"], 3),
        "jobs a second on it": round(many["per_second"]),
        f"jobs a second where only {jobs:,} wait": round(few["per_second"]),
        "share of that": round(many["per_second"] / few["per_second"], 2),
        "memory before start, MiB": round(few["before"], 1),
        "memory with the backlog, MiB": round(many["most"], 1),
        "more than with the small journal, MiB": round(many["most"] - few["most"], 1),
    }


def _child(work: str, journal: Path, jobs: int) -> Figures:
    ended = subprocess.run(
        [sys.executable, "-m", "bench.jobs", work, str(journal), str(jobs)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: Figures = json.loads(ended.stdout)
    return found
