"""Plain jobs of requests that end together are stored with one call."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Postlude
from postlude.clock import SystemClock
from postlude.config import Config
from postlude.enqueue import batcher as gathering
from postlude.enqueue.batcher import Batcher
from postlude.errors import ForkedJournal, JournalUnavailable
from postlude.model.job import Added, NewJob
from postlude.model.state import State
from postlude.runner.attempt.work import Work
from postlude.stores.grouped.backend import Broken
from postlude.stores.grouped.batching import ENOUGH
from postlude.stores.memory.store import MemoryStore
from postlude.stores.protocol import BatchSource
from postlude.stores.reply import Reply
from tests.app.serving import serving

pytestmark = pytest.mark.anyio

TOGETHER = 5.0
"""Seconds in which jobs become one call here: longer than a busy machine keeps a test waiting."""


@pytest.fixture(autouse=True)
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "TOGETHER", TOGETHER)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Callable[[], None]]]:
    """What the loop is asked to call later, and does not."""
    timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(delay: float, call: Callable[[], None]) -> object:
        timers.append((delay, call))
        return object()

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
    return timers


class Doubting:
    def __init__(self) -> None:
        self.arisen = 0

    def arise(self) -> None:
        self.arisen += 1


class HoldingRunner:
    """Holds what it is given, up to a limit, and notes what it starts."""

    def __init__(self, limit: int = 1000) -> None:
        self.loop = asyncio.get_running_loop()
        self.limit = limit
        self.reserved = 0
        self.held: list[Work] = []
        self.started: list[Work] = []
        self.reconciler = Doubting()

    def follow(self, before: Work, work: Work) -> None:
        raise AssertionError("of one request each")

    @property
    def ahead(self) -> int:
        return self.limit - len(self.held) - self.reserved

    def reserve(self, jobs: int) -> int | None:
        if jobs > self.ahead:
            return None
        self.reserved += jobs
        return 7

    def decline(self, jobs: int) -> None:
        self.reserved -= jobs

    def take(
        self, works: Sequence[Work], added: Sequence[Added], reserved: int, *, alone: bool = False
    ) -> None:
        self.reserved -= reserved
        for work, (seq, fence, _) in zip(works, added, strict=True):
            work.seq, work.fence = seq, fence
            if fence:
                work.runner = self
                self.held.append(work)

    def start(self, works: Iterable[Work]) -> None:
        self.started += works


class OpenStore:
    """Keeps what it is asked until the test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[bytes], int | None, float]] = []
        self.replies: list[Reply[list[Added]]] = []
        self.guests: list[BatchSource] = []
        self.refuses: Callable[[Sequence[NewJob]], Exception | None] = lambda jobs: None

    def gather(self, guest: BatchSource) -> None:
        self.guests.append(guest)

    def declare(self, bounds: object) -> Reply[None]:
        return Reply.of(None)

    def add(self, jobs: Sequence[NewJob], *, claim_for: int | None, budget: float) -> Reply[list[Added]]:
        self.asked.append(([job.id for job in jobs], claim_for, budget))
        refused = self.refuses(jobs)
        if isinstance(refused, ForkedJournal):
            raise refused
        reply: Reply[list[Added]] = Reply.here()
        if refused is not None:
            reply.resolve(None, refused)
            reply.deliver()
        self.replies.append(reply)
        return reply

    def answer(self, reply: Reply[list[Added]], fence: int = 1) -> None:
        jobs = self.asked[self.replies.index(reply)][0]
        reply.resolve([Added(id[0] + 1, fence) for id in jobs], None)
        reply.deliver()


class Telling:
    def __init__(self) -> None:
        self.told = 0

    def tell(self) -> None:
        self.told += 1


class Scene:
    """A gathering among things that do what the test says."""

    def __init__(self, *, limit: int = 1000, budget: float = 30.0) -> None:
        self.store = OpenStore()
        self.runner = HoldingRunner(limit)
        self.telling = Telling()
        components: Any = (self.store, self.runner, Config(budget=budget), self.telling)
        self.gathering = Batcher(*components)
        self.works: list[Work] = []

    def add(self, queue: str = "default") -> asyncio.Future[None]:
        self.works.append(Work(bytes([len(self.works)]) * 16, "app:f", queue, b"{}", 5))
        return self.gathering.add(self.works[-1])

    def ids(self, *numbers: int) -> list[bytes]:
        return [self.works[number].id for number in numbers]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def refusal(cause: Exception) -> JournalUnavailable:
    error = JournalUnavailable("the journal did not take the write")
    error.__cause__ = cause
    return error


