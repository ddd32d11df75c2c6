"""Limits and rates, of a queue and of a task, as cases for any engine."""

import asyncio
from collections import Counter

from postlude.model.limits import Limit, Rate
from postlude.model.state import Reason, State
from postlude.testing.conformance.application import PATIENCE, Application, EngineBench, case


class EngineLimits:
    """The cases of them."""

    @case
    async def test_its_limit_holds(self, bench: EngineBench) -> None:
        app = Application(bench, limit=Limit(1))
        async with app.serving():
            jobs = await app.add(app.note, *range(6))
            for job in jobs:
                await job.result(timeout=PATIENCE)
        assert app.most == 1

    @case
    async def test_its_rate_holds(self, bench: EngineBench) -> None:
        app = Application(bench, rate=Rate(1, per=3600))
        async with app.serving() as postlude:
            first, second = await app.add(app.note, 1, 2)
            assert await first.result(timeout=PATIENCE) == 2
            await asyncio.sleep(bench.a_while)
            status = await postlude.inspector.get(second.id)
            assert (status.state, status.reason) == (State.QUEUED, Reason.RATE)

    @case
    async def test_a_tasks_limit_holds(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            jobs = await postlude.add_tasks([app.pair.call(number) for number in range(8)])
            assert [await job.result(timeout=PATIENCE) for job in jobs] == [*range(0, 16, 2)]
        assert app.ran == Counter(range(8))
        assert app.most <= 2

    @case
    async def test_what_a_tasks_limit_holds_up_holds_up_no_other(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            one, two, other = await postlude.add_tasks(
                [app.alone.call(0), app.alone.call(1), app.note.call(2)]
            )
            assert await other.result(timeout=PATIENCE) == 4
            await app.until_begun(2)
            await asyncio.sleep(bench.a_while)
            assert app.ran == Counter([0, 2])
            app.go_on.set()
            assert [await job.result(timeout=PATIENCE) for job in (one, two)] == [0, 1]

    @case
    async def test_a_tasks_limit_holds_for_each_value_of_an_argument(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            calls = [app.owned.call(owner, number) for number, owner in enumerate("aabb")]
            jobs = await postlude.add_tasks(calls)
            await app.until_begun(2)
            await asyncio.sleep(bench.a_while)
            assert app.ran == Counter([0, 2])
            app.go_on.set()
            assert [await job.result(timeout=PATIENCE) for job in jobs] == [0, 1, 2, 3]
        assert app.ran == Counter(range(4))

    @case
    async def test_what_fails_leaves_its_place_below_a_tasks_limit(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            for job in await postlude.add_tasks([app.fragile.call(number) for number in range(3)]):
                await app.until_state(job, State.FAILED)

    @case
    async def test_a_tasks_rate_holds(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            calls = [app.rare.call(1), app.rare.call(2), app.note.call(3)]
            first, second, other = await postlude.add_tasks(calls)
            assert [await job.result(timeout=PATIENCE) for job in (first, other)] == [2, 6]
            await asyncio.sleep(bench.a_while)
            status = await postlude.inspector.get(second.id)
            assert (status.state, status.reason) == (State.QUEUED, Reason.RATE)
        assert app.ran == Counter([1, 3])
