"""A real Postlude whose requests, starts and ends are written down as they happen."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from postlude import Config, Postlude
from postlude.app.lifecycle import Lifespan
from postlude.enqueue.joined.target import Joins
from postlude.enqueue.port import Prepared, Turn
from postlude.errors import JournalUnavailable
from postlude.model.job import Added, JobFilter, JobRecord, NewJob
from postlude.model.state import State
from postlude.runner.attempt.work import Work
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from tests.request import calls


class FaultyStore:
    """A real store, but for what it is told to refuse."""

    def __init__(self, store: Store) -> None:
        self.unavailable = False
        self.at_add: Callable[[], object] | None = None
        """Called once the store has been asked to add jobs."""
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def add(
        self, jobs: Sequence[NewJob], *, claim_for: int | None = None, budget: float | None = None
    ) -> Reply[list[Added]]:
        if self.unavailable:
            return Reply.failed(JournalUnavailable("the disk is full"))
        reply = self._store.add(jobs, claim_for=claim_for, budget=budget)
        if self.at_add is not None:
            self.at_add()
        return reply


class Recorder:
    """The desk of one application: the real one, and what came over it.

    Args:
        log: gets everything that happens, in order.
        make_store: makes its journal.
    """

    joiner: Joins

    def __init__(self, log: list[str], make_store: Callable[[], Store]) -> None:
        self.log = log
        self.stored: list[str] = []
        self.in_memory_calls: list[str] = []
        self.commits = 0
        self.starts = 0
        self.store = FaultyStore(make_store())
        self._host: RecordingPostlude | None = None

    @property
    def host(self) -> "RecordingPostlude":
        """Its Postlude: made when it is first asked for, because that changes FastAPI's names."""
        if self._host is None:
            self._host = RecordingPostlude(self)
        return self._host

    @property
    def unavailable(self) -> bool:
        return self.store.unavailable

    @unavailable.setter
    def unavailable(self, value: bool) -> None:
        self.store.unavailable = value

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have a runner serve this event loop, as with a lifespan; at the end, all jobs have run."""
        lifespan = Postlude.begin(self.host)
        await lifespan.open()
        await lifespan.start()
        yield
        await lifespan.drain()
        await lifespan.close()

    # The desk

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared:
        return self.host.real.prepare(function, args, kwargs)

    async def commit(self, prepared: Sequence[Prepared | Turn], after: Prepared | None = None) -> None:
        await self.host.real.commit(prepared, after)
        works = [work for work in prepared if not isinstance(work, Turn)]
        self.commits += bool(works)
        for work in works:
            self.stored.append(label(work))
            self.log.append(f"commit {label(work)}")

    def start(self, prepared: Sequence[Prepared]) -> bool:
        self.starts += 1
        self.log += [f"start {label(work)}" for work in prepared]
        return self.host.real.start(prepared)

    async def settle(self, prepared: Sequence[Prepared]) -> None:
        self.log.append("settle")
        await self.host.real.settle(prepared)

    async def reach(self, turn: Turn, inline: Collection[asyncio.Task[None]]) -> None:
        await self.host.real.reach(turn, inline)

    @property
    def patience(self) -> float:
        return self.host.real.patience

    def free(self, turn: Turn) -> None:
        self.host.real.free(turn)

    def serves(self) -> bool:
        return self.host.real.serves()

    owner: Any = None

    def declares(self, function: Callable[..., Any]) -> bool:
        return self.host.real.declares(function)

    def in_memory(self, function: Callable[..., Any], why: str) -> None:
        self.in_memory_calls.append(getattr(function, "__qualname__", repr(function)))
        self.host.real.in_memory(function, why)

    # Afterwards

    def records(self) -> list[JobRecord]:
        """Read the journal, oldest first. Not on an event loop."""
        self.host.components.ensure_open()
        return self.host.components.store.page(JobFilter(limit=10_000)).wait()[::-1]

    def close_the_books(self) -> None:
        """What was acknowledged is in the journal, nothing else is, and all of it has run, once."""
        if self._host is None:
            return
        try:
            records = self.records()
            assert sorted(map(argument, records)) == sorted(self.stored)
            ended = [record.state in (State.SUCCEEDED, State.FAILED) for record in records]
            assert all(ended), [(argument(record), record.state) for record in records]
        finally:
            self.host.components.inline.close()
            self.host.components.store.close()


class RecordingPostlude(Postlude):
    """Writes down the steps of its lifespans, and fails in one of them if it is told so."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(store=cast(Store, recorder.store), config=Config(tune_gc=False))
        self.task(calls.audit, on_failure=True)
        self.verified = 0
        self.fails_in = ""
        self._recorder = recorder
        self.real, self.port = self.port, recorder

    def verify(self) -> None:
        self.verified += 1
        self._recorder.log.append("verify")
        super().verify()

    def begin(self) -> Lifespan:
        return RecordingLifespan(self)

    def step(self, name: str) -> None:
        if self.fails_in == name:
            raise JournalUnavailable(f"cannot {name}")
        self._recorder.log.append(name)


class RecordingLifespan(Lifespan):
    """Tells its host of each step."""

    def __init__(self, host: RecordingPostlude) -> None:
        super().__init__(host.components)
        self._host = host

    async def open(self) -> None:
        self._host.step("open")
        await super().open()

    async def start(self) -> None:
        self._host.step("runner")
        await super().start()

    async def drain(self) -> None:
        await super().drain()
        self._host.step("drain")

    async def close(self) -> None:
        await super().close()
        self._host.step("close")


def label(work: Prepared) -> str:
    """Name a job by its first argument, which the tests choose."""
    assert isinstance(work, Work)
    return argument(work)


def argument(record: JobRecord | Work) -> str:
    call = json.loads(record.payload)
    return str(call["a"][0] if call["a"] else call["k"].get("text", record.payload))
