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


@pytest.mark.slow
def test_a_request_with_a_job_makes_no_more_calls_than_before() -> None:
    """`bench.way` counts them by `sys.setprofile`; a newer Python makes fewer."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.way"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    calls = [int(number) for number in re.findall(r"(\d+) calls", done.stdout)]
    assert len(calls) == 2, done.stdout
    assert calls[0] <= ON_THE_LOOP, done.stdout
    assert calls[1] <= IN_ALL, done.stdout
