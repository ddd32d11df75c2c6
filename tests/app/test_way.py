"""What a request with one job costs in calls, where nobody listens: no more than before."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ON_THE_LOOP = 94
"""Calls on the loop, from the request to the written end: as many as before anything could listen."""

IN_ALL = 240
"""With the writer's thread: as many as before it wrote sums by the minute."""


TRIES = 3
"""Runs of it, of which one is to do: on a busy machine duties come between on all jobs of a run."""


def counted() -> tuple[int, int]:
    """Return how many calls `bench.way` counts, by `sys.setprofile`. A newer Python makes fewer."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.way"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    on_the_loop, in_all = (int(number) for number in re.findall(r"(\d+) calls", done.stdout))
    return on_the_loop, in_all


@pytest.mark.slow
def test_a_request_with_a_job_makes_no_more_calls_than_before() -> None:
    found: list[tuple[int, int]] = []
    while len(found) < TRIES:
        found.append(counted())
        if found[-1][0] <= ON_THE_LOOP and found[-1][1] <= IN_ALL:
            return
    raise AssertionError(f"calls on the loop, and in all: {found}")
