"""Sync functions in threads: whose end somebody waits for ends at once."""

import asyncio
from contextvars import Context
from typing import Any

import anyio
import pytest

from postlude.model.outcome import SUCCEEDED
from postlude.runner.attempt.work import Work
from postlude.runner.executors import threads as module
from postlude.runner.executors.threads import ThreadExecutor
from postlude.tasks.codec.payload import Limits
from postlude.tasks.policy import Policy
from postlude.tasks.task import Task

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


def nothing() -> None: ...


async def test_an_end_that_is_awaited_waits_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOMENT", 60.0)
    ended: list[tuple[Work, Any]] = []
    all_ended = asyncio.Event()

    def end(work: Work, result: Any) -> None:
        ended.append((work, result))
        all_ended.set()

    executor = ThreadExecutor(1, lambda work: Context(), end)
    works = [Work(bytes([place]) * 16, "app:f", "default", b"", 0) for place in range(3)]
    for work in works:
        work.task, work.args, work.kwargs = Task(nothing, "app:f", Limits(1024, 10), Policy()), (), {}
    works[-1].waiter = asyncio.get_running_loop().create_future()
    try:
        for work in works:
            executor.submit(work)
        with anyio.fail_after(10):
            await all_ended.wait()
        assert ended == [(work, SUCCEEDED) for work in works], "with those that have gathered"
    finally:
        executor.stop()
