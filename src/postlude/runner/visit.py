"""Running jobs inside a request, where no runner serves the event loop.

Without a lifespan (`--lifespan off`, a serverless host, `TestClient(app)` without `with`) the
loop may stop as soon as the request's ASGI call returns, so its jobs run inside that call.
"""

from collections.abc import Sequence
from contextlib import suppress

from anyio import CancelScope

from postlude.announce import be_heard
from postlude.clock import SECOND, Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.log import Log
from postlude.model.job import Added, Hold
from postlude.runner.awaited import Awaited
from postlude.runner.changes import Hub
from postlude.runner.housekeeping import Housekeeping
from postlude.runner.log_lines import log_keeper
from postlude.runner.membership import Membership
from postlude.runner.runner import Runner
from postlude.runner.work import Work
from postlude.runner.workshop import Equipment
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.registry import Registry

log = Log("postlude")


class Visits:
    """Runs what requests have committed, and what else is due, inside their own calls.

    All visits of a process share one membership: loops come and go, it stays.

    Args:
        store: the journal.
        registry: where names become functions.
        config: slots and limits.
        clock: the time.
        equipment: what the application gives its runners.
        hub: who watches jobs in this process.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        equipment: Equipment,
        hub: Hub,
    ) -> None:
        self._store = store
        self._registry = registry
        self._config = config
        self._clock = clock
        self._equipment = equipment
        self._hub = hub
        self._membership: Membership | None = None
        self._looked: int | None = None
        self._unreleased: list[Hold] = []
        self._awaited = Awaited(store)

    async def runner(self) -> int:
        """Return the number under which visits claim, enlisting it at the first call."""
        if self._membership is None:
            be_heard()
            log.warning(
                "no lifespan runs on this event loop: jobs run inside the requests that added them "
                "(start the server with lifespan, or use `with TestClient(app)`, for a runner of its own)"
            )
            membership = Membership(self._store, self._config, self._clock, "visits")
            await membership.join()
            membership.keep(None, None)
            self._membership = membership
        return self._membership.runner

    async def run(self, works: Sequence[Work]) -> None:
        """Run committed works, and some of what else is due, until the works have ended."""
        await self.runner()
        assert self._membership is not None
        runner = Runner(
            self._membership,
            self._store,
            self._registry,
            self._config,
            self._clock,
            claims=False,
            awaited=self._awaited,
            equipment=self._equipment,
            hub=self._hub,
        )
        logs = log_keeper(self._config)
        logs.start()
        try:
            await self._release()
            await self._look(runner)
            claimed = [work for work in works if work.fence]
            self._awaited.expect(works)
            if claimed:
                runner.take(claimed, [Added(work.seq, work.fence) for work in claimed], 0)
                runner.start(claimed)
            while await runner.claimer.once() and not all(work.written for work in works):
                await runner.idle()
            await runner.wait_for(works)
            await runner.idle()
        except PostludeError as error:
            log.warning("jobs stay in the journal and run later: %s", error)
        finally:
            logs.stop()
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
        await Housekeeping(runner, self._store, self._registry, self._config, self._clock).reap()
        await self._store.promote()

    def let_go(self, works: Sequence[Work], reply: Reply[list[Added]]) -> None:
        """Release what was claimed for a call that has been cancelled meanwhile."""
        try:
            holds = [Hold(added.seq, added.fence) for added in reply.result() if added.fence]
        except PostludeError:
            return
        if holds and self._membership is not None:
            log.debug("%d jobs of a cancelled request wait for another call", len(works))
            self._store.release(self._membership.runner, holds)

    def close(self) -> None:
        """Stop renewing; the claims end with the process, or with the lease."""
        if self._membership is not None:
            self._membership.stop()
            self._membership = None
