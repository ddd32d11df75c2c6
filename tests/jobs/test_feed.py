"""One read for each change of a job, however many listen to it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from postlude import JobNotFound, JournalUnavailable
from postlude.clock import ManualClock
from postlude.jobs import feed as feeds
from postlude.jobs.subscriptions import Hub, Subscription
from postlude.model.event.jobs import ProgressTold
from postlude.model.job import JobRecord, NewJob, Progress
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.state import State
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import NewRunner
from postlude.stores.reply import Reply
from tests.app.serving import eventually

pytestmark = pytest.mark.anyio

ID = bytes(range(16))
MANY = 1000


class CountedStore(MemoryStore):
    """A store in which one job lives, that counts how often it is asked for it."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.looks = 0
        self.down = False
        self.add([NewJob(ID, "app:task", "default", b"{}", 1)])
        self.runner = self.enlist(NewRunner("r", 15.0)).result().runner

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        self.looks += 1
        return Reply.failed(JournalUnavailable("not now")) if self.down else super().get(id)

    def step(self) -> State:
        """Bring the job to its next state: it is claimed, given back, claimed again and so on."""
        record = super().get(ID).result()
        assert record is not None
        if record.state is State.QUEUED:
            self.claim(self.runner, 1, suspect=False)
            return State.RUNNING
        self.retire(self.runner, draining=True)
        self.runner = self.enlist(NewRunner("r", 15.0)).result().runner
        return State.QUEUED

    def end(self) -> None:
        (claim,) = self.claim(self.runner, 1, suspect=False).result().claims
        self.finish([Finish(claim.seq, claim.fence, claim.task, 1, 2, SUCCEEDED)])


