"""Works that start together, when the loop has time for them."""

import asyncio
from typing import Any

import pytest

from postlude.runner.attempt.work import Work
from postlude.runner.executors.protocol import take_back, take_one_back
from postlude.runner.starting import Starting

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def works(count: int) -> list[Work]:
    return [Work(bytes([number]) * 16, "app:f", "default", b"", 0) for number in range(count)]


async def test_they_start_together_when_there_is_time() -> None:
    started: list[Work] = []
    starting = Starting(asyncio.get_running_loop().call_soon, started.append)
    first, second, third = works(3)
    starting.add([first, second])
    starting.add([third])
    assert started == []
    await asyncio.sleep(0)
    assert started == [first, second, third]
    starting.add([first])
    await asyncio.sleep(0)
    assert started[3:] == [first]


async def test_they_can_be_started_now() -> None:
    started: list[Work] = []
    starting = Starting(asyncio.get_running_loop().call_soon, started.append)
    made = works(2)
    starting.add(made)
    starting.start()
    assert started == made
    await asyncio.sleep(0)
    assert started == made


async def test_what_was_taken_back_meanwhile_does_not_start() -> None:
    started: list[Work] = []
    starting = Starting(asyncio.get_running_loop().call_soon, started.append)
    first, second, third = works(3)
    starting.add([first, second, third])
    assert take_one_back(starting, second)
    await asyncio.sleep(0)
    assert started == [first, third]
    starting.add([first, second])
    assert take_back(starting) == [first, second]
    await asyncio.sleep(0)
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
    Starting(loop.call_soon, submit).add([first, second])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert started == [second]
    assert [type(error) for error in told] == [MemoryError]
