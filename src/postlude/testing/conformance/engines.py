"""What `postlude.engines.protocol` promises, as tests for any engine.

An engine passes if a class of its test suite, derived from `EngineConformance` and given a `bench`
fixture, passes under pytest::

    from postlude.testing.conformance.engines import EngineBench, EngineConformance

    class MyBench(EngineBench):
        def engine(self, limit=None, rate=None):
            return MyEngine(limit, rate)

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def bench(self):
            return MyBench()
"""

import asyncio
import time
from collections import Counter

from postlude.engines.protocol import Engine
from postlude.model.event.jobs import JobsAdded
from postlude.model.job import Cancel
from postlude.model.limits import Limit, Rate
from postlude.model.state import Reason, State
from postlude.testing.conformance.application import PATIENCE, QUEUE, Application, EngineBench, case
from postlude.testing.conformance.engine_limits import EngineLimits

__all__ = ["EngineBench", "EngineConformance"]


class EngineConformance(EngineLimits):
    """Every case. Derive from it and give it a `bench` fixture that returns an `EngineBench`."""

    @case
    async def test_what_is_added_runs_and_its_result_is_kept(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving():
            (job,) = await app.add(app.note, 21)
            assert await job.result(timeout=PATIENCE) == 42

    @case
    async def test_each_runs_once(self, bench: EngineBench) -> None:
        app, numbers = Application(bench), range(40)
        async with app.serving():
            jobs = await app.add(app.note, *numbers)
            assert [await job.result(timeout=PATIENCE) for job in jobs] == [2 * number for number in numbers]
        assert app.ran == Counter(numbers)

    @case
    async def test_other_queues_go_on_beside_it(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving():
            await app.add(app.last, 1)
            (job,) = await app.add(app.elsewhere, 2)
            assert await job.result(timeout=PATIENCE) == 4

    @case
    async def test_what_waited_before_it_began_is_run(self, bench: EngineBench) -> None:
        app = Application(bench)
        (job,) = await app.add(app.note, 1)
        assert await app.state(job) is State.QUEUED
        async with app.serving():
            assert await job.result(timeout=PATIENCE) == 2

    @case
    async def test_what_failed_is_tried_again(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving():
            (job,) = await app.add(app.fail, 7)
            assert await job.result(timeout=PATIENCE) == 7
        assert app.ran[7] == 2

    @case
    async def test_what_is_delayed_runs_when_it_is_due(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving():
            since = time.monotonic()
            (job,) = await app.add(app.note.using(delay=2 * bench.a_while), 1)
            assert await job.result(timeout=PATIENCE) == 2
            assert time.monotonic() - since >= 2 * bench.a_while

    @case
    async def test_nothing_starts_while_its_queue_is_paused(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            await postlude.pause(QUEUE)
            (job,) = await app.add(app.note, 1)
            await asyncio.sleep(bench.a_while)
            assert await app.state(job) is State.QUEUED
            await postlude.resume(QUEUE)
            assert await job.result(timeout=PATIENCE) == 2

    @case
    async def test_a_pause_holds_also_for_what_it_was_told_of(self, bench: EngineBench) -> None:
        app = Application(bench, slots=4)
        async with app.serving() as postlude:
            running = await postlude.add_tasks([app.waits.call(number) for number in range(4)])
            await app.until_begun(4)
            jobs = await app.add(app.note, 4, 5, 6)
            await asyncio.sleep(bench.a_while)
            await postlude.pause(QUEUE)
            app.go_on.set()
            assert [await job.result(timeout=PATIENCE) for job in running] == [0, 1, 2, 3]
            await asyncio.sleep(bench.a_while)
            assert [await app.state(job) for job in jobs] == 3 * [State.QUEUED]
            await postlude.resume(QUEUE)
            assert [await job.result(timeout=PATIENCE) for job in jobs] == [8, 10, 12]
        assert app.ran == Counter(range(7))

    @case
    async def test_what_was_cancelled_does_not_run(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            await postlude.pause(QUEUE)
            cancelled, other = await app.add(app.note, 1, 2)
            assert await postlude.cancel(cancelled.id) is Cancel.CANCELLED
            await postlude.resume(QUEUE)
            assert await other.result(timeout=PATIENCE) == 4
        assert app.ran == Counter([2])

    @case
    async def test_what_raises_has_failed_with_its_error(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            (job,) = await app.add(app.broken, 7)
            await app.until_state(job, State.FAILED)
            assert (await postlude.inspector.get(job.id)).error == "LookupError: 7"

    @case
    async def test_what_runs_is_cancelled_and_says_how_far_it_was(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            (job,) = await app.add(app.hangs, 7)
            await app.until_state(job, State.RUNNING)

            async def told() -> bool:
                return (await postlude.inspector.get(job.id)).progress is not None

            await app.until(told)
            assert await postlude.cancel(job.id) is Cancel.ASKED
            await app.until_state(job, State.CANCELLED)
            progress = (await postlude.inspector.get(job.id)).progress
            assert progress is not None
            assert (progress.done, progress.total, progress.message) == (7, 100, "hangs")

    @case
    async def test_what_takes_too_long_has_failed(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving() as postlude:
            (job,) = await app.add(app.hangs.using(timeout=0.2), 7)
            await app.until_state(job, State.FAILED)
            assert (await postlude.inspector.get(job.id)).reason is Reason.TIMED_OUT

    @case
    async def test_a_key_makes_one_of_two_calls(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving():
            first, second = await app.add(app.note.using(key="k", delay=bench.a_while), 7, 7)
            assert [await job.result(timeout=PATIENCE) for job in (first, second)] == [14, 14]
        assert app.ran == Counter([7])

    @case
    async def test_what_waits_starts_by_priority(self, bench: EngineBench) -> None:
        app = Application(bench, limit=Limit(1))
        async with app.serving() as postlude:
            await postlude.pause(QUEUE)
            jobs = await app.add(app.note, 1, 2, 3)
            jobs += await app.add(app.note.using(priority=-5), 4, 5)
            jobs += await app.add(app.note.using(priority=5), 6)
            jobs += await app.add(app.note.using(priority=-10), 7)
            await postlude.resume(QUEUE)
            for job in jobs:
                await job.result(timeout=PATIENCE)
        if bench.window is None:
            assert sorted(app.order) == [1, 2, 3, 4, 5, 6, 7]
        else:
            assert app.order == [7, 4, 5, 1, 2, 3, 6]

    @case
    async def test_what_comes_first_overtakes_all_but_its_window(self, bench: EngineBench) -> None:
        app, many = Application(bench, slots=4, ahead=8), 8 * (bench.window or 5)
        async with app.serving() as postlude:
            jobs = await postlude.add_tasks([app.note.call(number) for number in range(1, many + 1)])
            await app.until_begun(1)
            (urgent,) = await app.add(app.note.using(priority=-10), 0)
            before = len(app.order)
            for job in [*jobs, urgent]:
                await job.result(timeout=PATIENCE)
        assert app.ran == Counter(range(many + 1))
        if bench.window is not None:  # a few start while it is on its way
            assert app.order.index(0) <= before + 2 * bench.window < many

    @case
    async def test_what_it_does_not_know_is_parked_until_it_does(self, bench: EngineBench) -> None:
        app = Application(bench)
        parked = await app.left_by_another_release(1)
        async with app.serving() as postlude:
            await app.until_state(parked, State.PARKED)
            assert (await postlude.inspector.get(parked.id)).reason is Reason.UNKNOWN_TASK
            (other,) = await app.add(app.note, 2)
            assert await other.result(timeout=PATIENCE) == 4
            assert app.ran == Counter([2])
            app.learn()
            assert await parked.result(timeout=PATIENCE) == 2
        assert app.ran == Counter([1, 2])

    @case
    async def test_the_end_waits_for_what_runs_and_begins_nothing(self, bench: EngineBench) -> None:
        app = Application(bench, limit=Limit(1))
        async with app.serving():
            running, _ = await app.add(app.last, 1, 2)

            await app.until_begun(1)
            stopping = asyncio.create_task(app.postlude.drain())
            await asyncio.sleep(bench.a_while)
            assert not stopping.done()
            app.go_on.set()
            await stopping
            assert await app.state(running) is State.SUCCEEDED

    @case
    async def test_after_the_end_nothing_runs_until_it_begins_again(self, bench: EngineBench) -> None:
        app = Application(bench)
        async with app.serving():
            (first,) = await app.add(app.note, 1)
            await first.result(timeout=PATIENCE)
        (job,) = await app.add(app.note, 2)
        await asyncio.sleep(bench.a_while)
        assert app.ran == Counter([1])
        async with app.serving():
            assert await job.result(timeout=PATIENCE) == 4

    @case
    async def test_once_abandoned_it_begins_nothing(self, bench: EngineBench) -> None:
        app = Application(bench)
        lifespan = app.postlude.begin()
        await lifespan.open()
        await lifespan.start()
        (first,) = await app.add(app.note, 1)
        await first.result(timeout=PATIENCE)
        await lifespan.close()
        await app.add(app.note, 2)
        await asyncio.sleep(bench.a_while)
        assert app.ran == Counter([1])

    @case
    async def test_what_is_published_twice_or_is_none_of_its_jobs_does_no_harm(
        self, bench: EngineBench
    ) -> None:
        app = Application(bench)
        app.engine.publish(QUEUE, [bytes(16)])
        async with app.serving():
            (job,) = await app.add(app.note, 1)
            id = bytes.fromhex(job.id.replace("-", ""))
            for _ in range(3):
                app.engine.publish(QUEUE, [id, bytes(16), id])
            assert await job.result(timeout=PATIENCE) == 2
            app.engine.publish(QUEUE, [id])
            (another,) = await app.add(app.note, 2)
            assert await another.result(timeout=PATIENCE) == 4
        assert app.ran == Counter([1, 2])

    @case
    async def test_born_claimed_only_where_the_applications_runners_run_it(self, bench: EngineBench) -> None:
        app = Application(bench)
        told: list[JobsAdded] = []
        app.store.events.listen(told.append, JobsAdded)
        async with app.serving():
            (job,) = await app.add(app.note, 1)
            await job.result(timeout=PATIENCE)
        assert [added.fence > 0 for one in told for added in one.added] == [app.engine.here]

    def test_what_it_says_of_itself_stays(self, bench: EngineBench) -> None:
        engine = bench.engine(Limit(3), Rate(5, per=7))
        assert isinstance(engine, Engine)
        assert (engine.limit, engine.rate) == (Limit(3), Rate(5, per=7))
        assert engine.promise is None or engine.promise >= 0
        assert engine.concurrency is None or engine.concurrency > 0
        assert engine.here or engine.promise is not None, "nobody waits for ever for what may not run here"
