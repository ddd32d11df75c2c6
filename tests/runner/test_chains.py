"""The order of plain functions of one request."""

import asyncio
from itertools import pairwise

import anyio
import pytest

from postlude.runner.attempt.work import Work
from postlude.runner.chains import Chains

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def chain_of(count: int) -> list[Work]:
    works = [Work(bytes([number]) * 16, "app:f", "default", b"", 0) for number in range(count)]
    for number, work in enumerate(works, 1):
        work.seq = number
    for before, after in pairwise(works):
        before.follower = after
    return works


async def test_only_the_first_is_a_head() -> None:
    chains = Chains(asyncio.get_running_loop(), 15, lambda work: None)
    works = chain_of(3)
    for work in works:
        chains.hold(work)
    assert list(chains.heads(works)) == works[:1]


async def test_each_starts_when_the_one_before_has_ended() -> None:
    started: list[Work] = []
    chains = Chains(asyncio.get_running_loop(), 15, started.append)
    first, second, third = chain_of(3)
    for work in (first, second, third):
        chains.hold(work)
    chains.next(first)
    assert started == [second]
    chains.next(first)  # a second end of the same work starts nothing
    assert started == [second]
    chains.next(second)
    assert started == [second, third]


async def test_the_next_does_not_wait_for_ever() -> None:
    started: list[Work] = []
    chains = Chains(asyncio.get_running_loop(), 0.01, started.append)
    first, second = chain_of(2)
    chains.hold(first)
    chains.started(first)
    with anyio.fail_after(5):
        while not started:
            await asyncio.sleep(0.001)
    assert started == [second]


async def test_what_is_taken_back_is_not_started() -> None:
    started: list[Work] = []
    chains = Chains(asyncio.get_running_loop(), 15, started.append)
    first, second = chain_of(2)
    chains.hold(first)
    assert chains.take_back() == [second]
    chains.next(first)
    assert started == []
