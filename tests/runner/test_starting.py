"""Works that start together, when the loop has time for them."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Postlude
from postlude.clock import SystemClock
from postlude.runner import starting as starting_module
from postlude.runner.attempt.work import Work
from postlude.runner.executors.protocol import take_back, take_one_back
from postlude.runner.starting import QUIET, Starting
from postlude.stores.memory.store import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock decides here, however busy the machine is."""
    monkeypatch.setattr(starting_module, "SOON", 60.0)
    monkeypatch.setattr(starting_module, "LATEST", 60.0)


class Asked:
    """So many jobs are being stored."""

    def __init__(self, reserved: int) -> None:
        self.reserved = reserved


def works(count: int) -> list[Work]:
    return [Work(bytes([number]) * 16, "app:f", "default", b"", 0) for number in range(count)]


def made(started: list[Work], reserved: int = 0) -> Starting:
    starting = Starting(asyncio.get_running_loop(), started.append)
    starting.asking = Asked(reserved)
    return starting


async def turns(number: int = QUIET + 2) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_they_start_together_when_nobody_asks_the_journal() -> None:
    started: list[Work] = []
    starting = made(started)
    first, second, third = works(3)
    starting.add([first, second])
    starting.add([third])
    await turns(QUIET)
    assert started == []
    await turns(2)
    assert started == [first, second, third]
    starting.add([first])
    await turns()
    assert started[3:] == [first]


async def test_where_requests_wait_for_the_journal_they_start_when_the_disk_writes() -> None:
    started: list[Work] = []
    starting = made(started, reserved=1)
    starting.add(some := works(2))
    await turns(20)
    assert started == []
    writer = threading.Thread(target=starting.commit_begins)
    writer.start()
    while not started:
        await asyncio.sleep(0)
    writer.join()
    assert started == some


@pytest.mark.parametrize("late", range(QUIET + 1))
async def test_they_wait_for_those_who_come_next(late: int) -> None:
    started: list[Work] = []
    starting = made(started)
    starting.add(some := works(1))
    await turns(late)
    starting.asking = Asked(1)
    await turns(20)
    assert started == []
    starting.commit_begins()
    await turns()
    assert started == some


async def test_they_do_not_wait_for_a_journal_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_module, "LATEST", 0.001)
    started: list[Work] = []
    starting = made(started, reserved=1)
    starting.add(some := works(1))
    while not started:
        await asyncio.sleep(0)
    assert started == some


async def test_the_time_of_those_that_have_started_does_not_run_for_the_next() -> None:
    started: list[Work] = []
    starting = made(started, reserved=1)
    starting.add(works(1))
    await turns()
    timer = starting._latest
    assert timer is not None
    starting.start()
    assert timer.cancelled()
    starting.add(works(1))
    await turns()
    assert starting._latest not in (None, timer)


async def test_they_do_not_wait_for_long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_module, "SOON", 0.001)
    started: list[Work] = []
    starting = made(started)
    starting.add(some := works(1))
    time.sleep(0.002)
    await turns(1)
    assert started == some


def test_a_commit_of_others_after_the_loop_has_closed_is_nothing() -> None:
    started: list[Work] = []

    async def leave() -> Starting:
        starting = made(started, reserved=1)
        starting.add(works(1))
        return starting

    asyncio.run(leave()).commit_begins()
    assert started == []


async def test_they_can_be_started_now() -> None:
    started: list[Work] = []
    starting = made(started)
    some = works(2)
    starting.add(some)
    starting.start()
    assert started == some
    await turns()
    assert started == some


async def test_what_was_taken_back_meanwhile_does_not_start() -> None:
    started: list[Work] = []
    starting = made(started)
    first, second, third = works(3)
    starting.add([first, second, third])
    assert take_one_back(starting, second)
    await turns()
    assert started == [first, third]
    starting.add([first, second])
    assert take_back(starting) == [first, second]
    await turns()
    assert started == [first, third]


async def test_one_that_cannot_be_started_keeps_no_other() -> None:
    loop = asyncio.get_running_loop()
    started: list[Work] = []
    first, second = works(2)

    def submit(work: Work) -> None:
        if work is first:
            raise MemoryError
        started.append(work)

    told: list[Any] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    Starting(loop, submit).add([first, second])
    await turns()
    assert started == [second]
    assert [type(error) for error in told] == [MemoryError]


class TellingStore(MemoryStore):
    """Knows who wants to be told of commits."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.told: list[Callable[[], None]] = []

    def tell_commits(self, call: Callable[[], None]) -> None:
        self.told.append(call)

    def untell_commits(self, call: Callable[[], None]) -> None:
        self.told.remove(call)


@pytest.mark.parametrize("abandoned", [False, True])
async def test_a_runner_is_told_of_commits_for_as_long_as_it_runs(abandoned: bool) -> None:
    store = TellingStore()
    postlude = Postlude(FastAPI(), store=store)
    await postlude.open()
    await postlude.start()
    assert len(store.told) == 1
    if not abandoned:
        await postlude.drain()
    await postlude.close()
    assert store.told == []
