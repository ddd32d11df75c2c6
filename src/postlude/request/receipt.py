"""The receipt: what a request has asked for, written before its response, started after it.

A `Receipt` is made for each request on a watched route. It collects the request's calls, takes
the place of the response that the handler returned (so the framework calls it exactly when
everything that can fail before has succeeded), and ends with the request.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from anyio import CancelScope
from starlette.types import Receive, Scope, Send

from postlude.enqueue.port import Port, Prepared, Turn
from postlude.errors import NotDurable, PostludeError
from postlude.jobs.handle import Job
from postlude.request import listing
from postlude.request.asgi_scope import Facts, client_waits, may_be_held
from postlude.request.background import Collected
from postlude.request.calls import Call
from postlude.request.first_byte import FirstByte, begins_at_once
from postlude.request.growing import Growing, growing
from postlude.request.listing import Injected
from postlude.request.order import Order, last_plain
from postlude.request.owners import give, give_although_failed
from postlude.request.responses import point_to, refused

_NO_SCOPE: Final[Scope] = {}

Function = Callable[..., Any]


class Receipt:
    """One request's jobs, from the first call added to the start after the response."""

    __slots__ = (
        "accepted", "answered", "calls", "committed", "dropped", "facts", "held", "injected", "joined",
        "memory", "order", "over", "own", "owner", "port", "response", "scope", "started", "unseen",
    )  # fmt: skip

    owner: str | None  # not set until that has been asked

    def __init__(self, port: Port, scope: Scope, facts: Facts | None) -> None:
        self.port = port
        self.scope = scope
        self.facts = facts
        self.injected: Injected | None = None
        self.dropped: list[Injected] | None = None
        """Of calls of the endpoint whose response is not the one that is sent."""
        self.calls: list[Call] | None = None
        self.unseen = False
        """Whether the route may call its endpoint again, and nothing tells when."""
        self.response: Any = None
        self.own: Growing | None = None
        """The response's own background."""
        self.accepted: Job[Any] | None = None
        self.committed: list[Prepared] | None = None
        self.memory: list[Turn] | None = None
        self.order: Order | None = None
        self.joined: Any = None  # what `postlude.request.joined` keeps of it
        self.started = 0
        self.answered = self.held = self.over = False

    def prepare(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Prepared:
        """Prepare a call for this request; see `Port.prepare`. `RequestOver`: it has ended."""
        if self.over:
            raise listing.too_late(function)
        return self.port.prepare(function, args, kwargs)

    def add(
        self, tasks: Injected, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Job[Any] | None:
        """Take a call into the request's tasks; None if it is a plain function that will run in memory."""
        try:
            prepared = (self if self.over else self.port).prepare(function, args, kwargs)
        except NotDurable as why:
            if listing.is_wrapped_call(function, args, kwargs):
                return self.add(tasks, *listing.parts_of(function))
            if tasks.strict or self.port.declares(function):
                raise
            listing.keep_in_memory(self.port, tasks.tasks, function, args, kwargs, why)
            return None
        tasks.tasks.append(Collected(function, args, kwargs, prepared, self))
        # FastAPI's own parameter gives nothing back, and is everywhere: no handle is made for it.
        return prepared.job if tasks.strict else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Commit and send the response; or leave both to `track`, where less is kept alive meanwhile.

        So the requests that wait together fit into the processor's cache: some 10 µs a request.

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
        if own is None and may_be_held(scope, response, self.facts):
            self.held = True
        else:
            await self.send(own, scope, receive, send)

    async def send(self, own: Any, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; its jobs are committed right before it begins.

        Raises:
            HTTPException: 503, the journal did not take the jobs, or 409, the key of one is taken;
                nothing has been sent. TypeError: a declared task among them cannot be kept; likewise.
        """
        response = self.response
        if not self.held and not begins_at_once(scope, response):  # held: it does
            if self.accepted is not None:
                point_to(self.accepted, self.scope, response)
            first = FirstByte(partial(self.commit, own), send)
            await first.carry(response, scope, receive, lambda: self.fail(own), self.run_in_memory)
            return
        items = self._take(own)
        if items:
            if self.port.owner is not None:
                await give(self, items)
            try:
                await self.port.commit(items, last_plain(self.committed) if self.committed else None)
            except PostludeError as error:
                self.memory = None
                told = refused(error)
                raise told from told.__cause__
            self._note(items)
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

    async def commit(self, own: Any = None) -> None:
        """Store what has been added so far, and the background of the response, all or none.

        Raises:
            JournalUnavailable: nothing was stored.
        """
        items = self._take(own)
        if items:
            if self.port.owner is not None:
                await give(self, items)
            try:
                await self.port.commit(items, last_plain(self.committed) if self.committed else None)
            except PostludeError:
                self.memory = None
                raise
            self._note(items)
        self.answered = True

    async def fail(self, own: Any = None) -> None:
        """The request has failed: store only what was to be stored although it fails.

        The others stay where they are: whoever answers for the request may hand them on.
        """
        self.memory = None
        await self.store_what_failed(own)

    async def store_what_failed(self, own: Any = None) -> None:
        """Store what is stored although a call of the endpoint, or the request, has failed."""
        injected = None if self.answered else self.injected
        lists = [*(self.dropped or ()), *(() if injected is None else (injected,))]
        if kept := await listing.store_salvaged(self.port, lists, own, partial(give_although_failed, self)):
            self._note(kept)

    def end_at_once(self) -> bool:
        """End the request, if nothing of it is left to wait for: nearly always."""
        committed, injected = self.committed, self.injected
        if committed is None or self.order is not None or (injected is not None and injected.tasks):
            return False
        if self.own is not None and self.own.has_grown():
            return False
        if client_waits(self.scope):
            return False
        self.over = True
        if not self.port.start(committed):
            self.started = len(committed)
            return False
        self._let_go()
        return True

    async def end(self, *, cancelled: bool) -> None:
        """The request has ended, however it did: start what is stored, store and start what came late.

        Raises:
            JournalUnavailable: what came late could not be stored.
        """
        error: Exception | None = None
        try:
            self._start()
            # Until nothing comes any more: tasks in memory add others, and a thread may be inside `add_task`.
            while not self.over or self._is_late():
                self.over = not self._is_late() and self.memory is None
                error = await self._store_late() or error
                self._start()
                if cancelled and self.memory:
                    Order.drop(self.order, self.memory)
                    self.memory = None
                elif self.memory is not None:
                    try:
                        await self.run_in_memory()
                    except Exception as raised:
                        error = error or raised
        finally:
            self.over = True
            if self.committed and (client_waits(self.scope) or not self.port.serves()):
                # Also when cancelled, now or meanwhile: without a runner, nobody else would run them.
                with CancelScope(shield=True):
                    await (self.port if self.order is None else self.order).settle(self.committed)
            self._let_go()
        if error is not None and not cancelled:
            raise error

    def _is_late(self) -> bool:
        late = self.injected is not None and self.injected.tasks
        return self.answered and bool(late or (self.own is not None and self.own.has_grown()))

    async def _store_late(self) -> Exception | None:
        with CancelScope(shield=True):
            try:
                await (self.commit() if self.answered else self.fail())
            except (PostludeError, TypeError) as error:
                # A declared task that cannot be kept: none is, as with a key that is taken.
                if isinstance(error, TypeError):
                    self.answered = False
                    await self.fail()
                return error
        return None

    def _start(self) -> None:
        """Let start what is stored and was not let start before."""
        committed = self.committed or []
        rest = committed[self.started :]
        if rest:
            self.started = len(committed)
            (self.port if self.order is None else self.order).start(rest)

    def _let_go(self) -> None:
        """Forget the request: left to the garbage collector, that cost more time than all that is done here.

        The injected object points here: a cycle, and the whole request hung on it.
        """
        self.injected = self.dropped = self.calls = self.response = None
        self.committed = self.order = self.own = None
        self.scope = _NO_SCOPE

    async def run_in_memory(self) -> None:
        """Let the jobs start, and run what has no durable form, each in its turn; see `Order`."""
        turns, self.memory = self.memory, None
        if turns and self.order is not None:
            self._start()
            await self.order.run(turns)

    def _note(self, items: list[Any]) -> None:
        """Note what has been stored, and what is to run in memory in its place."""
        if self.committed is None and len(items) == 1 and items[0].__class__ is not Turn:  # nearly always
            self.committed = items
            return
        turns = [item for item in items if isinstance(item, Turn)]
        jobs = [item for item in items if not isinstance(item, Turn)]
        if jobs:
            self.committed = [*(self.committed or ()), *jobs]
        if turns:
            self.memory = [*(self.memory or ()), *turns]
            self.order = self.order or Order(self.port, (self.committed or [])[: self.started])
            self.order.expect(turns)

    def _take(self, own: Any) -> list[Prepared | Turn]:
        """Take what has been added; all of it stays if a declared task among it cannot be kept."""
        injected = self.injected
        if own is not None:
            self.own = growing(own)
        elif self.own is not None:
            own = self.own.take()
        if injected is None or (injected.replaced and injected.is_called()):
            self.injected = None
            return listing.take(self.port, [] if injected is None else [injected], own)
        tasks: list[Any] = injected.tasks
        if len(tasks) == 1 and own is None:  # nearly always
            task = tasks[0]
            if task.__class__ is Collected and task.collector is self:
                prepared, task.prepared = task.prepared, None
                if prepared is not None:
                    del tasks[0]
                    return [prepared]
        return listing.take(self.port, tasks, own)
