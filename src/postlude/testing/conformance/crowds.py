"""Many at once: threads that add, claim and finish, and loops that wait."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

from postlude.model.job import Claim, NewJob
from postlude.model.state import State
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


def together(*calls: Callable[[], None]) -> None:
    """Run calls in threads that start at the same moment; raise what the first of them raised."""
    batching = threading.Barrier(len(calls))
    errors: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        batching.wait(PATIENCE)
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if errors:
        raise errors[0]


class CrowdCases(Cases):
    def test_each_job_is_claimed_once_by_many_threads(self, driver: Driver) -> None:
        batches = [[driver.new() for _ in range(5)] for _ in range(40)]
        runners = [driver.enlist() for _ in range(3)]
        claims: list[Claim] = []
        added = threading.Semaphore(0)

        def add(mine: list[list[NewJob]]) -> None:
            for batch in mine:
                driver.add(*batch)
                added.release()

        def claim(runner: Enlisted) -> None:
            for _ in range(len(batches)):
                claims.extend(driver.claim(runner, 2))

        adders = [lambda part=part: add(batches[part::2]) for part in range(2)]
        together(*adders, *[lambda runner=runner: claim(runner) for runner in runners])
        while rest := driver.claim(runners[0]):
            claims += rest
        assert Counter(claim.id for claim in claims) == Counter(job.id for batch in batches for job in batch)

    def test_one_of_two_finishes_counts(self, driver: Driver) -> None:
        runner = driver.enlist()
        for _ in range(20):
            driver.add(driver.new())
            claim = driver.claim_one(runner)
            written: list[bool] = []

            def end(claim: Claim = claim, written: list[bool] = written) -> None:
                written.append(driver.finish(claim))

            together(end, end)
            assert sorted(written) == [False, True]

    def test_answers_arrive_on_a_loop(self, driver: Driver) -> None:
        async def work() -> State:
            job = driver.new()
            await driver.store.add([job])
            claims, *_ = await driver.store.claim(runner.runner, 10, suspect=False)
            assert await driver.store.finish([driver.finish_of(claim) for claim in claims]) == [True]
            record = await driver.store.get(job.id)
            assert record is not None
            return record.state

        runner = driver.enlist()
        assert asyncio.run(asyncio.wait_for(work(), PATIENCE)) is State.SUCCEEDED

    def test_many_adds_of_one_loop_are_all_answered(self, driver: Driver) -> None:
        async def work() -> set[int]:
            answers = await asyncio.gather(*[as_task(driver, driver.new()) for _ in range(100)])
            return set(answers)

        seqs = asyncio.run(asyncio.wait_for(work(), PATIENCE))
        assert len(seqs) == 100
        assert len(driver.claim(driver.enlist(), 200)) == 100

    def test_errors_arrive_on_a_loop(self, driver: Driver) -> None:
        async def work() -> bool:
            job = driver.new()
            try:
                await driver.store.add([job, job])
            except Exception:
                return True
            return False

        assert asyncio.run(asyncio.wait_for(work(), PATIENCE)) is True


async def as_task(driver: Driver, job: NewJob) -> int:
    """Add one job and return its place."""
    (added,) = await driver.store.add([job], budget=PATIENCE)
    return added.seq
