"""Adding jobs outside of requests: one, many, from threads and from scripts."""

import asyncio
import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from postlude import JournalUnavailable, NotDurable, Postlude
from postlude.clock import SystemClock
from postlude.model.state import State
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.call import Call
from tests.app.serving import becomes, eventually, serving
from tests.app.work import breaks, note, note_sync, until

pytestmark = pytest.mark.anyio


async def count(postlude: Postlude) -> int:
    return sum(counts.jobs for counts in await postlude.inspector.counts())


@pytest.mark.parametrize("function", [note, note_sync])
async def test_add_task_where_a_runner_serves(function: Any, location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(function, text="a")
        status = await becomes(postlude, job, State.SUCCEEDED)
        assert status.arguments is not None
        assert status.arguments.named == {"text": "a"}
    assert log == ["a"]


async def test_add_task_without_a_runner_is_kept_for_the_next(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    job = await postlude.add_task(note, "a")
    assert (await postlude.inspector.get(job.id)).state is State.QUEUED
    assert log == []
    async with serving(postlude):
        await becomes(postlude, job, State.SUCCEEDED)
    assert log == ["a"]


@pytest.mark.disk
async def test_add_task_is_on_disk_when_it_returns(folder: Path, log: list[str]) -> None:
    postlude = Postlude(store="sqlite:///jobs.db")
    job = await postlude.add_task(note, "a")
    other = Postlude(store="sqlite:///jobs.db")
    await other.open()
    assert (await other.inspector.get(job.id)).state is State.QUEUED
    await other.close()
    await postlude.close()


async def test_what_has_no_durable_form_is_refused(location: str) -> None:
    postlude = Postlude(store=location)
    with pytest.raises(NotDurable):
        await postlude.add_task(lambda: None)
    with pytest.raises(TypeError):
        await postlude.add_task(note)  # type: ignore[call-overload]


async def test_what_a_job_raises_does_not_reach_who_added_it(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(breaks, "a"), State.FAILED)
    assert status.error == "ValueError: a"


async def test_add_tasks_takes_calls_and_partials(location: str, log: list[str]) -> None:
    postlude = Postlude(store=location)
    declared = postlude.task(note)
    async with serving(postlude):
        calls: list[Any] = [declared.call("1"), functools.partial(note_sync, "2"), declared.call(text="3")]
        jobs = await postlude.add_tasks(calls)
        assert [job.task for job in jobs] == [declared.name, "tests.app.work:note_sync", declared.name]
        for job in jobs:
            await becomes(postlude, job, State.SUCCEEDED)
    assert sorted(log) == ["1", "2", "3"]


def many(number: int, drawn: list[int]) -> Iterator[Call]:
    """Yield calls, and note how many were asked for."""
    for index in range(number):
        drawn.append(index)
        yield Call(note, (str(index),), {})


async def test_add_tasks_is_atomic_up_to_10_000(log: list[str]) -> None:
    postlude = Postlude(store="memory")
    drawn: list[int] = []
    with pytest.raises(ValueError, match="at most 10000 calls"):
        await postlude.add_tasks(many(20_000, drawn), atomic=True)
    assert len(drawn) == 10_001
    assert await count(postlude) == 0
    assert len(await postlude.add_tasks(many(10_000, []), atomic=True)) == 10_000
    assert await count(postlude) == 10_000


@pytest.mark.parametrize(("atomic", "kept"), [(True, 0), (False, 1000)])
async def test_a_bad_call_among_many(atomic: bool, kept: int, location: str) -> None:
    postlude = Postlude(store=location)
    calls = [*many(1200, []), cast(Call, "no call")]
    with pytest.raises(TypeError, match="not str"):
        await postlude.add_tasks(calls, atomic=atomic)

    async def look() -> bool | None:
        return await count(postlude) == kept or None

    await eventually(look)  # a group may be on its way still
    await postlude.close()


class FullStore(MemoryStore):
    """A store that takes nothing."""

    def add(self, *args: Any, **kwargs: Any) -> Reply[Any]:
        return Reply.failed(JournalUnavailable("the disk is full"))


async def test_a_journal_that_takes_nothing(log: list[str]) -> None:
    postlude = Postlude(store=cast(Store, FullStore(SystemClock())))
    async with serving(postlude):
        with pytest.raises(JournalUnavailable):
            await postlude.add_task(note, "a")
        with pytest.raises(JournalUnavailable):
            await postlude.add_tasks([functools.partial(note, "a")])
        with pytest.raises(JournalUnavailable):
            await asyncio.to_thread(postlude.blocking.add_task, note, "a")


class TestBlocking:
    """From sync code."""

    def test_a_program_without_any_loop(self, location: str, log: list[str]) -> None:
        postlude = Postlude(store=location)
        job = postlude.blocking.add_task(note, "a")
        more = postlude.blocking.add_tasks([functools.partial(note_sync, "b")])

        async def serve() -> None:
            async with serving(postlude):
                for each in (job, *more):
                    await becomes(postlude, each, State.SUCCEEDED)

        asyncio.run(serve())
        assert sorted(log) == ["a", "b"]

    async def test_a_thread_beside_the_runner_wakes_it(self, location: str, log: list[str]) -> None:
        postlude = Postlude(store=location)
        async with serving(postlude):
            thread = threading.Thread(target=postlude.blocking.add_task, args=(note, "a"))
            thread.start()
            assert await asyncio.to_thread(until, 1) == ["a"]
            thread.join()

    async def test_on_an_event_loop(self, location: str, log: list[str]) -> None:
        postlude = Postlude(store=location)
        with pytest.raises(RuntimeError, match=r"await postlude\.add_task"):
            postlude.blocking.add_task(note, "a")

    @pytest.mark.disk
    @pytest.mark.process
    def test_what_a_script_adds_an_application_of_the_same_name_runs(self, folder: Path) -> None:
        """A script's functions are `__main__`'s: they are stored under the name that can be imported."""
        folder.joinpath("shop.py").write_text(SCRIPT)
        subprocess.run([sys.executable, "shop.py"], cwd=folder, check=True, timeout=60)
        subprocess.run([sys.executable, "-c", SERVER], cwd=folder, check=True, timeout=60)
        assert folder.joinpath("mail.txt").read_text() == "ada@example.org"


SCRIPT = """
from pathlib import Path
from postlude import Postlude

postlude = Postlude()

def mail(address: str) -> None:
    Path("mail.txt").write_text(address)

if __name__ == "__main__":
    postlude.blocking.add_task(mail, "ada@example.org")
"""

SERVER = """
import asyncio
from pathlib import Path
from shop import postlude

async def serve():
    await postlude.open()
    await postlude.start()
    async with asyncio.timeout(20):
        while any(count.state != "succeeded" for count in await postlude.inspector.counts()):
            await asyncio.sleep(0.01)
    await postlude.drain()
    await postlude.close()

asyncio.run(serve())
"""
