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


def compared(kind: str, journals: Path, jobs: int, rounds: int) -> Figures:
    """What jobs with something cost beside plain ones, from add to finish, in turns of one process."""
    taken = [_child(kind, journals / f"{kind}-{number}.db", jobs) for number in range(rounds)]
    ratios = [one[kind] / one["plain"] for one in taken]
    return {
        "a plain job, us": round(median(one["plain"] for one in taken) * 1e6, 1),
        f"a job with it ({kind}), us": round(median(one[kind] for one in taken) * 1e6, 1),
        "times a plain job, median": round(median(ratios), 2),
        "times a plain job, worst": round(max(ratios), 2),
    }


def backlog(journals: Path, waiting: int, jobs: int, rounds: int) -> Figures:
    """Start on a journal in which this many jobs wait, in turn with one that holds only those measured."""
    large = journals / "backlog.db"
    filled = _child("fill", large, waiting)
    few, many = [], []
    for number in range(rounds):
        small = journals / f"small-{number}.db"
        _child("fill", small, jobs)
        few.append(_child("drain", small, jobs))
        many.append(_child("drain", large, jobs))
    growth = [full["most"] - short["most"] for full, short in zip(many, few, strict=True)]
    shares = [full["per_second"] / short["per_second"] for full, short in zip(many, few, strict=True)]
    return {
        "seconds to fill": round(filled["seconds"], 1),
        "journal, MiB": round(large.stat().st_size / 2**20),
        "seconds from start to the first job, median": round(median(one["first"] for one in many), 3),
        "seconds from start to the first job, worst": round(max(one["first"] for one in many), 3),
        "jobs a second on it": round(median(one["per_second"] for one in many)),
        f"jobs a second where only {jobs:,} wait": round(median(one["per_second"] for one in few)),
        "share of that, in the same round": round(median(shares), 2),
        "memory before start, MiB": round(median(one["before"] for one in few), 1),
        "memory with the backlog, MiB": round(max(one["most"] for one in many), 1),
        "more than with the small journal, MiB": round(max(growth), 1),
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
