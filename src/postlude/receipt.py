"""The receipt: what a request has asked for, written before its response, started after it.

A `Receipt` is made for each request on a watched route. It collects the request's calls, takes
the place of the response that the handler returned (so the framework calls it exactly when
everything that can fail has succeeded), and ends with the request.
"""

import copy
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from anyio import CancelScope
from starlette.background import BackgroundTask as StarletteBackgroundTask
from starlette.types import Receive, Scope, Send

from postlude.answers import conflict, point_to, unavailable
from postlude.background import BackgroundTask, Collected, InMemory, is_call, parts, run_all
from postlude.desk import Desk, Prepared
from postlude.errors import JournalUnavailable, KeyTaken, NotDurable, RequestOver
from postlude.job import Job
from postlude.log import Log
from postlude.scopes import client_waits, may_be_held
from postlude.tasks.names import describe

_NO_SCOPE: Final[Scope] = {}

log = Log("postlude")


class Injected(Protocol):
    """The object that a request's parameters hold."""

    tasks: list[StarletteBackgroundTask]
    strict: bool


class Facts:
    """What is found out once per route."""

    __slots__ = ("strict",)

    def __init__(self) -> None:
        self.strict: bool | None = None


class Receipt:
    """One request's jobs, from the first call added to the start after the response."""

    __slots__ = (
        "accepted", "answered", "committed", "desk", "facts", "held",
        "injected", "memory", "over", "response", "scope", "started",
    )  # fmt: skip

    def __init__(self, desk: Desk, scope: Scope, facts: Facts | None) -> None:
        self.desk = desk
        self.scope = scope
        self.facts = facts
        self.injected: Injected | None = None
        self.response: Any = None
        self.accepted: Job[Any] | None = None
        self.committed: list[Prepared] | None = None
        self.memory: list[Callable[[], Awaitable[Any]]] | None = None
        self.started = 0
        self.answered = False
        self.held = False
        self.over = False

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared:
        """Prepare a call for this request; see `Desk.prepare`.

        Raises:
            RequestOver: the request has ended.
        """
        if self.over:
            raise RequestOver(
                f"add_task({describe(function)}) came after its request had ended, so nothing would run it. "
                "Use `await postlude.add_task(...)` outside of requests."
            )
        return self.desk.prepare(function, args, kwargs)

    def add(
        self, tasks: Injected, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Job[Any] | None:
        """Take a call into the request's tasks; None if it is a plain function that will run in memory."""
        try:
            prepared = (self if self.over else self.desk).prepare(function, args, kwargs)
        except NotDurable as why:
            if tasks.strict or self.desk.declares(function):
                raise
            self.desk.in_memory(function, str(why))
            tasks.tasks.append(InMemory(function, *args, **kwargs))
            return None
        tasks.tasks.append(Collected(function, args, kwargs, prepared, self))
        # FastAPI's own parameter gives nothing back, and is everywhere: no handle is made for it.
        return prepared.job if tasks.strict else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Commit and send the response; or leave both to `track`, where nothing is open any more.

        What waits for the commit there keeps less alive, so that the requests that wait together
        fit into the processor's cache: some 10 µs a request.

        Raises:
            HTTPException: 503, the journal did not take the jobs; nothing has been sent.
        """
        response = self.response
        own = getattr(response, "background", None)
        if own is not None:
            if own is self.injected:
                own = None
            else:
                # The application may return one response object many times: leave it as it is.
                response = self.response = copy.copy(response)
            response.background = None
        if own is None and may_be_held(scope, response):
            self.held = True
        else:
            await self.send(own, scope, receive, send)

    async def send(self, own: Any, scope: Scope, receive: Receive, send: Send) -> None:
        """Commit, then send the response.

        Raises:
            HTTPException: 503, the journal did not take the jobs, or 409, the key of one is taken;
                nothing has been sent. TypeError: a declared task among them cannot be kept; likewise.
        """
        response = self.response
        prepared = self._take(own)
        if prepared:
            try:
                await self.desk.commit(prepared)
            except JournalUnavailable as error:
                self.memory = None
                raise unavailable() from error
            except KeyTaken as error:
                self.memory = None
                raise conflict(error) from error
            self.committed = prepared if self.committed is None else [*self.committed, *prepared]
        self.answered = True
        if self.accepted is not None:
            point_to(self.accepted, self.scope, response)
        try:
            await response(scope, receive, send)
        except Exception:
            await self.run_in_memory()
            raise
        if self.memory is not None:
            await self.run_in_memory()

    async def commit(self) -> None:
        """Store what has been added so far, all or none; the request has succeeded.

        Raises:
            JournalUnavailable: nothing was stored.
        """
        prepared = self._take(None)
        if prepared:
            try:
                await self.desk.commit(prepared)
            except (JournalUnavailable, KeyTaken):
                self.memory = None
                raise
            self._note(prepared)
        self.answered = True

    async def fail(self) -> None:
        """The request has failed: store only what was to be stored although it fails."""
        kept = [prepared for prepared in self._take(None, failed=True) if prepared.on_failure]
        self.memory = None
        if not kept:
            return
        try:
            await self.desk.commit(kept)
        except (JournalUnavailable, KeyTaken):
            names = ", ".join(prepared.job.task for prepared in kept)
            log.exception("The journal did not take the jobs of a failed request: %s", names)
        else:
            self._note(kept)

    def end_at_once(self) -> bool:
        """End the request, if nothing of it is left to wait for: nearly always."""
        committed, injected = self.committed, self.injected
        if committed is None or self.memory is not None or (injected is not None and injected.tasks):
            return False
        if client_waits(self.scope):
            return False
        self.over = True
        if not self.desk.start(committed):
            self.started = len(committed)
            return False
        self._let_go()
        return True

    async def end(self, *, cancelled: bool) -> None:
        """The request has ended, however it did: start what is stored, store and start what came late.

        Raises:
            JournalUnavailable: what came late could not be stored.
        """
        self.over = True
        self._start()
        error: Exception | None = None
        # Again and again, because a thread may have been inside `add_task` meanwhile.
        while self.injected is not None and self.injected.tasks:
            with CancelScope(shield=True):
                try:
                    await (self.commit() if self.answered else self.fail())
                except (JournalUnavailable, KeyTaken) as unconfirmed:
                    error = unconfirmed
                except TypeError as unkept:  # a declared task: none of them is stored, as with a taken key
                    error = unkept
                    await self.fail()
        self._start()
        if cancelled and self.memory:
            log.error("A cancelled request dropped %d tasks that have no durable form", len(self.memory))
            self.memory = None
        try:
            if self.memory is not None:
                await self.run_in_memory()
        finally:
            if self.committed and (client_waits(self.scope) or not self.desk.serves()):
                # Also when cancelled, now or meanwhile: without a runner, nobody else would run them.
                with CancelScope(shield=True):
                    await self.desk.settle(self.committed)
            self._let_go()
        if error is not None and not cancelled:
            raise error

    def _start(self) -> None:
        """Let start what is stored and was not let start before."""
        committed = self.committed or []
        rest = committed[self.started :]
        if rest:
            self.started = len(committed)
            self.desk.start(rest)

    def _let_go(self) -> None:
        """Forget the request. The injected object points here: a cycle, and the whole request hung on it.

        Left to the garbage collector, that cost more time than everything else that is done here.
        """
        self.injected = self.response = self.committed = None
        self.scope = _NO_SCOPE

    async def run_in_memory(self) -> None:
        """Run what has no durable form; see `run_all`."""
        tasks, self.memory = self.memory, None
        await run_all(tasks or ())

    def _note(self, prepared: list[Prepared]) -> None:
        self.committed = prepared if self.committed is None else [*self.committed, *prepared]

    def _take(self, own: Any, *, failed: bool = False) -> list[Prepared]:
        """Take what has been added; all of it stays if a declared task among it cannot be kept."""
        injected = self.injected
        tasks = () if injected is None else injected.tasks
        if len(tasks) == 1 and own is None:  # nearly always
            task = tasks[0]
            if task.__class__ is Collected and task.collector is self:
                del tasks[0]
                return [task.prepared]
        prepared: list[Prepared] = []
        if tasks:
            count = len(tasks)
            for task in tasks[:count]:
                if task.__class__ is Collected and task.collector is self:
                    prepared.append(task.prepared)
                else:
                    self._admit(task, prepared, failed)
        if own is not None:
            for task in parts(own):
                self._admit(task, prepared, failed)
        if tasks:
            del tasks[:count]
        return prepared

    def _admit(self, task: Any, prepared: list[Prepared], failed: bool) -> None:
        if isinstance(task, BackgroundTask) and task.collector is self and task.prepared is not None:
            prepared.append(task.prepared)
            return
        if isinstance(task, InMemory) or not is_call(task):
            self._keep(task)
            return
        try:
            prepared.append(self.desk.prepare(task.func, task.args, task.kwargs))
        except TypeError as why:
            if self.desk.declares(task.func):
                if not failed:
                    raise
                log.error("A failed request dropped a task that cannot be kept: %s", why)
                return
            if isinstance(why, NotDurable):
                self.desk.in_memory(task.func, str(why))
            # Else it fails where it always did: when it is called, after the response.
            self._keep(task)

    def _keep(self, task: Callable[[], Awaitable[Any]]) -> None:
        self.memory = [*(self.memory or ()), task]