async def test_they_are_asked_for_with_one_call_and_answered_in_order() -> None:
    scene = Scene()
    woken: list[int] = []
    waiters = [scene.add() for _ in range(3)]
    for number, waiter in enumerate(waiters):
        waiter.add_done_callback(lambda _, number=number: woken.append(number))  # type: ignore[misc]
    assert scene.store.guests == [scene.gathering]
    assert len(scene.gathering) == 3
    assert scene.store.asked == []
    scene.gathering.hand_in()
    [(ids, holder, budget)] = scene.store.asked
    assert (ids, holder) == (scene.ids(0, 1, 2), 7)
    assert 29 < budget <= 30
    assert scene.telling.told == 1
    assert len(scene.gathering) == 0
    assert scene.runner.reserved == 3
    assert not any(waiter.done() for waiter in waiters)
    scene.store.answer(scene.store.replies[0])
    await turns()
    assert woken == [0, 1, 2]
    assert scene.runner.reserved == 0
    assert scene.runner.held == scene.works
    assert scene.runner.started == [], "that is their requests' matter"


async def test_what_comes_after_goes_with_the_next_call() -> None:
    scene = Scene()
    scene.add()
    scene.gathering.hand_in()
    scene.add()
    assert scene.store.guests == [scene.gathering] * 2
    scene.gathering.hand_in()
    assert [ids for ids, _, _ in scene.store.asked] == [scene.ids(0), scene.ids(1)]
    scene.gathering.hand_in()
    assert len(scene.store.asked) == 2, "there was nothing more"


async def test_each_queue_has_a_call_of_its_own() -> None:
    scene = Scene()
    for queue in ("a", "b", "a"):
        scene.add(queue)
    assert scene.store.guests == [scene.gathering]
    scene.gathering.hand_in()
    assert [ids for ids, _, _ in scene.store.asked] == [scene.ids(0, 2), scene.ids(1)]


async def test_what_the_runner_does_not_hold_is_queued_behind_the_rest() -> None:
    scene = Scene(limit=2)
    waiters = [scene.add() for _ in range(3)]
    scene.gathering.hand_in()
    assert [(ids, holder) for ids, holder, _ in scene.store.asked] == [
        (scene.ids(0, 1), 7),
        (scene.ids(2), None),
    ]
    for reply, fence in zip(scene.store.replies, (1, 0), strict=True):
        scene.store.answer(reply, fence)
    await asyncio.gather(*waiters)
    assert scene.runner.held == scene.works[:2]
    assert scene.runner.reserved == 0
    scene.add()
    scene.gathering.hand_in()
    assert scene.store.asked[2:] == [(scene.ids(3), None, scene.store.asked[2][2])]


async def test_many_do_not_wait_for_company() -> None:
    scene = Scene()
    for _ in range(ENOUGH):
        assert scene.store.asked == []
        scene.add()
    [(ids, _, _)] = scene.store.asked
    assert len(ids) == ENOUGH
    assert len(scene.gathering) == 0


async def test_who_is_cancelled_before_withdraws() -> None:
    scene = Scene()
    first, second = scene.add(), scene.add()
    first.cancel()
    scene.gathering.leave(scene.works[0], first)
    assert len(scene.gathering) == 1
    scene.gathering.hand_in()
    assert scene.store.asked[0][0] == scene.ids(1)
    scene.store.answer(scene.store.replies[0])
    await second
    assert scene.runner.held == scene.works[1:]


async def test_who_is_cancelled_in_the_turn_of_the_hand_over_has_withdrawn() -> None:
    scene = Scene()
    waiters = [scene.add() for _ in range(3)]
    waiters[1].cancel()  # its task hears of it in the next turn
    scene.gathering.hand_in()
    scene.gathering.leave(scene.works[1], waiters[1])
    assert scene.store.asked[0][0] == scene.ids(0, 2)
    assert len(scene.gathering) == 0
    scene.store.answer(scene.store.replies[0])
    await waiters[2]
    assert scene.runner.held == [scene.works[0], scene.works[2]]
    assert scene.runner.started == []


async def test_when_all_have_withdrawn_the_next_one_asks_anew() -> None:
    scene = Scene()
    only = scene.add()
    only.cancel()
    scene.gathering.leave(scene.works[0], only)
    scene.add()
    assert len(scene.store.guests) == 2
    scene.gathering.hand_in()
    assert [ids for ids, _, _ in scene.store.asked] == [scene.ids(1)]


async def test_who_is_cancelled_while_it_is_stored_has_a_job_that_runs() -> None:
    scene = Scene()
    first, second = scene.add(), scene.add()
    scene.gathering.hand_in()
    first.cancel()
    scene.gathering.leave(scene.works[0], first)
    scene.store.answer(scene.store.replies[0])
    await second
    assert scene.runner.started == scene.works[:1]


