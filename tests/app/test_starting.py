"""Between the end of a request and the loop's next turn, in which its jobs start."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Config, Limit, Postlude
from postlude.model.job import Claim
from postlude.model.state import State
from postlude.runner.attempt.work import Work
from postlude.runner.runner import Runner
from tests.app.serving import becomes, serving
from tests.app.work import LOG, hold, note, shut

pytestmark = pytest.mark.anyio

QUICK = Config(poll_every=0.005, reap_every=0.02, tune_gc=False)


async def committed(postlude: Postlude, *functions: Any) -> tuple[Runner, list[Work]]:
    """Do what a request does before its response."""
    producer = postlude.components.producer
    works = [
        producer.prepare(function, (name,), {}) for name, function in zip("abc", functions, strict=False)
    ]
    await producer.commit(works)
    runner = producer.attached
    assert runner is not None
    return runner, works


async def let_start(postlude: Postlude) -> tuple[Runner, Work]:
    """Do what a request does; its job starts in the next turn."""
    runner, (work,) = await committed(postlude, note)
    assert postlude.components.producer.start([work])
    return runner, work


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_starts_in_the_next_turn(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        await let_start(postlude)
        assert LOG == []
        await turns()
        assert LOG == ["a"]


async def test_it_can_be_cancelled_still(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        runner, work = await let_start(postlude)
        runner.stop_asked([work.seq])
        assert runner.load == 0, "it has ended, and does not begin first"
        assert work.current is None
        await becomes(postlude, work.job, State.CANCELLED)
    assert LOG == []


async def test_a_runner_that_closes_gives_it_back(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        runner, work = await let_start(postlude)
        holds = await runner.close()
        assert [hold.seq for hold in holds] == [work.seq]
        await turns()
        assert LOG == []
        assert work.written


async def test_who_asks_for_room_is_told_what_is_left_beside_it(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    postlude.task(turns, name="limited", limit=Limit(concurrent=5))
    async with serving(postlude):
        runner, (work,) = await committed(postlude, note)
        before = sum(runner.free)
        postlude.components.producer.start([work])
        assert sum(runner.free) == before - 1
        await becomes(postlude, work.job, State.SUCCEEDED)
    assert LOG == ["a"]


async def test_places_that_claims_take_are_taken_at_once(log: list[str]) -> None:
    """The places that are left decide what is claimed next, in the same turn."""
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    postlude.task(note, name="limited", limit=Limit(concurrent=5))
    async with serving(postlude):
        runner = postlude.components.producer.attached
        assert runner is not None
        before = sum(runner.free)
        payload = b'{"a":[],"k":{"text":"a"}}'
        runner.accept(
            [
                Claim(seq, bytes([seq]) * 16, 1, "limited", "default", payload, 0, False, False, 1)
                for seq in (1, 2)
            ]
        )
        assert sum(runner.free) == before - 2
        await turns()


async def test_what_was_cancelled_while_its_response_was_on_its_way_does_not_run(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        runner, (first, second) = await committed(postlude, note, note)
        runner.stop_asked([second.seq])
        postlude.components.producer.start([first, second])
        await becomes(postlude, first.job, State.SUCCEEDED)
        await becomes(postlude, second.job, State.CANCELLED)
    assert LOG == ["a"]


async def test_what_waits_for_its_response_is_not_given_back(log: list[str]) -> None:
    """The loop has hung; whoever claimed it, this process too, would run it before the response has ended."""
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        runner, works = await committed(postlude, note, note)
        assert await asyncio.to_thread(runner.give_back) == 0
        postlude.components.producer.start(works)
        for work in works:
            await becomes(postlude, work.job, State.SUCCEEDED)
        await runner.idle()
    assert LOG == ["a", "b"]


async def test_what_waits_for_its_response_takes_nobodys_place(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        waiting = [await committed(postlude, note, note) for _ in range(3)]
        runner = waiting[0][0]
        assert runner.load == 0
        assert runner.ahead == runner.pace.limit
        for _, works in waiting:
            postlude.components.producer.start(works)
        assert runner.load == 3, "of each request one can run"
        await runner.idle()
        assert runner.load == 0
    assert LOG.count("a") == 3


async def test_who_is_cancelled_before_its_response_has_ended_ends_then(log: list[str]) -> None:
    """What follows it still waits for the response."""
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        runner, (first, second) = await committed(postlude, note, note)
        runner.stop_asked([first.seq])
        await becomes(postlude, first.job, State.CANCELLED)
        await turns()
        assert LOG == []
        postlude.components.producer.start([first, second])
        await becomes(postlude, second.job, State.SUCCEEDED)
    assert LOG == ["b"]


async def test_a_cancelled_follower_lets_nobody_start_before_its_turn(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        go = shut()
        runner, (first, second, third) = await committed(postlude, hold, note, note)
        postlude.components.producer.start([first, second, third])
        runner.stop_asked([second.seq])
        await becomes(postlude, second.job, State.CANCELLED)
        await turns()
        assert LOG == []
        go.set()
        await becomes(postlude, third.job, State.SUCCEEDED)
    assert LOG == ["a held", "c"]


async def test_a_runner_that_has_closed_starts_nothing_more(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        runner, works = await committed(postlude, note)
        assert len(await runner.close()) == 1
        runner.start(works)
        await turns()
        assert LOG == []


async def test_what_is_claimed_in_the_turn_that_lets_it_start_runs_once(log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    async with serving(postlude):
        runner, (held,) = await committed(postlude, note)
        runner.claimer.stopped = True
        producer = postlude.components.producer
        queued = producer.prepare(note, ("queued",), {})
        await producer.store([queued])
        assert held.fence
        assert not queued.fence
        runner.waiters.expect([queued])
        claims = (await postlude.components.store.claim(runner.number, 10, suspect=True)).claims
        producer.start([held, queued])
        runner.accept(claims)
        for work in (held, queued):
            await becomes(postlude, work.job, State.SUCCEEDED)
        await turns()
    assert sorted(LOG) == ["a", "queued"]
