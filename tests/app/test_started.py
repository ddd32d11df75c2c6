"""Since when a job runs: told while it does, and at no time taken back."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from postlude import Postlude
from postlude.jobs.inspector import JobStatus
from postlude.model.state import State
from tests.app.serving import EVERY_STORE, PATIENCE, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@EVERY_STORE
@pytest.mark.parametrize("is_async", [True, False])
async def test_what_runs_tells_since_when(
    location: str, is_async: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    postlude = Postlude(store=location)
    loop = asyncio.get_running_loop()
    runs, may_end, may_end_too = asyncio.Event(), asyncio.Event(), threading.Event()

    @postlude.task(name="waits")
    async def waits() -> None:
        runs.set()
        await may_end.wait()

    @postlude.task(name="waits in a thread")
    def waits_in_a_thread() -> None:
        loop.call_soon_threadsafe(runs.set)
        may_end_too.wait(PATIENCE)

    task: Callable[[], Awaitable[None] | None] = waits if is_async else waits_in_a_thread
    seen: list[JobStatus] = []
    async with serving(postlude):
        before = datetime.now(UTC)
        job: Any = await postlude.add_task(task)
        async with asyncio.timeout(PATIENCE):
            await runs.wait()
            after = datetime.now(UTC)
            seen.append(await postlude.inspector.get(job.id))
            may_end.set()
            may_end_too.set()
            while seen[-1].state is not State.SUCCEEDED:
                seen.append(await postlude.inspector.get(job.id))
                await asyncio.sleep(0)
    assert seen[0].state is State.RUNNING
    (started,) = {status.started for status in seen}
    assert started is not None
    assert before <= started <= after
