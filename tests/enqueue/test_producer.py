"""A request's jobs on their way to the journal: asked for at once, held by the runner when they are there."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Postlude
from postlude.clock import SystemClock
from postlude.enqueue.producer import Producer
from postlude.errors import ForkedJournal, JobRefused, JournalUnavailable
from postlude.model.job import Added, NewJob
from postlude.model.state import State
from postlude.runner.attempt.work import Work
from postlude.runner.runner import Runner
from postlude.stores.memory.store import MemoryStore
from postlude.stores.reply import Reply
from postlude.stores.values import Deed
from tests.app.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SlowStore(MemoryStore):
    """Answers an `add` when the test says so."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.adds: list[tuple[int, int | None]] = []
        """Of each call, how many jobs it brought, and for whom."""
        self.withdraws = False
        self._told: list[tuple[Reply[list[Added]], Reply[list[Added]]]] = []

    def add(
        self,
        jobs: Sequence[NewJob],
        *,
        claim_for: int | None = None,
        budget: float | None = None,
        by: Deed | None = None,
    ) -> Reply[list[Added]]:
        self.adds.append((len(jobs), claim_for))
        slow: Reply[list[Added]] = Slow(self) if self.withdraws else Reply.here()
        if not self.withdraws:
            self._told.append((slow, super().add(jobs, claim_for=claim_for, budget=budget, by=by)))
        return slow

    def answer(self, refusal: Exception | None = None) -> None:
        told, self._told = self._told, []
        for slow, stored in told:
            slow.resolve(None if refusal else stored.value, refusal or stored.error)
            slow.deliver()


class Slow(Reply[list[Added]]):
    """What the store has not begun with."""

    def __init__(self, store: SlowStore) -> None:
        super().__init__(asyncio.get_running_loop())

    def withdraw(self) -> bool:
        return True


ran: list[str] = []


async def note(name: str) -> None:
    ran.append(name)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class Scene:
    """A served application whose journal answers when the test says so."""

    def __init__(self, store: SlowStore, producer: Producer) -> None:
        assert producer.attached is not None
        self.store = store
        self.producer = producer
        self.runner: Runner = producer.attached

    def commit(self, name: str = "a") -> tuple[Work, "asyncio.Task[None]"]:
        work = self.producer.prepare(note, (name,), {})
        return work, asyncio.create_task(self.producer.commit([work]))

    @property
    def reserved(self) -> int:
        return self.runner._held.reserved


async def staged(test: Callable[[Scene], Any]) -> None:
    store = SlowStore()
    postlude = Postlude(FastAPI(), store=store)
    async with serving(postlude):
        await test(Scene(store, postlude.components.producer))
        store.answer()


async def test_each_request_asks_for_its_own_jobs_and_the_runner_expects_them() -> None:
    async def test(scene: Scene) -> None:
        works, commits = zip(*[scene.commit() for _ in range(3)], strict=True)
        await asyncio.sleep(0)
        assert scene.store.adds == [(1, scene.runner.number)] * 3
        assert scene.reserved == 3
        scene.store.answer()
        await asyncio.gather(*commits)
        assert scene.reserved == 0
        assert [work.runner for work in works] == [scene.runner._held] * 3
        scene.producer.start(works)
        await scene.producer.settle(works)
        assert ran == ["a"] * 3

    await staged(test)


async def test_what_the_runner_cannot_hold_is_queued() -> None:
    async def test(scene: Scene) -> None:
        scene.runner.pace.limit = 2
        works, commits = zip(*[scene.commit() for _ in range(3)], strict=True)
        await asyncio.sleep(0)
        assert [holder for _, holder in scene.store.adds] == [scene.runner.number] * 2 + [None]
        scene.runner.pace.limit = 100
        scene.store.answer()
        await asyncio.gather(*commits)
        assert scene.reserved == 0
        scene.producer.start(works)
        await scene.producer.settle(works)

    await staged(test)


async def test_who_is_cancelled_before_it_is_taken_withdraws() -> None:
    async def test(scene: Scene) -> None:
        scene.store.withdraws = True
        work, commit = scene.commit()
        await asyncio.sleep(0)
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
        assert scene.reserved == 0
        assert work.runner is None
        assert await scene.store.get(work.id) is None

    await staged(test)


async def test_who_is_cancelled_while_it_is_stored_has_a_job_that_runs() -> None:
    async def test(scene: Scene) -> None:
        work, commit = scene.commit("late")
        await asyncio.sleep(0)
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
        assert scene.reserved == 1, "it is about to be there"
        scene.store.answer()
        await asyncio.sleep(0)
        await scene.producer.settle([work])
        assert ran == ["late"]
        assert scene.reserved == 0

    await staged(test)


async def test_who_is_cancelled_in_the_turn_of_the_answer_has_a_job_that_runs_once() -> None:
    async def test(scene: Scene) -> None:
        work, commit = scene.commit("late")
        await asyncio.sleep(0)
        scene.store.answer()
        commit.cancel()  # its answer is there, and it has not heard of it
        with pytest.raises(asyncio.CancelledError):
            await commit
        await asyncio.sleep(0)
        await scene.producer.settle([work])
        record = await scene.store.get(work.id)
        assert record is not None
        assert record.state is State.SUCCEEDED
        assert ran == ["late"]

    await staged(test)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_is_not_stored_is_not_expected_any_more(cancelled: bool) -> None:
    async def test(scene: Scene) -> None:
        _, commit = scene.commit()
        await asyncio.sleep(0)
        if cancelled:
            commit.cancel()
            await asyncio.wait([commit])
        scene.store.answer(JournalUnavailable("the disk is gone"))
        with pytest.raises(asyncio.CancelledError if cancelled else JournalUnavailable):
            await commit
        await asyncio.sleep(0)
        assert scene.reserved == 0
        assert scene.runner.reconciler._arisen is not cancelled

    await staged(test)


async def test_what_is_refused_leaves_no_doubt_about_the_journal() -> None:
    async def test(scene: Scene) -> None:
        _, commit = scene.commit()
        await asyncio.sleep(0)
        scene.store.answer(JobRefused("there is such a job"))
        with pytest.raises(JobRefused):
            await commit
        assert scene.reserved == 0
        assert scene.runner.reconciler._arisen is False

    await staged(test)


async def test_a_journal_that_cannot_be_asked_leaves_nothing_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(scene: Scene) -> None:
        def forked(*args: object, **kwargs: object) -> None:
            raise ForkedJournal("this process was forked")

        with monkeypatch.context() as patch:
            patch.setattr(scene.store, "add", forked)
            with pytest.raises(ForkedJournal):
                await scene.commit()[1]
        assert scene.reserved == 0

    await staged(test)
