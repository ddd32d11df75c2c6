"""Running held jobs: by the real runner, on the loop that they belong to, until nothing is due."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple, TypeVar

from anyio import CancelScope
from anyio.from_thread import start_blocking_portal

from postlude.app.components import Components
from postlude.compat import running_loop
from postlude.errors import Discard, PostludeError, Snooze
from postlude.model.outcome import Outcome
from postlude.model.state import State
from postlude.runner.attempt.outcome import decided
from postlude.runner.attempt.work import Work
from postlude.runner.lease import Lease
from postlude.runner.runner import Runner
from postlude.stores.protocol import NewRunner

MOST: Final = 10_000
"""Attempts after which it is said that jobs add each other without an end."""

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop


class Raised(NamedTuple):
    """What an attempt raised."""

    job: str
    attempt: int
    error: BaseException


class Round(NamedTuple):
    """What one round has done."""

    ran: int
    """Attempts."""
    again: int | None
    """When a rate lets more start (microseconds, UTC)."""


class HeedfulRunner(Runner):
    """A runner that keeps what its jobs raise, and stops when there are too many of them."""

    def __init__(self, components: Components, lease: Lease) -> None:
        super().__init__(
            lease,
            components.store,
            components.registry,
            components.config,
            components.clock,
            execution=components.execution,
        )
        self.ran = 0
        self.raised: list[Raised] = []

    def _ended(self, work: Work, result: Outcome | BaseException) -> None:
        self.ran += 1
        if self.ran >= MOST:
            self._held.draining = True  # else jobs that add each other would keep it from ever being idle
        raised = decided(result, self._clock.now()) if isinstance(result, BaseException) else None
        if isinstance(result, BaseException) and not isinstance(raised, Snooze | Discard):
            self.raised.append(Raised(str(work), work.failures + 1, result))
        super()._ended(work, result)


async def run_due(components: Components, raised: list[Raised]) -> Round:
    """Run what is due now, and what that adds, until nothing is.

    Args:
        components: whose jobs.
        raised: takes what they raise.

    Raises:
        PostludeError: there seems to be no end of them.
    """
    store = components.store
    await store.promote()
    if not any(count.state is State.QUEUED and count.jobs for count in await store.counts()):
        return Round(0, None)
    lease = Lease(store, components.config, components.clock, NewRunner("tests", components.config.lease))
    await store.declare(components.bounds())
    await lease.join()
    runner = HeedfulRunner(components, lease)
    components.producer.attach(runner)
    try:
        again = await _run_all(components, runner)
    finally:
        components.producer.detach(runner)
        with CancelScope(shield=True):
            await lease.leave(await runner.close(), draining=True)
    raised += runner.raised
    if runner.draining:
        raise PostludeError(
            f"{MOST:,} attempts ran and jobs are still due: some add each other, or themselves, "
            f"without a delay"
        )
    return Round(runner.ran, again)


async def _run_all(components: Components, runner: HeedfulRunner) -> int | None:
    """Claim until there is nothing to claim; returns when a rate lets more start."""
    store = components.store
    while not runner.draining:
        await runner.idle()
        await store.promote()
        found = await store.claim(
            runner.number, runner.pace.limit, suspect=runner.wants_suspect, free=runner.free
        )
        runner.accept(found.claims)
        if not runner.load:
            return found.again
    return None


async def on_loop(loop: Loop | None, call: Callable[[], Awaitable[T]]) -> T:
    """Await a call on the loop that it belongs to: on this one, if it belongs to none."""
    if loop is None or loop is asyncio.get_running_loop():
        return await call()
    if not loop.is_running():
        raise PostludeError(
            "the application's lifespan runs on another event loop, which does not turn while this one does: "
            "start the lifespan and drain in the same one"
        )
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_waiters(call), loop))


def from_sync(loops: Iterable[Loop | None], call: Callable[[], Awaitable[T]], name: str) -> T:
    """Make an async call from sync code.

    Args:
        loops: those that it will need.
        call: made on the one of them that does not turn by itself, or else on a new one.
        name: of the method to use on an event loop.

    Raises:
        RuntimeError: this is an event loop.
    """
    if running_loop() is not None:
        raise RuntimeError(
            f"postlude_jobs.{name}() would block this event loop: await postlude_jobs.{name}_async()"
        )
    resting = [loop for loop in loops if loop is not None and not loop.is_running()]
    if resting:  # that of an async fixture, in a test that is not async
        return resting[0].run_until_complete(_waiters(call))
    with start_blocking_portal("asyncio") as portal:
        return portal.call(call)


async def _waiters(call: Callable[[], Awaitable[T]]) -> T:
    return await call()
