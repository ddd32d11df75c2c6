"""Async functions, as tasks on the application's loop."""

import asyncio
import ctypes
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from postlude.compat import forget_task
from postlude.errors import TaskDefinitionError
from postlude.model.event.jobs import JobIgnoresCancel
from postlude.model.event.runner import CancelFailed
from postlude.model.outcome import SUCCEEDED, Outcome
from postlude.runner.attempt.execution import kept
from postlude.runner.attempt.injection import Injection
from postlude.runner.attempt.unrun import refuse_unrun
from postlude.runner.attempt.work import Work
from postlude.runner.executors.overtime import refuse_late
from postlude.runner.executors.protocol import Begin, Ended
from postlude.runner.executors.side_threads import SideThreads
from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged
from postlude.telemetry.tracing import Observed


class LoopExecutor:
    """Runs async functions, and those with dependencies, at most `slots` at once.

    Args:
        slots: how many.
        threads: how many sync functions that have dependencies run at once beside the loop.
        begin: called as work starts.
        ended: called with how it ended.
        injection: resolves dependencies; None: there is no framework that does.
        events: who is told of what happens; by default, the log.
    """

    def __init__(
        self,
        slots: int,
        begin: Begin,
        ended: Ended,
        *,
        threads: int = 1,
        injection: Injection | None = None,
        events: Events | None = None,
    ) -> None:
        self._events = events = events or logged()
        self.waiting: deque[Work] = deque()
        self.tasks: dict[Work, asyncio.Task[None]] = {}
        self.ended_so_far = 0
        self._slots = slots
        self.beside = SideThreads(threads, events)
        self._begin = begin
        self._ended = ended
        self._injection = injection
        self._loop = asyncio.get_running_loop()

    @property
    def running(self) -> list[Work]:
        """What runs in its places."""
        return list(self.tasks)

    @property
    def free(self) -> int:
        """How many more could start at once."""
        return max(0, self._slots - len(self.tasks) - len(self.waiting))

    def submit(self, work: Work) -> None:
        """Start it, now or when there is room."""
        if len(self.tasks) < self._slots:
            self._start(work)
        else:
            self.waiting.append(work)

    def runs(self, work: Work) -> bool:
        """Whether this has started and has not returned."""
        return work in self.tasks

    def interrupt(self, work: Work) -> None:
        """Cancel its task."""
        task = self.tasks.get(work)
        if task is not None:
            cancel(task, self._events)

    def abandon(self, work: Work) -> bool:
        """Give its place away; its task is left to itself."""
        task = self.tasks.pop(work, None)
        if task is None:
            return False
        self._events.emit(JobIgnoresCancel(*work.identity))
        self.beside.abandon(work)
        leave_alone(task)
        self._start_waiting()
        return True

    def _start(self, work: Work) -> None:
        context = self._begin(work)
        if context is not None:
            # Not by the loop: a factory of the application may begin it here and now, before it is known.
            # Its own name: what asyncio would make up for it takes longer, and says less.
            self.tasks[work] = asyncio.Task(self._run(work), loop=self._loop, name=work.name, context=context)

    async def _run(self, work: Work) -> None:
        task = work.task
        if TYPE_CHECKING:
            assert task is not None
            assert work.args is not None
            assert work.kwargs is not None
        result: Outcome | BaseException = SUCCEEDED
        try:
            if work.trace is not None:
                value = await self._run_observed(work)
            elif task.injected:
                value = await self._run_injected(work)
            else:
                value = await task.function(*work.args, **work.kwargs)
            if work.seconds is not None:
                refuse_late()
            if value is not None:
                refuse_unrun(work.name, value, on_loop=True)
                result = kept(task, value)
        except BaseException as error:
            result = error  # whatever it is, it must not reach the loop
        try:
            if self.tasks.pop(work, None) is not None:  # not abandoned
                self.ended_so_far += 1
                self._ended(work, result)
        finally:
            del result  # an error knows this frame: a cycle, with all that the attempt had in its hands
        if self.waiting:
            self._start_waiting()

    async def _run_observed(self, work: Work) -> Any:
        assert work.task is not None
        assert work.args is not None
        assert work.kwargs is not None
        function = work.task.function
        if work.task.injected:
            return await Observed(function).of(partial(self._run_injected, work))
        return await Observed(function).of(partial(function, *work.args, **work.kwargs))

    async def _run_injected(self, work: Work) -> Any:
        assert work.task is not None
        assert work.args is not None
        assert work.kwargs is not None
        if self._injection is None:
            raise TaskDefinitionError(
                f"{work.name} has dependencies, which only a FastAPI application resolves"
            )
        call = partial(self.beside.call, work)
        return await self._injection.run(work.task, work.args, work.kwargs, call)

    def _start_waiting(self) -> None:
        waiting = self.waiting
        while waiting and len(self.tasks) < self._slots:
            try:
                work = waiting.popleft()
            except IndexError:  # taken back
                return
            self._start(work)

    def sweep(self) -> None:
        """Notice tasks that somebody else cancelled before their first step: they told nobody."""
        for work, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[work]
                self._ended(work, asyncio.CancelledError("cancelled before it had begun"))
        self._start_waiting()


def cancel(task: asyncio.Task[None], events: Events) -> None:
    """Cancel a task. What it waits for may be the application's own, and fail to be cancelled."""
    try:
        task.cancel()
    except BaseException as error:
        events.emit(CancelFailed(task.get_name(), error))


def leave_alone(task: asyncio.Task[None]) -> None:
    """Let nobody wait for a task that may not end, nor end it as garbage."""
    forget_task(task)  # `asyncio.run` cancels and awaits all that it knows of
    # At the interpreter's end its coroutine would be closed. One that swallows that as it swallows its
    # cancellation finds no loop to wait on, and goes round for ever.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))
    task.add_done_callback(_let_go)


def _let_go(task: asyncio.Task[None]) -> None:
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(task))
