"""Running jobs inside a call: a request's, where no runner serves the event loop, or an engine's.

Without a lifespan (`--lifespan off`, a serverless host, `TestClient(app)` without `with`) the
loop may stop as soon as the request's ASGI call returns, so its jobs run inside that call. An engine
that is told of jobs by their ids has these run, and no others.
"""

import asyncio
import threading
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
from postlude.model.queues import ALL, NONE, Queues
from postlude.model.refusal import Refused
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
    """Runs jobs inside calls: those of these ids, or what requests have committed and what else is due.

    All calls share one lease: loops come and go, it stays.

    Args:
        store: the journal.
        registry: where names become functions.
        config: slots and limits.
        clock: the time.
        execution: what the application gives its runners.
        kind: what the journal is told of it; a `WORKER` runs what it is told to, and nothing is born claimed.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        execution: ExecutionContext,
        kind: Kind = Kind.INLINE,
    ) -> None:
        self._store = store
        self._registry = registry
        self._config = config
        self._clock = clock
        self._execution = execution
        queues = execution.queues if kind is Kind.INLINE else NONE
        self._new = NewRunner(config.release, config.lease, kind, queues, config.slots)
        self._lease: Lease | None = None
        self._joining = threading.Lock()
        self._looked: int | None = None
        self._unreleased: list[Hold] = []
        self._waiters = Waiters(store, execution.promises)
        self._looking: asyncio.Task[None] | None = None
        self._look_again = 0
        self._running: set[Runner] = set()

    @property
    def runners(self) -> list[Runner]:
        """Those of the visits that run now."""
        return list(self._running)

    async def runner(self) -> int:
        """Return the number under which calls claim, enlisting it at the first."""
        return (await self._enlisted()).runner

    async def _enlisted(self) -> Lease:
        before = self._lease
        if before is not None and not before.lost:
            return before
        lease = Lease(self._store, self._config, self._clock, self._new)
        await lease.join()
        with self._joining:
            known = self._lease
            if known is None or known is before:
                self._lease = lease
                lease.keep(None, None)
        if known is not None and known is not before:  # another call was first
            await lease.leave((), draining=True)
            return known
        if before is not None:
            before.stop()
        elif self._new.kind is Kind.INLINE:
            self._store.events.emit(NoLifespan())
        return lease

    async def run(self, ids: Sequence[bytes], queues: Queues = ALL) -> Sequence[Refused]:
        """Claim the jobs of these ids, and run them: these and nothing else.

        On any event loop; in a thread without one, `asyncio.run(inline.run(ids))`. Returns when their
        attempts have ended and that is written. Cancelled, it gives back what it runs.

        Args:
            ids: the jobs.
            queues: those of other queues are refused.

        Returns:
            those that were not claimed, and why. They may be at another time: then they are published again.

        Raises:
            JournalUnavailable: the journal cannot be written now.
        """
        async with self._calling() as runner:
            await self._release()
            claimed = await self._store.claim(runner.number, len(ids), suspect=True, queues=queues, ids=ids)
            runner.accept(claimed.claims)
            await runner.idle()
        return claimed.refused

    async def settle(self, works: Sequence[Work]) -> None:
        """Run committed works, and some of what else is due, until the works have ended."""
        async with self._visiting() as runner:
            await self._release()
            await self._look(runner)
            claimed = [work for work in works if work.fence]
            self._waiters.expect(works)
            if claimed:
                runner.take(claimed, [Added(work.seq, work.fence) for work in claimed], 0)
                runner.start(claimed)

            async def claim() -> None:
                if await runner.claimer.once():
                    await runner.idle()

            while await runner.claimer.once() and not all(work.written for work in works):
                await runner.idle()
            # What another call had claimed may have readied the rest: nobody else claims it.
            await runner.wait_for(works, claim)
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
        """Have a runner for a while. An error of the journal ends it, with a warning."""
        async with self._calling() as runner:
            try:
                yield runner
            except PostludeError as error:
                self._store.events.emit(InlineFailed(error))

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[Runner]:
        """Have a runner for a while, on this loop."""
        runner = Runner(
            await self._enlisted(),
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