async def test_who_is_cancelled_while_it_is_queued_has_a_job_that_others_run() -> None:
    scene = Scene(limit=0)
    first = scene.add()
    scene.gathering.hand_in()
    first.cancel()
    scene.store.answer(scene.store.replies[0], fence=0)
    await turns()
    assert scene.runner.started == []


async def test_who_is_cancelled_in_the_turn_of_the_answer_has_a_job_that_runs_once() -> None:
    scene = Scene()

    async def request() -> None:
        waiter = scene.add()
        try:
            await waiter
        except asyncio.CancelledError:
            scene.gathering.leave(scene.works[0], waiter)
            raise

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    scene.gathering.hand_in()

    def cancel(_: Reply[list[Added]]) -> None:
        task.cancel()

    scene.store.replies[0].then(cancel)  # just after the gathering's own
    scene.store.answer(scene.store.replies[0])
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.runner.started == scene.works


async def test_what_is_not_confirmed_is_said_to_all() -> None:
    scene = Scene()
    waiters = [scene.add() for _ in range(3)]
    scene.store.refuses = lambda jobs: JournalUnavailable("not confirmed")
    scene.gathering.hand_in()
    waiters[1].cancel()
    for waiter in (waiters[0], waiters[2]):
        with pytest.raises(JournalUnavailable, match="not confirmed"):
            await waiter
    assert len(scene.store.asked) == 1
    assert scene.runner.reserved == 0
    assert scene.runner.reconciler.arisen == 1


async def test_a_broken_journal_is_not_asked_again() -> None:
    scene = Scene()
    waiters = [scene.add() for _ in range(2)]
    scene.store.refuses = lambda jobs: refusal(Broken("gone"))
    scene.gathering.hand_in()
    for waiter in waiters:
        with pytest.raises(JournalUnavailable):
            await waiter
    assert len(scene.store.asked) == 1


async def test_one_that_is_refused_does_not_fail_the_others() -> None:
    scene = Scene()
    waiters = [scene.add() for _ in range(3)]
    bad = scene.works[1].id
    scene.store.refuses = lambda jobs: refusal(ValueError()) if bad in [job.id for job in jobs] else None
    scene.gathering.hand_in()
    await turns()
    assert [ids for ids, _, _ in scene.store.asked[1:]] == [scene.ids(0), scene.ids(1), scene.ids(2)]
    for reply in (scene.store.replies[1], scene.store.replies[3]):
        scene.store.answer(reply)
    await waiters[0]
    await waiters[2]
    with pytest.raises(JournalUnavailable):
        await waiters[1]
    assert scene.runner.held == [scene.works[0], scene.works[2]]
    assert scene.runner.reserved == 0


async def test_an_error_in_asking_reaches_who_waits() -> None:
    scene = Scene()
    waiters = [scene.add("a"), scene.add("b")]
    scene.store.refuses = lambda jobs: ForkedJournal("forked")
    scene.gathering.hand_in()
    for waiter in waiters:
        with pytest.raises(ForkedJournal):
            await waiter
    assert scene.runner.reserved == 0


async def test_a_journal_that_never_comes_to_it_does_not_hold_anybody_beyond_the_budget() -> None:
    scene = Scene(budget=0.02)
    late = scene.add()
    with pytest.raises(JournalUnavailable, match="within its budget"):
        await late
    scene.gathering.hand_in()
    assert scene.store.asked == [], "it is certainly not stored"
    assert len(scene.gathering) == 0
    later = scene.add()
    assert len(scene.store.guests) == 2
    with pytest.raises(JournalUnavailable):
        await asyncio.wait_for(later, 5)
    scene.add()
    scene.gathering.hand_in()
    assert scene.store.asked[0][0] == scene.ids(2)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(gathering, "monotonic", lambda: now[0])
    return now


async def test_nobody_has_the_budget_of_a_much_earlier_one(now: list[float]) -> None:
    scene = Scene(budget=30)
    scene.add()
    now[0] += TOGETHER / 2
    scene.add()
    now[0] += TOGETHER
    scene.add()
    scene.add("another")
    now[0] = 110.0
    scene.gathering.hand_in()
    assert [(ids, round(budget, 6)) for ids, _, budget in scene.store.asked] == [
        (scene.ids(0, 1), 20),
        (scene.ids(2), 20 + 1.5 * TOGETHER),
        (scene.ids(3), 20 + 1.5 * TOGETHER),
    ]
    assert scene.store.guests == [scene.gathering]


