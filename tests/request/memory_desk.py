"""A small desk in memory, honest about order, durability and who runs what."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.concurrency import run_in_threadpool

from postlude.desk import Prepared
from postlude.errors import JournalUnavailable, NotDurable
from postlude.job import Job

PLAIN = (str, int, float, bool, type(None), list, dict)


@dataclass(frozen=True)
class Call:
    """One prepared call."""

    job: Job
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    on_failure: bool

    concurrent: bool = False


@dataclass
class MemoryDesk:
    """Keeps jobs in a list and writes down everything that happens, in order."""

    log: list[str]
    serving: bool = False
    unavailable: bool = False
    stored: list[str] = field(default_factory=list)
    ids: set[bytes] = field(default_factory=set)
    waiting: list[Call] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    in_memory_calls: list[str] = field(default_factory=list)
    commits: int = 0
    starts: int = 0

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared:
        inner = function.func if isinstance(function, functools.partial) else function
        name = getattr(inner, "__qualname__", type(inner).__qualname__)
        if "<lambda>" in name or "<locals>" in name:
            raise NotDurable(f"{name} has no importable name")
        inspect.signature(function).bind(*args, **kwargs)
        for value in (*args, *kwargs.values()):
            if type(value) not in PLAIN:
                raise NotDurable(f"{value!r} would not come back")
        on_failure = getattr(inner, "on_failure", False)
        return Call(Job(uuid4().bytes, name, "default"), function, args, kwargs, on_failure)

    async def commit(self, prepared: Sequence[Prepared]) -> None:
        await asyncio.sleep(0)
        if self.unavailable:
            raise JournalUnavailable("the disk is full")
        self.commits += 1
        for call in prepared:
            assert isinstance(call, Call)
            assert call.job.raw_id not in self.ids, "stored twice"
            self.ids.add(call.job.raw_id)
            self.stored.append(_label(call))
            self.log.append(f"commit {_label(call)}")

    def start(self, prepared: Sequence[Prepared]) -> None:
        self.starts += 1
        for call in prepared:
            assert isinstance(call, Call)
            self.log.append(f"start {_label(call)}")
            self.waiting.append(call)

    async def settle(self, prepared: Sequence[Prepared]) -> None:
        self.log.append("settle")
        await self.run_waiting()

    async def run_waiting(self) -> None:
        """What a runner would do."""
        while self.waiting:
            call = self.waiting.pop(0)
            try:
                if inspect.iscoroutinefunction(call.function):
                    await call.function(*call.args, **call.kwargs)
                else:
                    result = await run_in_threadpool(call.function, *call.args, **call.kwargs)
                    if inspect.isawaitable(result):
                        await result
            except BaseException as error:
                self.errors.append(error)

    def serves(self) -> bool:
        return self.serving

    def in_memory(self, function: Callable[..., Any], why: str) -> None:
        self.in_memory_calls.append(getattr(function, "__qualname__", repr(function)))


def _label(call: Call) -> str:
    return str(call.args[0]) if call.args else call.job.task


@dataclass
class MemoryHost:
    """The host of one application."""

    desk: MemoryDesk
    check: Callable[[], None]
    verified: int = 0
    fails_in: str = ""

    def verify(self) -> None:
        self.verified += 1
        self.desk.log.append("verify")
        self.check()

    async def open(self) -> None:
        self._step("open")

    async def start(self) -> None:
        self._step("runner")
        self.desk.serving = True

    async def drain(self) -> None:
        self._step("drain")

    async def close(self) -> None:
        self.desk.serving = False
        self._step("close")

    def _step(self, name: str) -> None:
        if self.fails_in == name:
            raise JournalUnavailable(f"cannot {name}")
        self.desk.log.append(name)
