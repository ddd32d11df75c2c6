"""Processes that share a journal hear of each other at once: nothing here waits for its turn to look."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postlude import Config, Postlude
from postlude.jobs import feed
from postlude.model.job import Cancel
from postlude.model.state import State
from tests.app import returning
from tests.app.serving import becomes

pytestmark = [pytest.mark.anyio, pytest.mark.disk, pytest.mark.process]

ROOT = Path(__file__).parents[2]

NEVER = 600.0
"""Seconds between looks, for both processes: longer than any test waits."""

PATIENCE = 60.0

RUNNER = f"""
import asyncio, sys
from postlude import Config, Postlude
from tests.app import returning
async def main():
    config = Config(poll_every={NEVER}, reap_every={NEVER})
    postlude = Postlude(store="sqlite:///jobs.db", packages=["tests"], config=config)
    await postlude.open()
    await postlude.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await postlude.drain()
    await postlude.close()
asyncio.run(main())
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process, with a runner."""
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.communicate("\n", timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()


async def test_what_one_adds_the_other_runs_and_the_first_hears_of(
    runner: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LOOK_ANYWAY", NEVER)
    postlude = Postlude(store="sqlite:///jobs.db", config=Config(poll_every=NEVER))
    for _ in range(3):
        job = await postlude.add_task(returning.nothing)
        assert await job.result(timeout=PATIENCE) is None  # type: ignore[func-returns-value]
    late = await postlude.add_task(postlude.task(returning.nothing).using(delay=0.3))
    assert await late.result(timeout=PATIENCE) is None  # type: ignore[func-returns-value]
    await postlude.close()


async def test_what_one_pauses_resumes_and_cancels_the_other_hears_of(runner: None) -> None:
    postlude = Postlude(store="sqlite:///jobs.db", config=Config(poll_every=NEVER))
    job = await postlude.add_task(returning.waits)
    await becomes(postlude, job, State.RUNNING, PATIENCE)
    assert await job.cancel() is Cancel.ASKED
    await becomes(postlude, job, State.CANCELLED, PATIENCE)
    await postlude.pause("default")
    waits = await postlude.add_task(returning.nothing)
    await postlude.resume("default")
    await becomes(postlude, waits, State.SUCCEEDED, PATIENCE)
    await postlude.close()
