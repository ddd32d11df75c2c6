"""Duties that one process does for all, and a child whose parent has gone."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from postlude import Config, Postlude, State
from postlude.clock import SystemClock
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Asked, Store
from postlude.stores.reply import Reply
from postlude.stores.signals import Said
from postlude.stores.values import Reaped
from tests.app import work
from tests.app.serving import becomes, eventually, serving

ROOT = Path(__file__).parents[3]
EAGER = Config(tune_gc=False, poll_every=0.01, reap_every=0.01, lease=600, renew_every=60)
"""A lead lasts so long that none lapses here."""


class Led(MemoryStore):
    """A store that knows who has led what."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.leaders: list[int] = []
        self.asked_by: set[int] = set()
        self.reaped = 0

    def lead(self, runner: int, duty: str, seconds: float) -> Reply[bool]:
        reply = super().lead(runner, duty, seconds)
        if duty == "reap" and seconds:
            self.asked_by.add(runner)
            if reply.result():
                self.leaders.append(runner)
        return reply

    def reap(self) -> Reply[Reaped]:
        self.reaped += 1
        return super().reap()


def number(postlude: Postlude) -> int:
    (runner,) = postlude.components.producer.runners
    return runner.number


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_of_several_does_it_and_another_as_soon_as_that_one_stops(log: list[str]) -> None:
    store = Led()
    one, other = (Postlude(store=cast(Store, store), config=EAGER) for _ in range(2))
    async with serving(one, other):
        numbers = {number(one), number(other)}

        async def both_have_asked() -> bool | None:
            return (store.asked_by == numbers and store.reaped > 3) or None

        await eventually(both_have_asked)
        assert set(store.leaders) == {number(one)}

    leader, follower = (Postlude(store=cast(Store, store), config=EAGER) for _ in range(2))
    goes_on = asyncio.Event()

    @leader.task(name="lasts")
    async def lasts() -> None:
        await goes_on.wait()

    async with serving(leader, follower):
        job = await leader.add_task(lasts)
        await becomes(leader, job, State.RUNNING)
        next_number = number(follower)
        stopping = asyncio.create_task(leader.drain())

        async def the_other_leads() -> bool | None:
            return store.leaders[-1] == next_number or None

        await eventually(the_other_leads)
        assert not stopping.done(), "while the one that led waits for its jobs"
        goes_on.set()
        await stopping


class Orphaned(MemoryStore):
    """A store in which a runner's parent has gone, or not."""

    gone = False

    def go(self) -> None:
        """Let it be gone."""
        said = Said()
        said.asked = self.gone = True
        self._listeners.tell(said)

    def asked(self, runner: int) -> Reply[Asked]:
        return Reply.of(super().asked(runner).result()._replace(drain=self.gone))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_child_whose_parent_has_gone_ends_what_it_runs_and_claims_nothing(log: list[str]) -> None:
    store = Orphaned(SystemClock())
    postlude = Postlude(store=cast(Store, store), config=EAGER)
    goes_on = asyncio.Event()

    @postlude.task(name="lasts")
    async def lasts() -> None:
        await goes_on.wait()

    async with serving(postlude):
        (runner,) = postlude.components.producer.runners
        running = await postlude.add_task(lasts)
        await becomes(postlude, running, State.RUNNING)
        await becomes(postlude, await postlude.add_task(work.note, "early"), State.SUCCEEDED)
        store.go()

        async def winds_down() -> bool | None:
            return runner.draining or None

        await eventually(winds_down)
        late = await postlude.add_task(work.note, "late")
        goes_on.set()
        await becomes(postlude, running, State.SUCCEEDED)
        await runner.idle()
        assert (await postlude.inspector.get(late.id)).state is State.QUEUED
    assert "late" not in log


@pytest.mark.process
@pytest.mark.disk
def test_another_process_goes_on_when_the_one_that_leads_is_killed(tmp_path: Path) -> None:
    """A lead lasts longer than this test; a death is seen at once."""
    notes = tmp_path / "notes"
    command = [sys.executable, "-m", "tests.runner.duties.leading", str(tmp_path / "jobs.db"), str(notes)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"serves\n"
        seen = 0
        for left in (3, 2, 1):
            new = asyncio.run(_noted(notes, seen, 20))
            assert len(set(new)) == 1, "one at a time"
            seen += len(new)
            (leader,) = (process for process in processes if process.pid == new[0])
            os.kill(leader.pid, signal.SIGKILL)
            leader.wait()
            processes.remove(leader)
            seen = len(notes.read_text().split())
            assert len(processes) == left - 1
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def _noted(notes: Path, seen: int, least: int) -> list[int]:
    """Return who has looked for the dead since, once that were so many times."""

    async def look() -> list[int] | None:
        found = [int(pid) for pid in notes.read_text().split()[seen:]]
        return found if len(found) >= least else None

    return await eventually(look)
