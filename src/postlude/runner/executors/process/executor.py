"""The executor of tasks that run in processes: who is free, who runs what, who is replaced."""

import asyncio
import logging
import sys
from collections import deque
from typing import Final

from postlude.errors import NotDurable
from postlude.model.event.runner import ProcessLost, Slot, SlotRefused
from postlude.model.outcome import Outcome
from postlude.runner.attempt.work import Stopping, Work
from postlude.runner.executors.overtime import Overtime
from postlude.runner.executors.process.child_process import ChildProcess, Event, Gone, Ready
from postlude.runner.executors.process.child_process import Ended as JobEnded
from postlude.runner.executors.process.failures import ProcessDied
from postlude.runner.executors.process.messages import Answer, Caps, Hello, RunJob, Step
from postlude.runner.executors.protocol import AGAIN_AFTER, Begin, Ended
from postlude.tasks.process import place_of
from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged

STOP_WITHIN: Final = 0.5
"""Seconds that work has which is asked to stop and looks at `raise_if_cancelled`."""

DEFAULT_CAPS: Final = Caps()


class ProcessExecutor:
    """Sync functions that compute, each in a process that runs one job at a time.

    Processes are started when work waits for them, and kept. One that dies costs the job that it
    ran an attempt, and no other job anything.

    Args:
        slots: how many processes.
        begin: called on the loop as work starts.
        ended: called on the loop with how it ended; not after `stop`.
        recycle_jobs: a process is replaced after so many jobs.
        recycle_bytes: a process that uses more memory than this after a job is replaced.
        caps: how much is kept of what jobs say.
        events: who is told of what happens; by default, the log.
    """

    def __init__(
        self,
        slots: int,
        begin: Begin,
        ended: Ended,
        *,
        recycle_jobs: int,
        recycle_bytes: int,
        caps: Caps = DEFAULT_CAPS,
        events: Events | None = None,
    ) -> None:
        self._events = events or logged()
        self.waiting: deque[Work] = deque()
        self._slots = slots
        self._begin = begin
        self._ended = ended
        self._recycle_jobs = recycle_jobs
        self._recycle_bytes = recycle_bytes
        self._caps = caps
        self._loop = asyncio.get_running_loop()
        self._starting: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []
        self._busy: dict[ChildProcess, Work] = {}
        self._keepers: dict[Work, ChildProcess] = {}
        self._again: deque[Work] = deque()
        self._once_lost: set[Work] = set()
        self.ended_so_far = 0
        self._number = 0
        self._pumping = False
        self._stopped = False
        self._refused = False
        """Whether the system has refused the last process."""
        self._retry: asyncio.TimerHandle | None = None

    @property
    def running(self) -> list[Work]:
        """What runs in its places."""
        return list(self._busy.values())

    @property
    def free(self) -> int:
        """How many more could start now."""
        return max(0, self._slots - len(self._busy) - len(self.waiting) - len(self._again))

    def submit(self, work: Work) -> None:
        """Start it, now or when a process is free."""
        self.waiting.append(work)
        self._pump()

    def runs(self, work: Work) -> bool:
        """Whether this has started and its end is not known."""
        return work in self._keepers or work in self._again

    def interrupt(self, work: Work) -> None:
        """Ask work that runs to stop; it has a moment before its process is ended."""
        keeper = self._keepers.get(work)
        if keeper is None:
            self.kill(work)
        else:
            keeper.ask_to_stop()
            self._loop.call_later(STOP_WITHIN, self._kill_if_busy, keeper, keeper.number)

    def kill(self, work: Work) -> bool:
        """End the process that runs it; False if it does not run. Its end is told as any other."""
        keeper = self._keepers.get(work)
        if keeper is not None:
            keeper.kill()
            return True
        if work in self._again:
            self._again.remove(work)
            self._loop.call_soon(self._end, work, ProcessDied("it was stopped before it had begun"))
            return True
        return False

    def _kill_if_busy(self, keeper: ChildProcess, number: int) -> None:
        if keeper in self._busy and keeper.number == number:
            keeper.kill()

    def abandon(self, work: Work) -> bool:
        """End its process and say nothing more of it; False if it does not run."""
        keeper = self._keepers.get(work)
        if keeper is None:
            return False
        keeper.kill()
        self._free(keeper)
        self._once_lost.discard(work)
        self._pump()
        return True

    def stop(self) -> None:
        """End all processes, those that run jobs too. Nothing is told any more."""
        self._stopped = True
        for keeper in self._idle:
            keeper.leave()
        for keeper in (*self._starting, *self._busy):
            keeper.kill()
        self._idle.clear()
        self._keepers.clear()

    def _pump(self) -> None:
        """Start what can start, and processes for what waits."""
        if self._stopped or self._pumping:
            return
        self._pumping = True  # `begin` may lead to `submit`
        try:
            while self._idle and (work := self._next()) is not None:
                self._run(self._idle.pop(), work)
        finally:
            self._pumping = False
        room = self._slots - len(self._busy) - len(self._idle)
        wanted = min(len(self.waiting) + len(self._again), room) - len(self._starting)
        if self._retry is None:
            self._start(wanted)

    def _start(self, wanted: int) -> None:
        """Start so many processes; where the system has no more now, it is asked again a little later."""
        try:
            for _ in range(wanted):
                self._starting.add(ChildProcess(self._boot(), self._told, self._loop))
                self._refused = False
        except (OSError, RuntimeError) as error:
            if not self._refused:
                self._events.emit(SlotRefused(Slot.PROCESS, len(self.waiting), error))
            self._refused = True
            self._retry = self._loop.call_later(AGAIN_AFTER, self._start_again)

    def _start_again(self) -> None:
        self._retry = None
        self._pump()

    def _next(self) -> Work | None:
        """Take the next work; one that had begun comes first, and does not begin again."""
        if self._again:
            return self._again.popleft()
        while True:
            try:
                work = self.waiting.popleft()
            except IndexError:  # taken back
                return None
            if self._begin(work) is not None:
                return work

    def _run(self, keeper: ChildProcess, work: Work) -> None:
        try:
            order = self._order(work)
        except NotDurable as error:
            self._idle.append(keeper)
            self._loop.call_soon(self._end, work, error)
            return
        self._busy[keeper] = work
        self._keepers[work] = keeper
        keeper.give(order, work.payload)

    def _order(self, work: Work) -> RunJob:
        assert work.task is not None
        module, place = place_of(work.task)
        self._number += 1
        current = work.current
        attempt = work.failures + 1 if current is None else current.attempt
        context = work.given.context
        if work.traced:
            context = work.task.carried.leaving(context, work.traced)
        return RunJob(
            self._number,
            module,
            place,
            work.id.hex(),
            work.name,
            work.queue,
            attempt,
            context,
            work.given.opts,
        )

    def _boot(self) -> Hello:
        module: str | None = None
        try:
            work = (self._again or self.waiting)[0]
            module = None if work.task is None else place_of(work.task)[0]
        except (IndexError, NotDurable):
            pass  # taken back; or told when it is its turn
        return Hello(list(sys.argv), _levels(), module, self._caps)

    def _told(self, keeper: ChildProcess, event: Event) -> None:
        """Something has happened in a process. On the loop."""
        if self._stopped:
            return
        match event:
            case Ready():
                self._starting.discard(keeper)
                self._idle.append(keeper)
            case Step(done, total, message):
                work = self._busy.get(keeper)
                if work is not None and work.current is not None:
                    work.current.progress(done, total, message)
            case JobEnded(answer, result):
                self._answered(keeper, answer, result)
            case Gone(how, taken):
                self._gone(keeper, how, taken)
        self._pump()

    def _answered(self, keeper: ChildProcess, answer: Answer, result: bytes | None) -> None:
        work = self._free(keeper)
        if keeper.jobs >= self._recycle_jobs or answer.resident > self._recycle_bytes:
            keeper.leave()
        elif not keeper.doomed:
            self._idle.append(keeper)
        if work is None:
            return  # abandoned
        if work.current is not None and answer.lines:
            work.current.lines = [*(work.current.lines or ()), *answer.lines]
        if work.stopping is Stopping.TIMEOUT and answer.kind == "returned":
            self._end(work, Overtime("it returned after its time was over"))
        else:
            self._end(work, answer.outcome(result))

    def _gone(self, keeper: ChildProcess, how: str, taken: bool) -> None:
        work = self._free(keeper)
        if work is not None:
            if taken or keeper.doomed or work in self._once_lost:
                hint = "; for want of memory, perhaps" if "SIGKILL" in how and not keeper.doomed else ""
                self._end(work, ProcessDied(f"the process that ran it {how}{hint}"))
            else:  # it had died before it was told of this job
                self._once_lost.add(work)
                self._again.append(work)
        elif keeper in self._starting:
            self._starting.remove(keeper)
            # One job bears it, so that a process that never starts is not tried for ever.
            work = self._next()
            if work is not None:
                self._end(work, ProcessDied(f"no process was ready to run it: the one for it {how}"))
        elif keeper in self._idle:
            self._idle.remove(keeper)
            self._events.emit(ProcessLost(how))

    def _free(self, keeper: ChildProcess) -> Work | None:
        work = self._busy.pop(keeper, None)
        if work is not None:
            del self._keepers[work]
        return work

    def _end(self, work: Work, result: Outcome | BaseException) -> None:
        self._once_lost.discard(work)
        if not self._stopped:
            self.ended_so_far += 1
            self._ended(work, result)


def _levels() -> dict[str, int]:
    """Return the levels that loggers here were given, so that tasks log there as they would here."""
    loggers = dict(logging.root.manager.loggerDict)
    levels = {
        name: one.level for name, one in loggers.items() if isinstance(one, logging.Logger) and one.level
    }
    return {"": logging.root.level, **levels}
