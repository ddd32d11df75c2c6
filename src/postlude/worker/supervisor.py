"""The parent of a worker's processes: starts them, replaces those that end, and lets all come to their end.

It imports nothing of the application, so it stays small, and nothing of that can take it down.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from postlude.model.event.worker import (
    WorkerBegins,
    WorkerNotRenewed,
    WorkerNotStarted,
    WorkerProcessDue,
    WorkerProcessesKilled,
    WorkerProcessGone,
    WorkerProcessReady,
    WorkerRenews,
    WorkerStopped,
    WorkerStops,
)
from postlude.runner.executors.process.failures import how_it_died
from postlude.telemetry.process import EVENTS
from postlude.worker.member import Member
from postlude.worker.orders import Orders
from postlude.worker.places import Slot, grace_of, patience_with

STOPPED: Final = 0
FAILED: Final = 1
"""Exit codes: it has ended as it was told; it could not be started, or not all came to their end in time."""


class Supervisor:
    """Keeps so many processes running.

    Args:
        orders: what each is to do.
        processes: how many.
        waits_for_changes: whether one that cannot be started waits until the code changes (`renew`), instead
            of ending the worker.
    """

    def __init__(self, orders: Orders, processes: int, *, waits_for_changes: bool = False) -> None:
        self._orders = orders
        self._waits = waits_for_changes
        self._slots = [Slot() for _ in range(processes)]
        self._members: dict[int, Member] = {}
        """All that have not ended, by their numbers."""
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._renewing = asyncio.Lock()
        """Processes are replaced one after another, so that most of them run jobs meanwhile."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._code = STOPPED
        self._by = ""

    # -- for signals and the like ---------------------------------------------------------------

    def stop(self, by: str, code: int) -> None:
        """Let all come to their end. Asked again, end them at once.

        Args:
            by: what has asked for it.
            code: the exit code, if that does not wait for their end.
        """
        if self._stopping.is_set():
            self._code = code
            self._kill(hurried=True)
            return
        self._by = by
        self._stopping.set()
        self._changed.set()

    def renew(self, changed: Sequence[str] = ()) -> None:
        """Start all processes afresh, one after another: with new code, and new settings."""
        if not self._stopping.is_set():
            EVENTS.emit(WorkerRenews(changed))
            self._changed.set()
            self._spawn_task(self._renew())

    def reap(self) -> None:
        """Some process has ended: a child, or an orphan that is this process's because its number is 1."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            member = self._members.pop(found.si_pid, None)
            if member is not None and found.si_code != os.CLD_EXITED:
                with suppress(OSError):  # what its jobs have started; its number is not free yet
                    os.killpg(found.si_pid, signal.SIGKILL)
            _, status = os.waitpid(found.si_pid, 0)
            if member is not None:
                member.ended(os.waitstatus_to_exitcode(status))

    @property
    def stopping(self) -> bool:
        """Whether it comes to its end."""
        return self._stopping.is_set()

    @property
    def members(self) -> list[Member]:
        """The processes that are in their places."""
        return [slot.member for slot in self._slots if slot.member is not None]

    # -- its life -------------------------------------------------------------------------------

    async def run(self) -> int:
        """Keep processes running until it is told to stop; returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        EVENTS.emit(WorkerBegins(self._orders.application, len(self._slots)))
        keepers: list[asyncio.Task[None]] = []
        try:
            first = self._slots[0]
            # The first alone: what is wrong with the application is wrong with all, and is said once.
            if await self._start(first) or self._waits or self.stopping:
                keepers = [loop.create_task(self._keep(slot)) for slot in self._slots]
                await self._stopping.wait()
                await self._end()
            else:
                self._code = FAILED
        finally:
            for task in [*keepers, *self._tasks]:
                task.cancel()
            self._kill(hurried=True)
        if self._members:
            await asyncio.wait([member.gone for member in list(self._members.values())])
        loop.remove_signal_handler(signal.SIGCHLD)
        if self._code == STOPPED:
            EVENTS.emit(WorkerStopped())
        return self._code

    async def _start(self, slot: Slot) -> bool:
        """Start the first process, and wait until it runs jobs; whether it does."""
        try:
            member = self._spawn(slot)
        except OSError as error:
            EVENTS.emit(WorkerNotStarted(self._orders.application, f"cannot be started: {error}"))
            return False
        begun, stopped = asyncio.ensure_future(member.begun()), asyncio.ensure_future(self._stopping.wait())
        waits: list[asyncio.Future[Any]] = [begun, stopped]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if member.gone.done() and not self._waits and not self.stopping:
            how = how_it_died(member.gone.result())
            EVENTS.emit(WorkerNotStarted(self._orders.application, how))
        return not member.gone.done()

    async def _keep(self, slot: Slot) -> None:
        """Have a process in a place, until the end."""
        while not self.stopping:
            member = slot.member
            if member is None:
                await self._fill(slot)
                continue
            code = await member.gone
            if slot.member is not member:  # another had taken its place before
                continue
            slot.put(None)
            if not self.stopping and not member.retiring:
                await self._pause(slot, member, how_it_died(code))

    async def _fill(self, slot: Slot) -> None:
        try:
            self._spawn(slot)
        except OSError as error:
            await self._pause(slot, None, f"cannot be started: {error}")

    async def _pause(self, slot: Slot, member: Member | None, how: str) -> None:
        """One has ended unasked: wait, longer each time that it ends soon."""
        now = monotonic()
        ran = None if member is None or member.runs_since is None else now - member.runs_since
        seconds = slot.pause(ran)
        again = None if self._waits and ran is None else seconds
        EVENTS.emit(WorkerProcessGone(0 if member is None else member.pid, how, ran, again))
        self._changed.clear()
        if not self.stopping:  # or `changed` tells nothing
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), again)

    def _spawn(self, slot: Slot | None) -> Member:
        member = Member(self._orders, self._due)
        self._members[member.pid] = member
        if slot is not None:
            slot.put(member)
        member.ready.add_done_callback(lambda ready: self._is_ready(ready, member))
        return member

    def _is_ready(self, ready: "asyncio.Future[None]", member: Member) -> None:
        if not ready.cancelled():
            EVENTS.emit(WorkerProcessReady(member.pid, monotonic() - member.began))

    # -- replacing ------------------------------------------------------------------------------

    def _due(self, member: Member, jobs: int, memory: int) -> None:
        EVENTS.emit(WorkerProcessDue(member.pid, jobs, memory))
        self._spawn_task(self._recycle(member))

    async def _recycle(self, member: Member) -> None:
        """Let one come to its end, and wait until another runs jobs in its place."""
        async with self._renewing:
            slot = next((slot for slot in self._slots if slot.member is member), None)
            if slot is None or self.stopping:
                return
            member.retire()
            await self._gone(member)
            await (await slot.another_than(member)).begun()

    async def _renew(self) -> None:
        async with self._renewing:
            for slot in self._slots:
                if self.stopping:
                    return
                old = slot.member
                if old is None:  # it waits to be started, with the new code
                    continue
                if self._waits:  # a developer's: the old one's answers are of no use any more
                    old.retire()
                    await self._gone(old)
                elif not await self._succeed(slot, old):
                    return

    async def _succeed(self, slot: Slot, old: Member) -> bool:
        """Have a new process in the place of an old one, as soon as it runs jobs; whether it does."""
        how = ""
        try:
            new = self._spawn(None)
        except OSError as error:
            how = f"cannot be started: {error}"
        else:
            await new.begun()
            if new.gone.done():
                how = how_it_died(new.gone.result())
        if how:
            if not self.stopping:
                EVENTS.emit(WorkerNotRenewed(how))
            return False
        slot.put(new)
        old.retire()
        return True

    async def _gone(self, member: Member) -> None:
        """Wait for one that was told to end; it is killed if that takes too long."""
        await asyncio.wait([member.gone], timeout=patience_with([member], self._orders))
        if not member.gone.done():
            self._kill([member], hurried=False)
            await asyncio.wait([member.gone])

    # -- the end --------------------------------------------------------------------------------

    async def _end(self) -> None:
        members = list(self._members.values())
        EVENTS.emit(WorkerStops(self._by, len(members), grace_of(members, self._orders)))
        for member in members:
            member.retire()
        if members:
            await asyncio.wait([m.gone for m in members], timeout=patience_with(members, self._orders))
        if self._members:
            self._code = self._code or FAILED
            self._kill(hurried=False)

    def _kill(self, members: Iterable[Member] | None = None, *, hurried: bool) -> None:
        killed = list(self._members.values() if members is None else members)
        if killed:
            EVENTS.emit(WorkerProcessesKilled([member.pid for member in killed], hurried))
        for member in killed:
            member.kill()

    def _spawn_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