@pytest.fixture(autouse=True)
def stays_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, what was read may be old before a thousand have heard it."""
    monkeypatch.setattr(feeds, "FRESH", 60.0)


@pytest.fixture
async def store() -> CountedStore:
    return CountedStore()


@pytest.fixture
async def hub(store: CountedStore) -> Hub:
    return Hub(store)


class Listener:
    """Hears of the job, and remembers what it heard."""

    def __init__(self, hub: Hub, *, slow: float = 0.0) -> None:
        self.heard: list[State] = []
        self._slow = slow
        self._hub = hub

    async def listen(self) -> None:
        with self._hub.subscription(ID) as subscription:
            while not self.heard or self.heard[-1] is not State.SUCCEEDED:
                record = await subscription.news()
                assert record is not None
                self.heard.append(record.state)
                await asyncio.sleep(self._slow)


async def until(look: Callable[[], bool]) -> None:
    async def seen() -> bool | None:
        return look() or None

    await eventually(seen)


async def told(hub: Hub, store: CountedStore, listeners: list[Listener]) -> None:
    state = store.step()
    if state is State.RUNNING:  # else the store tells by itself
        hub.note(ID)
    await until(lambda: all(listener.heard[-1] is state for listener in listeners))


async def test_a_thousand_listeners_cost_one_read_for_each_change(hub: Hub, store: CountedStore) -> None:
    listeners = [Listener(hub) for _ in range(MANY)]
    tasks = [asyncio.create_task(listener.listen()) for listener in listeners]
    await until(lambda: all(len(listener.heard) == 1 for listener in listeners))
    assert store.looks == 1
    for change in range(1, 6):
        await told(hub, store, listeners)
        assert store.looks == 1 + change
    await told(hub, store, listeners)
    store.end()
    hub.note(ID)
    await asyncio.gather(*tasks)
    assert store.looks == 8
    assert not hub.watched
    assert {tuple(listener.heard) for listener in listeners} == {tuple(listeners[0].heard)}


async def test_nobody_is_woken_where_nothing_has_changed(hub: Hub, store: CountedStore) -> None:
    with hub.subscription(ID) as subscription:
        await subscription.news()
        waiting = asyncio.create_task(subscription.news())
        await asyncio.sleep(0)
        (audience,) = next(iter(hub.watched.values()))._audiences.values()
        (waiter,) = audience.waiters
        for _ in range(3):
            hub.note(ID)
            await asyncio.sleep(0.01)
        assert store.looks == 4
        assert not waiter.done()
        waiting.cancel()


async def test_who_comes_late_hears_the_state_of_now(hub: Hub, store: CountedStore) -> None:
    with hub.subscription(ID) as first:
        await first.news()
        late = [hub.subscription(ID) for _ in range(MANY)]
        for subscription in late:
            subscription.__enter__()
        records = await asyncio.gather(*(subscription.news() for subscription in late))
        assert {record.state for record in records if record is not None} == {State.QUEUED}
        assert store.looks <= 2, "what was read a moment ago, or one more look for all of them"
        for subscription in late:
            subscription.__exit__(None, None, None)
        assert hub.watched


async def test_old_news_is_not_for_who_comes_later(
    hub: Hub, store: CountedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "FRESH", 0.0)
    with hub.subscription(ID) as first:
        await first.news()
        store.step()  # nobody says so
        with hub.subscription(ID) as second:
            assert (await second.news()).state is State.RUNNING  # type: ignore[union-attr]
        assert (await first.news()).state is State.RUNNING  # type: ignore[union-attr]
        assert store.looks == 2


async def test_one_that_leaves_takes_no_news_along(hub: Hub, store: CountedStore) -> None:
    with hub.subscription(ID) as stays:
        await stays.news()
        tasks = [asyncio.create_task(Listener(hub).listen()) for _ in range(50)]
        await asyncio.sleep(0)
        store.step()
        hub.note(ID)
        for task in tasks:
            task.cancel()
        assert (await stays.news(within=5)).state is State.RUNNING  # type: ignore[union-attr]
        assert store.looks <= 3
    assert not hub.watched


async def test_a_slow_one_keeps_no_other_and_hears_the_last(hub: Hub, store: CountedStore) -> None:
    slow, quick = Listener(hub, slow=0.03), Listener(hub)
    tasks = [asyncio.create_task(each.listen()) for each in (slow, quick)]
    await until(lambda: bool(slow.heard and quick.heard))
    for change in range(2, 6):
        await told(hub, store, [quick])
        assert len(quick.heard) == change
    store.end()
    hub.note(ID)
    await asyncio.gather(*tasks)
    assert slow.heard[-1] is State.SUCCEEDED
    assert len(slow.heard) < len(quick.heard)
    assert store.looks == 6


class OtherLoop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, call: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self.loop))

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def other() -> Iterator[OtherLoop]:
    other = OtherLoop()
    yield other
    if not other.loop.is_closed():
        other.close()


async def test_two_loops_share_one_read(hub: Hub, store: CountedStore, other: OtherLoop) -> None:
    here, there = [Listener(hub) for _ in range(10)], [Listener(hub) for _ in range(10)]
    tasks = [asyncio.create_task(each.listen()) for each in here]
    await until(lambda: all(each.heard for each in here))
    tasks += [asyncio.ensure_future(other.run(each.listen())) for each in there]
    await until(lambda: all(each.heard for each in there))
    looks = store.looks
    assert looks <= 2
    await told(hub, store, here + there)
    assert store.looks == looks + 1
    store.step()
    store.end()
    hub.note(ID)
    await asyncio.gather(*tasks)
    assert not hub.watched


async def test_when_the_loop_that_reads_has_gone_another_does(
    hub: Hub, store: CountedStore, other: OtherLoop
) -> None:
    first = asyncio.ensure_future(other.run(Listener(hub).listen()))
    await until(lambda: store.looks == 1)
    listener = Listener(hub)
    task = asyncio.create_task(listener.listen())
    await until(lambda: bool(listener.heard))
    first.cancel()
    await until(lambda: other.loop not in hub.watched[ID]._audiences)
    other.close()
    store.step()
    hub.note(ID)
    await until(lambda: listener.heard[-1] is State.RUNNING)
    task.cancel()


async def test_when_the_loop_that_reads_was_closed_under_its_listeners(
    hub: Hub, store: CountedStore, other: OtherLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "_MIND", 0.01)
    abandoned = Listener(hub)
    lost = asyncio.run_coroutine_threadsafe(abandoned.listen(), other.loop)
    await until(lambda: bool(abandoned.heard))
    listener = Listener(hub)
    task = asyncio.create_task(listener.listen())
    await until(lambda: bool(listener.heard))
    other.loop.call_soon_threadsafe(other.loop.stop)
    other._thread.join()
    left = asyncio.all_tasks(other.loop)
    other.loop.close()
    store.step()
    await until(lambda: listener.heard[-1] is State.RUNNING)
    task.cancel()
    for each in left:
        each._log_destroy_pending = False  # type: ignore[attr-defined]
    assert not lost.done()


async def test_an_error_is_told_to_all_and_is_over_when_it_is(hub: Hub, store: CountedStore) -> None:
    store.down = True
    subscriptions = [hub.subscription(ID).__enter__() for _ in range(10)]
    found = await asyncio.gather(*(each.news() for each in subscriptions), return_exceptions=True)
    assert [type(each) for each in found] == [JournalUnavailable] * 10
    assert len({id(each) for each in found}) == 10, "each raises its own"
    assert store.looks <= 3
    store.down = False
    records = await asyncio.gather(*(each.news() for each in subscriptions))
    assert [record.state for record in records if record is not None] == [State.QUEUED] * 10
    for each in subscriptions:
        each.__exit__(None, None, None)
    assert not hub.watched


async def test_a_job_that_is_not_there(hub: Hub) -> None:
    with hub.subscription(bytes(16)) as subscription, pytest.raises(JobNotFound, match="00000000-0000"):
        await subscription.news()


async def test_where_nobody_tells_one_looks_for_all(
    hub: Hub, store: CountedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LOOK_ANYWAY", 0.02)
    listeners = [Listener(hub) for _ in range(100)]
    tasks = [asyncio.create_task(each.listen()) for each in listeners]
    await until(lambda: all(each.heard for each in listeners))
    began, looks = time.monotonic(), store.looks
    store.step()  # nobody says so
    await until(lambda: all(each.heard[-1] is State.RUNNING for each in listeners))
    await asyncio.sleep(0.08)
    assert store.looks - looks <= (time.monotonic() - began) / 0.02 + 1
    for task in tasks:
        task.cancel()


async def test_many_jobs_that_may_have_changed_are_not_all_read_at_once(
    store: CountedStore, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postlude.jobs.subscriptions.PAUSE", 60.0)
    with hub.subscription(ID) as subscription:
        await subscription.news()
        for _ in range(5):
            hub.look()
            await asyncio.sleep(0)
        assert store.looks == 1, "it was looked at a moment ago"
        monkeypatch.setattr("postlude.jobs.subscriptions.PAUSE", 0.0)
        store.step()
        hub.look()
        assert (await subscription.news(within=5)).state is State.RUNNING  # type: ignore[union-attr]


async def progress(subscription: Subscription) -> float | None:
    record = await subscription.news()
    assert record is not None
    return None if record.progress is None else record.progress.done


async def test_progress_comes_together_and_costs_no_read(hub: Hub, store: CountedStore) -> None:
    (claim,) = store.claim(store.runner, 1, suspect=False).result().claims
    enlisted = store._runners[store.runner]
    enlisted.marks.started(claim.seq, claim.fence, 100)
    with hub.subscription(ID) as subscription:
        assert await progress(subscription) is None
        store.events.emit(ProgressTold(ID, Progress(1, 10, None, 99)))  # of an attempt before
        for done in range(2, 8):
            store.events.emit(ProgressTold(ID, Progress(done, 10, None, 100 + done)))
        assert await progress(subscription) == 7
        assert store.looks == 1


async def test_what_is_told_from_threads_is_never_lost(hub: Hub, store: CountedStore) -> None:
    """The loop may look before the thread that tells of a change has come back from telling it."""
    with hub.subscription(ID) as subscription:
        await subscription.news()
        for _ in range(300):
            state = store.step()
            teller = threading.Thread(target=hub.look)
            teller.start()
            record = await subscription.news(within=2)
            teller.join()
            assert record is not None
            assert record.state is state
