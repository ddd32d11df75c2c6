"""The keeper of a worker of Celery's: a process beside its own that sees to it in the journal.

The worker's process forks, and a journal must not be open where that happens. So its row in the journal is
kept by one that is forked first. It hears at once when a process that runs jobs has died, and notices when
the worker lives but is given nothing.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

from celery import Celery

from postlude.engines.celery.board import Board
from postlude.engines.celery.brokers import look
from postlude.engines.celery.ending import TOLD_WITHIN
from postlude.engines.protocol import Child, Oversee, Parent
from postlude.errors import PostludeError
from postlude.model.queues import only

LOOK_EVERY: Final = 1.0
"""Seconds between looks at what waits, and at what comes."""

QUIET: Final = 3.0
"""Seconds without a message after which it is asked whether the broker has some."""

HANGS_AFTER: Final = 5.0
"""Seconds after which a loop that tells nothing does not say either that the worker has no room."""

DEAF_AFTER: Final = 10.0
"""Seconds for which it must have had some, and the worker room for them, before the worker counts as deaf."""

LIVE_WHILE: Final = 30.0
"""Seconds for which a worker is live although it is deaf."""

AGAIN: Final = (0.0, 0.05, 0.6, 1.0)
"""Seconds until the dead are looked for, and again: a lock in PostgreSQL has to be seen free for a while."""

RETRY: Final = 2.0
"""Seconds until a journal that cannot be opened is tried again."""

REVOKED: Final = "celery:revoke"
"""Who has cancelled what was revoked."""


class Ending(NamedTuple):
    """When a deaf worker ends."""

    after: float | None
    """Seconds of deafness; None: never."""
    grace: float
    """Seconds that its end may take before it is killed."""


NEVER: Final = Ending(None, 0.0)

Beside = Callable[["Keeper"], Coroutine[Any, Any, None]]
"""What a keeper does beside; cancelled at its end."""


class Keeper:
    """What runs in that process.

    Args:
        app: the application of Celery's, whose broker is looked at.
        queues: those that the worker is told of.
        oversee: keeps its row.
        board: what the processes tell each other.
        begun: the end of a pipe by which processes say that they run jobs: their numbers, a line each; and
            the worker which jobs were revoked: their ids, likewise.
        ending: when it ends the worker.
        beside: what is done as long as it lives.
    """

    def __init__(
        self, app: Celery, queues: Sequence[str], oversee: Oversee, board: Board, begun: int,
        ending: Ending = NEVER, beside: Sequence[Beside] = (),
    ) -> None:  # fmt: skip
        self._app = app
        self._queues = list(queues)
        self._oversee = oversee
        self._board = board
        self._begun = begun
        self._ending = ending
        self._beside = beside
        self._worker = os.getppid()
        self._over = asyncio.Event()
        self._news = asyncio.Event()
        self._said = b""
        self._due: list[float] = []
        """When the dead are looked for next, since a process has gone (the monotonic clock)."""
        self._since: float | None = None
        """Since when the broker has had messages for a worker that had room for them, and was given none."""
        self._kill_at = inf
        self._children: Sequence[Child] = ()
        self._revoked: list[bytes] = []

    # -- for health -----------------------------------------------------------------------------

    @property
    def deaf(self) -> float | None:
        """For how many seconds the worker has been deaf; None: it hears."""
        return monotonic() - self._board.deaf if self._board.deaf else None

    @property
    def ready(self) -> bool:
        """Whether the worker takes messages and has processes to run jobs in."""
        return bool(self._board.room and self._children and not self._board.deaf and not self._over.is_set())

    @property
    def live(self) -> bool:
        """Whether to leave it alone."""
        return (self.deaf or 0.0) <= LIVE_WHILE

    def told(self) -> dict[str, Any]:
        """Return it for programs."""
        deaf = self.deaf
        return {
            "live": self.live,
            "ready": self.ready,
            "stopping": self._over.is_set(),
            "deaf": None if deaf is None else round(deaf, 1),
            "processes": [{"pid": one.pid, "runs": True, "holds": one.holds} for one in self._children],
        }

    # -- its life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the row until the worker ends, or it is told to."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._told_to_end)
        self._watch(self._worker, self.stop)
        loop.add_reader(self._begun, self._hear)
        tasks = [loop.create_task(each(self)) for each in self._beside]
        try:
            while not self._over.is_set():
                with suppress(PostludeError):
                    async with self._oversee(only(set(self._queues))) as parent:
                        await self._keep(parent)
                await self._wait(RETRY)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _told_to_end(self) -> None:
        """By the worker, or with it: then it goes on until the worker has no use for it."""
        if self._board.dismissed:
            self.stop()
        else:
            asyncio.get_running_loop().call_later(TOLD_WITHIN, self._stop_alone)

    def _stop_alone(self) -> None:
        if not self._board.told:
            self.stop()

    def stop(self) -> None:
        """Come to the end."""
        self._over.set()
        self._news.set()

    async def _keep(self, parent: Parent) -> None:
        while not self._over.is_set():
            self._news.clear()
            try:
                self._board.parent = await parent.number()
                await self._cancel(parent)
                await self._bury(parent)
                self._children = await parent.children(self._worker)
                self._board.busy = sum(child.holds for child in self._children)
                await self._listen(parent)
            except PostludeError:  # it is tried again
                self._board.busy = -1
            if os.getppid() != self._worker:  # where the system tells it of no process
                self.stop()
            soon = min((at - monotonic() for at in self._due), default=LOOK_EVERY)
            await self._wait(min(max(soon, 0.0), LOOK_EVERY))

    async def _wait(self, seconds: float) -> None:
        if not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)

    # -- processes that die ---------------------------------------------------------------------

    def _hear(self) -> None:
        """Processes have begun, or jobs were revoked."""
        with suppress(BlockingIOError):
            self._said += os.read(self._begun, 4096)
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            if line.isdigit():
                self._watch(int(line), self._gone)
            else:
                self._revoked.append(UUID(line.decode()).bytes)
        self._news.set()

    def _watch(self, pid: int, gone: Callable[[], None]) -> None:
        """Have it called when a process has ended, at once."""
        if sys.platform != "linux":
            return
        try:
            file = os.pidfd_open(pid)
        except ProcessLookupError:
            gone()
            return
        except OSError:  # an old kernel
            return
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(file)
            os.close(file)
            gone()

        loop.add_reader(file, ended)

    def _gone(self) -> None:
        self._due = [monotonic() + seconds for seconds in AGAIN]
        self._news.set()

    async def _cancel(self, parent: Parent) -> None:
        """Cancel what Celery was told to revoke: its workers throw the messages away."""
        if self._revoked:
            revoked = list(self._revoked)
            await parent.cancel(revoked, REVOKED)
            del self._revoked[: len(revoked)]

    async def _bury(self, parent: Parent) -> None:
        now = monotonic()
        if any(at <= now for at in self._due):
            self._due = [at for at in self._due if at > now]
            if await parent.bury():
                self._due = []

    # -- deafness -------------------------------------------------------------------------------

    async def _listen(self, parent: Parent) -> None:
        """Say whether the worker hears its broker."""
        board, now = self._board, monotonic()
        if self._since is not None and board.heard > self._since:
            self._since = None
            if board.deaf:
                board.deaf = 0.0
                await parent.hears()
        if not board.deaf:
            if not await self._should_hear(parent, now):
                self._since = None
                return
            self._since = self._since or now
        assert self._since is not None
        silent = now - self._since
        ends = self._ending.after is not None and silent >= self._ending.after and not board.ended
        if ends:
            board.ended = True
            self._kill_at = now + self._ending.grace
            os.kill(self._worker, signal.SIGTERM)
        elif now > self._kill_at:
            os.kill(self._worker, signal.SIGKILL)
        if ends or (silent >= DEAF_AFTER and not board.deaf):
            board.deaf = self._since
            await parent.deaf(silent, ends)

    async def _should_hear(self, parent: Parent, now: float) -> bool:
        """Whether a message should come: the broker has some, and the worker room for it."""
        board = self._board
        full = board.held >= board.room and now - board.beaten < HANGS_AFTER
        if not board.room or full or now - board.heard < QUIET or not await parent.waits():
            return False
        try:
            found = await asyncio.to_thread(look, self._app, self._queues)
        except Exception:  # of any library: it cannot be asked, so nobody is given anything
            return False
        return any(lying.messages for lying in found.values())


def main(keeper: Callable[[], Keeper]) -> None:
    """Be that process, which has been forked for it; does not return."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker hears it too, and ends in order
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        asyncio.run(_run(keeper))
        code = 0
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


async def _run(keeper: Callable[[], Keeper]) -> None:
    await keeper().run()
