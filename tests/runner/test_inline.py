"""Running jobs by their ids: these and no others, on any loop, and in a thread that has none."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from postlude import Config, Job, Limit, Local, Postlude, State
from postlude.model.queues import only
from postlude.model.refusal import Refusal, Refused
from tests.app import work
from tests.app.conftest import folder as folder
from tests.app.conftest import location as location
from tests.app.conftest import log as log
from tests.app.serving import becomes

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def make(location: str, *texts: str) -> tuple[Postlude, list[Job[Any]]]:
    """Return a Postlude that nothing runs, and its jobs."""
    postlude = Postlude(store=location, config=Config(tune_gc=False))
    return postlude, [await postlude.add_task(work.note, text) for text in texts]


def ids(*jobs: Job[Any]) -> list[bytes]:
    return [bytes.fromhex(job.id.replace("-", "")) for job in jobs]


async def states(postlude: Postlude, jobs: Sequence[Job[Any]]) -> list[State]:
    return [(await postlude.inspector.get(job.id)).state for job in jobs]


async def test_these_run_and_no_others(location: str, log: list[str]) -> None:
    postlude, jobs = await make(location, "a", "b", "c")
    assert list(await postlude.components.worker.run(ids(jobs[2], jobs[0]))) == []
    assert sorted(log) == ["a", "c"]
    assert await states(postlude, jobs) == [State.SUCCEEDED, State.QUEUED, State.SUCCEEDED]
    await postlude.close()


async def test_the_others_are_refused(location: str, log: list[str]) -> None:
    postlude, jobs = await make(location, "a", "b")
    run = postlude.components.worker.run
    await run(ids(jobs[0]))
    refused = await run([bytes(16), *ids(*jobs)], only({"mail"}))
    assert list(refused) == [
        Refused(bytes(16), Refusal.UNKNOWN),
        Refused(ids(jobs[0])[0], Refusal.ENDED),
        Refused(ids(jobs[1])[0], Refusal.QUEUE),
    ]
    assert log == ["a"]
    await postlude.close()


async def test_in_threads_without_a_loop_each_runs_once(location: str, log: list[str]) -> None:
    postlude, jobs = await make(location, *"abcdef")
    refused: list[Refused] = []

    def work_off(mine: Sequence[Job[Any]]) -> None:
        for job in mine:
            refused.extend(asyncio.run(postlude.components.worker.run(ids(job))))

    threads = [threading.Thread(target=work_off, args=(mine,)) for mine in (jobs, jobs[::-1], jobs[2:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert sorted(log) == [*"abcdef"]
    assert len(refused) == 10
    assert {one.why for one in refused} <= {Refusal.ENDED, Refusal.RUNNING}
    living = await postlude.components.store.living()
    assert [(one.kind, one.queues.names, one.queues.but) for one in living] == [
        ("worker", frozenset(), False)
    ], "all of them are one runner"
    await postlude.close()


async def test_cancelled_it_gives_back_what_it_runs(location: str) -> None:
    postlude, _ = await make(location)
    started = asyncio.Event()

    @postlude.task(name="lasts")
    async def lasts() -> None:
        started.set()
        await asyncio.Event().wait()

    job = await postlude.add_task(lasts)
    running = asyncio.create_task(postlude.components.worker.run(ids(job)))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await states(postlude, [job]) == [State.QUEUED]
    await postlude.close()


async def test_what_another_call_makes_ready_runs_too(location: str, log: list[str]) -> None:
    """Of a call without a lifespan: nobody else claims what waited for the end of a job of another call."""
    postlude = Postlude(
        store=location, queues={"default": Local(limit=Limit(1))}, config=Config(tune_gc=False)
    )
    producer, gate = postlude.components.producer, work.shut()
    works = [producer.prepare(work.hold, ("first",), {}), producer.prepare(work.note, ("second",), {})]
    await producer.commit(works)
    inline: Any = postlude.components.inline
    other = asyncio.create_task(inline.run([works[0].id]))
    await becomes(postlude, works[0].job, State.RUNNING)
    call = asyncio.create_task(producer.settle(works))
    await asyncio.sleep(0.02)  # it has claimed in vain
    assert not call.done()
    gate.set()
    await asyncio.wait_for(asyncio.gather(call, other), 5)
    assert log == ["first held", "second"]
    await postlude.close()
