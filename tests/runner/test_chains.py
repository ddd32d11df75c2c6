"""The order of plain functions of one request."""

import asyncio
from itertools import pairwise

import anyio
import pytest

from postlude.clock import SECOND
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


async def test_one_that_has_ended_is_not_kept_until_the_next_one_would_have_waited_long_enough() -> None:
    """Its start is told from its thread, and may be heard of after its end."""
    chains = Chains(asyncio.get_running_loop(), 15, lambda work: None)
    first, _ = chain_of(2)
    chains.hold(first)
    chains.started(first)
    first.over = True
    chains.next(first)
    await asyncio.sleep(0)
    assert chains._timers == {}


async def test_what_goes_back_together_waits_in_its_order_each_a_while_longer() -> None:
    chains = Chains(asyncio.get_running_loop(), 2, lambda work: None)
    first, second, third = chain_of(3)
    holds = {hold.seq: hold for hold in chains.holds([third, first, second], now=100)}
    assert [(holds[seq].due, holds[seq].follows) for seq in (1, 2, 3)] == [
        (None, None), (100 + 2 * SECOND, 1), (100 + 4 * SECOND, 2),
    ]  # fmt: skip
    (alone,) = chains.holds([second], now=100)
    assert (alone.due, alone.follows) == (None, None), "what it followed, and what follows it, stays"
