"""A runner whose lease was lost while its jobs ran."""

import asyncio

import pytest

from postlude import Config, Postlude
from postlude.model.state import State
from tests.app.serving import becomes, eventually, serving

pytestmark = pytest.mark.anyio

GATES = [asyncio.Event(), asyncio.Event()]
STARTED: list[int] = []


async def waits() -> None:
    STARTED.append(len(STARTED))
    await GATES[len(STARTED) - 1].wait()


async def test_a_run_whose_claim_was_lost_takes_nothing_from_the_one_after_it() -> None:
    STARTED.clear()
    GATES[:] = [asyncio.Event(), asyncio.Event()]
    postlude = Postlude(store="memory", config=Config(tune_gc=False))
    async with serving(postlude):
        (runner,) = postlude.components.producer.runners
        job = await postlude.add_task(waits)

        async def runs(times: int) -> bool | None:
            return len(STARTED) == times or None

        await eventually(lambda: runs(1))
        await postlude.components.store.retire(runner.number, draining=True)
        runner.lost()
        await eventually(lambda: runs(2))
        GATES[0].set()
        await asyncio.sleep(0.05)
        assert (await postlude.inspector.get(job.id)).state is State.RUNNING, "the second run goes on"
        GATES[1].set()
        await becomes(postlude, job, State.SUCCEEDED, patience=2)