async def test_who_comes_later_waits_longer(
    now: list[float], timers: list[tuple[float, Callable[[], None]]]
) -> None:
    scene = Scene(budget=30)
    first = scene.add()
    now[0] += 10
    second = scene.add()
    now[0] += 20
    [(delay, look)] = timers
    assert delay == 30
    look()
    with pytest.raises(JournalUnavailable, match="within its budget"):
        await first
    assert not second.done()
    assert len(scene.gathering) == 1
    assert [delay for delay, _ in timers] == [30, 10]
    now[0] += 10
    timers[1][1]()
    with pytest.raises(JournalUnavailable):
        await second
    assert len(timers) == 2
    assert len(scene.gathering) == 0


async def test_who_withdraws_from_among_many(now: list[float]) -> None:
    scene = Scene()
    waiters = [scene.add()]
    now[0] += 1
    waiters += [scene.add(), scene.add("another")]
    for number in (1, 0):
        waiters[number].cancel()
        scene.gathering.leave(scene.works[number], waiters[number])
    scene.add()
    scene.add("another")
    scene.gathering.hand_in()
    assert [ids for ids, _, _ in scene.store.asked] == [scene.ids(2, 4), scene.ids(3)]
    assert scene.store.guests == [scene.gathering]


async def test_an_answer_that_cannot_be_read_reaches_who_waits() -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    scene = Scene()
    waiters = [scene.add() for _ in range(2)]
    scene.gathering.hand_in()
    scene.store.replies[0].resolve([Added(1, 1)], None)
    scene.store.replies[0].deliver()
    for waiter in waiters:
        with pytest.raises(ValueError, match="zip"):
            await waiter
    assert len(told) == 1


async def test_what_was_asked_before_an_error_is_not_said_to_have_failed() -> None:
    scene = Scene(limit=1)
    first, second = scene.add(), scene.add()
    scene.store.refuses = lambda jobs: ForkedJournal("forked") if scene.store.replies else None
    scene.gathering.hand_in()
    with pytest.raises(ForkedJournal):
        await second
    assert not first.done()
    scene.store.answer(scene.store.replies[0])
    await first


async def test_one_timer_serves_all_that_gather_in_its_time(
    timers: list[tuple[float, Callable[[], None]]],
) -> None:
    scene = Scene()
    for _ in range(3):
        scene.add()
        scene.gathering.hand_in()
    assert [delay for delay, _ in timers] == [30.0]


class CountingStore(MemoryStore):
    """Notes how many jobs each call brings."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.calls: list[int] = []

    def add(
        self, jobs: Sequence[NewJob], *, claim_for: int | None = None, budget: float | None = None
    ) -> Reply[list[Added]]:
        self.calls.append(len(jobs))
        return super().add(jobs, claim_for=claim_for, budget=budget)


async def nothing() -> None:
    pass


async def test_a_producer_brings_plain_jobs_together() -> None:
    store = CountingStore()
    postlude = Postlude(FastAPI(), store=store)
    async with serving(postlude):
        producer = postlude.components.producer
        runner = producer.attached
        assert runner is not None
        works = [producer.prepare(nothing, (), {}) for _ in range(4)]
        await asyncio.gather(*[producer.commit([work]) for work in works])
        assert store.calls == [4]
        assert [work.runner for work in works] == [runner] * 4
        pair = [producer.prepare(nothing, (), {}) for _ in range(2)]
        await producer.commit(pair)
        assert store.calls == [4, 2], "several of one request have an order, and are a call"
        producer.start(works + pair)
        await producer.settle(works + pair)


async def test_a_commit_that_is_cancelled_before_is_not_stored() -> None:
    store = CountingStore()
    postlude = Postlude(FastAPI(), store=store)
    async with serving(postlude):
        producer = postlude.components.producer
        works = [producer.prepare(nothing, (), {}) for _ in range(2)]
        cancelled, other = (asyncio.create_task(producer.commit([work])) for work in works)
        await asyncio.sleep(0)
        cancelled.cancel()
        await other
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert await store.get(works[0].id) is None
        assert (await store.get(works[1].id)) is not None
        producer.start(works[1:])


async def test_a_commit_that_is_cancelled_with_its_answer_runs() -> None:
    store = CountingStore()
    postlude = Postlude(FastAPI(), store=store)
    async with serving(postlude):
        producer = postlude.components.producer
        work = producer.prepare(nothing, (), {})
        request = asyncio.create_task(producer.commit([work]))
        while work.runner is None:  # until the answer has come, and the request has not heard of it
            await asyncio.sleep(0)
        assert not request.done()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await producer.settle([work])
        record = await store.get(work.id)
        assert record is not None
        assert record.state is State.SUCCEEDED
