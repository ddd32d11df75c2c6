"""Running jobs inside a request, where no runner serves the event loop.

Without a lifespan (`--lifespan off`, a serverless host, `TestClient(app)` without `with`) the
loop may stop as soon as the request's ASGI call returns, so its jobs run inside that call.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Final

from anyio import CancelScope

from postlude.clock import SECOND, Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.model.event.runner import InlineCancelled, InlineFailed, InlineLookFailed, NoLifespan
from postlude.model.job import Added, Hold
from postlude.runner.attempt.logs import log_keeper
from postlude.runner.attempt.work import Work
from postlude.runner.duties.bury import Burying
from postlude.runner.duties.unpark import Unparking
from postlude.runner.executors.pool import ExecutionContext
from postlude.runner.lease import Lease
from postlude.runner.runner import Runner
from postlude.runner.waiters import Waiters
from postlude.stores.loops import call_on
from postlude.stores.protocol import Kind, NewRunner, Store
from postlude.stores.reply import Reply
from postlude.tasks.registry import Registry

AT_ONCE: Final = 0.01
"""Seconds between looks at what waits, where there is to be no pause between them."""


class Inline:
    """Runs what requests have committed, and what else is due, inside their own calls.

    All visits of a process share one membership: loops come and go, it stays.

    Args:
        store: the journal.
        registry: where names become functions.
        config: slots and limits.
        clock: the time.
        execution: what the application gives its runners.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        execution: ExecutionContext,
    ) -> None:
        self._store = store
        self._registry = registry
        self._config = config
        self._clock = clock
        self._execution = execution
        self._lease: Lease | None = None
        self._looked: int | None = None
        self._unreleased: list[Hold] = []
        self._waiters = Waiters(store)
        self._looking: asyncio.Task[None] | None = None
        self._look_again = 0
        self._running: set[Runner] = set()

    @property
    def runners(self) -> list[Runner]:
        """Those of the visits that run now."""
        return list(self._running)

    async def runner(self) -> int:
        """Return the number under which visits claim, enlisting it at the first call."""
        lease = self._lease
        if lease is None or lease.lost:
            if lease is None:
                self._store.events.emit(NoLifespan())
            else:
                lease.stop()
            lease = Lease(
                self._store, self._config, self._clock, NewRunner("", self._config.lease, Kind.INLINE)
            )
            await lease.join()
            lease.keep(None, None)
            self._lease = lease
        return lease.runner

    async def run(self, works: Sequence[Work]) -> None:
        """Run committed works, and some of what else is due, until the works have ended."""
        async with self._visiting() as runner:
            await self._release()
            await self._look(runner)
            claimed = [work for work in works if work.fence]
            self._waiters.expect(works)
            if claimed:
                runner.take(claimed, [Added(work.seq, work.fence) for work in claimed], 0)
                runner.start(claimed)
            while await runner.claimer.once() and not all(work.written for work in works):
                await runner.idle()
            await runner.wait_for(works)
            await runner.idle()

    def look_in(self, opened: Callable[[], Awaitable[None]]) -> None:
        """Let run what waits in the journal (left by a process that died, say) beside the request.

        Not inside its call: a request that has added nothing must not wait for others' jobs.

        Args:
            opened: opens the journal if nobody has.
        """
        now = self._clock.boot()
        looking = self._looking
        busy = looking is not None and not looking.done() and not looking.get_loop().is_closed()
        if busy or now < self._look_again:
            return
        self._look_again = now + round(self._config.reap_every * SECOND)
        # Without the request's context: these jobs are not its.
        self._looking = asyncio.get_running_loop().create_task(
            self._look_in(opened), name="postlude-visit", context=Context()
        )

    async def _look_in(self, opened: Callable[[], Awaitable[None]]) -> None:
        try:
            await opened()
            async with self._visiting() as runner:
                await self._release()
                await self._look(runner)
                while await runner.claimer.once():
                    while not await _is_idle(runner, self._config.reap_every or AT_ONCE):
                        await self._look(runner)
                        await runner.claimer.once()
        except PostludeError as error:
            self._store.events.emit(InlineLookFailed(error))

    @asynccontextmanager
    async def _visiting(self) -> AsyncIterator[Runner]:
        """Have a runner for a while, on this loop. An error of the journal ends it, with a warning."""
        await self.runner()
        assert self._lease is not None
        runner = Runner(
            self._lease,
            self._store,
            self._registry,
            self._config,
            self._clock,
            claims=False,
            waiters=self._waiters,
            execution=self._execution,
        )
        logs = log_keeper(self._config)
        logs.start()
        self._running.add(runner)
        try:
            yield runner
        except PostludeError as error:
            self._store.events.emit(InlineFailed(error))
        finally:
            logs.stop()
            self._running.discard(runner)
            with CancelScope(shield=True):
                self._unreleased += await runner.close()
                with suppress(PostludeError):
                    await self._release()

    async def _release(self) -> None:
        """Give back what visits had to leave behind: this process lives on, so nobody else would."""
        holds, self._unreleased = self._unreleased, []
        if not holds:
            return
        try:
            await self._store.release(await self.runner(), holds)
        except PostludeError:
            self._unreleased += holds
            raise

    async def _look(self, runner: Runner) -> None:
        """Now and then: bury the dead, and make ready what is due."""
        now = self._clock.boot()
        if self._looked is not None and now - self._looked < self._config.reap_every * SECOND:
            return
        self._looked = now
        await Burying(runner, self._store).run()
        await Unparking(runner, self._store, self._registry).run()
        await self._store.promote()

    def let_go(self, works: Sequence[Work], reply: Reply[list[Added]]) -> None:
        """Release what was claimed for a call that has been cancelled meanwhile."""
        try:
            holds = [Hold(added.seq, added.fence) for added in reply.result() if added.fence]
        except PostludeError:
            return
        if holds and self._lease is not None:
            self._store.events.emit(InlineCancelled(len(works)))
            self._store.release(self._lease.runner, holds)

    def close(self) -> None:
        """Stop renewing; the claims end with the process, or with the lease."""
        looking, self._looking = self._looking, None
        if looking is not None and not looking.done():
            call_on(looking.get_loop(), looking.cancel)
        if self._lease is not None:
            self._lease.stop()
            self._lease = None


async def _is_idle(runner: Runner, within: float) -> bool:
    try:
        await asyncio.wait_for(runner.idle(), within)
    except TimeoutError:
        return False
    return True
