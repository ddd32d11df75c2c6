"""What the suite for engines is given, and the application that its cases run."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final

from postlude.app.postlude import Postlude
from postlude.clock import SystemClock
from postlude.config import Config
from postlude.engines.protocol import Engine
from postlude.jobs.current import current_job
from postlude.jobs.handle import Job
from postlude.model.limits import Limit, Rate
from postlude.model.retry import Fixed, Retry
from postlude.model.state import State
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.tasks.task import Task

QUEUE: Final = "engine"
"""The queue that the engine runs."""

PATIENCE: Final = 20.0
"""Seconds until a case is given up."""


class EngineBench:
    """How to make an engine. Derive from it for each kind.

    Attributes:
        a_while: seconds in which the engine would have run what it must not; the suite waits for so long
            in half a dozen cases.
        window: how many jobs the engine may start ahead of one of a priority before theirs, added later:
            those that it has been told of. None: any number.
    """

    a_while: float = 0.2
    window: int | None = None

    def engine(self, limit: Limit | None = None, rate: Rate | None = None) -> Engine:
        """Return a new engine with these declared limits; an application starts and stops it."""
        raise NotImplementedError

    def store(self) -> Store:
        """Return a new, empty store."""
        store: Store = MemoryStore(SystemClock())
        return store


class Application:
    """An application with one queue that the engine runs, and tasks that note what they do."""

    def __init__(
        self,
        bench: EngineBench,
        limit: Limit | None = None,
        rate: Rate | None = None,
        *,
        slots: int = 1024,
        ahead: int = 1024,
    ) -> None:
        self.engine = bench.engine(limit, rate)
        self.store = bench.store()
        config = Config(
            poll_every=0.02, reap_every=0.05, grace=5.0, loop_slots=slots, ahead=ahead,
            tune_gc=False, tune_switching=False,
        )  # fmt: skip
        self.postlude = Postlude(store=self.store, queues={QUEUE: self.engine}, config=config)
        self.ran: Counter[int] = Counter()
        """How often each job has run, by its argument."""
        self.order: list[int] = []
        """Which jobs have begun, one after the other, by their arguments."""
        self.most = 0
        """How many have run at once."""
        self.go_on = threading.Event()
        """Set: what waits for it ends."""
        self._running = 0
        self._lock = threading.Lock()
        self.note = self.postlude.task(self._note, name="note", queue=QUEUE)
        self.last = self.postlude.task(self._last, name="last", queue=QUEUE)
        self.waits = self.postlude.task(self._waits, name="waits", queue=QUEUE)
        self.fail = self.postlude.task(self._fail, name="fail", queue=QUEUE, retry=Retry(2, Fixed(0.05)))
        self.hangs = self.postlude.task(self._hangs, name="hangs", queue=QUEUE, retry=Retry(1))
        self.broken = self.postlude.task(self._broken, name="broken", queue=QUEUE, retry=Retry(1))
        self.elsewhere = self.postlude.task(self._note, name="elsewhere")
        self.pair = self.postlude.task(self._note, name="pair", queue=QUEUE, limit=Limit(2))
        self.alone = self.postlude.task(self._waits, name="alone", queue=QUEUE, limit=Limit(1))
        self.owned = self.postlude.task(self._owned, name="owned", queue=QUEUE, limit=Limit(1, per="owner"))
        self.rare = self.postlude.task(self._note, name="rare", queue=QUEUE, rate=Rate(1, per=3600))
        self.fragile = self.postlude.task(
            self._broken, name="fragile", queue=QUEUE, limit=Limit(1), retry=Retry(1)
        )

    async def _note(self, number: int) -> int:
        with self._lock:
            self.ran[number] += 1
            self.order.append(number)
            self._running += 1
            self.most = max(self.most, self._running)
        await asyncio.sleep(0.005)
        with self._lock:
            self._running -= 1
        return 2 * number

    def _last(self, number: int) -> int:
        with self._lock:
            self.ran[number] += 1
        assert self.go_on.wait(PATIENCE)
        return number

    async def _waits(self, number: int) -> int:
        with self._lock:
            self.ran[number] += 1
        assert await asyncio.to_thread(self.go_on.wait, PATIENCE)
        return number

    async def _owned(self, owner: str, number: int) -> int:
        return await self._waits(number)

    async def _fail(self, number: int) -> int:
        with self._lock:
            self.ran[number] += 1
        if self.ran[number] == 1:
            raise ValueError(number)
        return number

    async def _hangs(self, number: int) -> None:
        with self._lock:
            self.ran[number] += 1
        await current_job().progress(number, 100, "hangs")
        await asyncio.Event().wait()

    async def _broken(self, number: int) -> None:
        raise LookupError(number)

    async def left_by_another_release(self, number: int) -> Job[Any]:
        """Add a job of a task that this application does not know, as a release that has it would."""
        other = Postlude(store=self.store, queues={QUEUE: self.engine})
        job = await other.add_task(other.task(self._note, name="new", queue=QUEUE), number)
        await other.close()
        return job

    def learn(self) -> None:
        """Know that task."""
        self.postlude.task(self._note, name="new", queue=QUEUE)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Postlude]:
        """Do what the application's lifespan does."""
        await self.postlude.open()
        try:
            await self.postlude.start()
            try:
                yield self.postlude
            finally:
                self.go_on.set()
                await self.postlude.drain()
        finally:
            await self.postlude.close()

    async def add(self, task: Task[[int], Any], *numbers: int) -> list[Job[Any]]:
        return [await self.postlude.add_task(task, number) for number in numbers]

    async def state(self, job: Job[Any]) -> State:
        return (await self.postlude.inspector.get(job.id)).state

    async def until_state(self, job: Job[Any], state: State) -> None:
        async def is_there() -> bool:
            return await self.state(job) is state

        await self.until(is_there)

    async def until_begun(self, jobs: int) -> None:
        async def have_begun() -> bool:
            return self.ran.total() >= jobs

        await self.until(have_begun)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                if await condition():
                    return
                await asyncio.sleep(0.005)


def case(
    test: Callable[[Any, EngineBench], Coroutine[Any, Any, None]],
) -> Callable[[Any, EngineBench], None]:
    """Let a case that is a coroutine run on a loop of its own."""

    @wraps(test)
    def run(self: Any, bench: EngineBench) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(2 * PATIENCE):
                await test(self, bench)

        asyncio.run(bounded())

    return run
