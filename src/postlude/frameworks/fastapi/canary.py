"""Private routes that prove, before a real application relies on it, that the hook in FastAPI works.

They are called as an application would call them, without being one: what watches applications
(instrumentations of FastAPI and Starlette, FastAPI's own telemetry) sees and reports nothing.
"""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from contextvars import Context
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, BackgroundTasks, Depends, WebSocket
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.routing import NoMatchFound
from starlette.types import Message, Scope

from postlude.compat import EXCEPTION_HANDLERS, SilentLoop
from postlude.enqueue.joined.target import Joins
from postlude.enqueue.port import Port, Prepared, Turn
from postlude.frameworks.fastapi.internals import INCLUDED, MIDDLEWARE_STACK, SCOPED
from postlude.jobs.handle import Job
from postlude.request.route import SCOPE_KEY

_GOOD: Final = ["left", "commit", "http.response.start", "http.response.body", "start"]
_OWN: Final = ["left", "commit", "commit", "http.response.start", "http.response.body", "start", "start"]
_BAD: Final = ["left", "http.response.start", "http.response.body"]
_SOCKET: Final = ["websocket.accept", "left", "commit", "start"]

_PATIENCE: Final = 5
"""Seconds in which it has to answer; it takes 0.01."""


class NotProven(Exception):
    """What the canary saw is not what must happen."""


class _Call(NamedTuple):
    job: Job[Any] = Job(bytes(16), "canary", "default")
    created: int = 0
    due: int | None = None
    attempts: int | None = None
    on_failure: bool = False
    concurrent: bool = False

    def belong_to(self, owner: str | None) -> None: ...


class _Port:
    """Writes down what happens, in order."""

    joiner: Joins

    def __init__(self) -> None:
        self.seen: list[str] = []

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Prepared:
        return _Call()

    async def commit(self, prepared: Sequence[Prepared | Turn], after: Prepared | None = None) -> None:
        self.seen += ["commit"] * len(prepared)

    def start(self, prepared: Sequence[Prepared]) -> bool:
        self.seen += ["start"] * len(prepared)
        return True

    async def settle(self, prepared: Sequence[Prepared]) -> None: ...

    def serves(self) -> bool:
        return True

    patience = 0.0

    async def reach(self, turn: Turn, inline: Collection[asyncio.Task[None]]) -> None: ...

    def free(self, turn: Turn) -> None: ...

    owner: Any = None

    def declares(self, function: Callable[..., Any]) -> bool:
        return False

    def in_memory(self, function: Callable[..., Any], why: str) -> None: ...


class Canary:
    """Routes in each place in which an application has them.

    Each of them adds a task, and has a dependency that leaves.
    Make it before the hook is installed, so that it also proves that earlier routes are covered.
    """

    def __init__(self) -> None:
        self.app = APIRouter()
        self._port = _Port()
        self._growing, included, mounted = APIRouter(), APIRouter(), APIRouter()
        for router in (self.app, included, mounted):
            self._furnish(router)
        self.app.include_router(included, prefix="/included")
        self.app.include_router(self._growing, prefix="/growing")
        self.app.mount("/mounted", mounted)
        with suppress(NoMatchFound):
            self.app.url_path_for("no such route")  # whoever is asked for a path makes included routes ready

    def add_late(self) -> None:
        """Add routes as applications do that have their Postlude already."""
        late = APIRouter()
        self._furnish(late)
        self._furnish(self.app, "/added")
        self._furnish(self._growing, "/added")
        self.app.include_router(late, prefix="/late")

    def _furnish(self, router: APIRouter, prefix: str = "") -> None:
        seen = self._port.seen

        async def leaves() -> AsyncIterator[None]:
            try:
                yield
            finally:
                seen.append("left")

        # A parameter, and the routes return responses: FastAPI 0.121.0 ignores the scope of a route's own
        # dependencies, and what makes a response of other values is wrapped by Datadog.
        leaving: Any = Depends(leaves, scope="function") if SCOPED else Depends(leaves)

        async def good(tasks: BackgroundTasks, left: Annotated[None, leaving]) -> Response:
            tasks.add_task(_nothing)
            return Response()

        async def own(tasks: BackgroundTasks, left: Annotated[None, leaving]) -> Response:
            tasks.add_task(_nothing)
            return Response(background=BackgroundTask(_nothing))

        async def bad(tasks: BackgroundTasks, left: Annotated[None, leaving]) -> Response:
            tasks.add_task(_nothing)
            raise _Expected

        async def socket(session: WebSocket, tasks: BackgroundTasks, left: Annotated[None, leaving]) -> None:
            await session.accept()
            tasks.add_task(_nothing)

        for name, endpoint in (("good", good), ("own", own), ("bad", bad)):
            router.add_api_route(f"{prefix}/{name}", endpoint, include_in_schema=False)
        router.add_api_websocket_route(f"{prefix}/socket", socket)

    def prove(self) -> None:
        """Call each route once.

        Raises:
            NotProven: something did not happen, or out of order.
        """
        failure: list[BaseException] = []

        def run() -> None:
            try:
                # Nor does it take part in what is traced where the application is made.
                Context().run(self._prove_all)
            except BaseException as error:
                failure.append(error)

        # In a thread of its own: this one may have a running event loop.
        thread = threading.Thread(target=run, name="postlude-canary")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    def _prove_all(self) -> None:
        _let_nobody_trace()
        loop = SilentLoop(_Patience())
        task = loop.create_task(self._prove_each())
        try:
            loop.run_until_complete(task)
        finally:
            task.cancel()
            loop.run_until_complete(asyncio.sleep(0))  # threads that it has used, if any, are told to end
            loop.close()

    async def _prove_each(self) -> None:
        for place in self._places():
            for name, expected in (("good", _GOOD), ("own", _OWN), ("bad", _BAD), ("socket", _SOCKET)):
                await self._prove(f"{place}/{name}", expected)

    def _places(self) -> Iterator[str]:
        yield from ("", "/included", "/mounted", "/added", "/late")
        if any(isinstance(route, INCLUDED) for route in self.app.routes):
            yield "/growing/added"

    async def _prove(self, path: str, expected: list[str]) -> None:
        self._port.seen.clear()
        async with AsyncExitStack() as stack:
            await self.app(_scope(path, self._port, self.app, stack), _Receive(path), self._send)
        seen = self._port.seen
        if not SCOPED:
            seen, expected = _but_leaving(seen), _but_leaving(expected)
        if seen != expected:
            raise NotProven(f"{path}: {seen} instead of {expected}")

    async def _send(self, message: Message) -> None:
        self._port.seen.append(message["type"])


def _but_leaving(seen: list[str]) -> list[str]:
    return [event for event in seen if event != "left"]


def _let_nobody_trace() -> None:
    """Let OpenTelemetry, if the application has it, ignore what this context does."""
    context: Any = sys.modules.get("opentelemetry.context")
    trace: Any = sys.modules.get("opentelemetry.trace")
    if context is not None and trace is not None:
        # Whoever is asked to trace the child of what is not sampled does not; instrumentations ask the other.
        unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 1, False, trace.TraceFlags(0)))
        context.attach(
            context.set_value("suppress_instrumentation", True, trace.set_span_in_context(unsampled))
        )


class _Patience:
    """Waits for what a thread may have to say, for so long."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _PATIENCE

    def __call__(self, timeout: float | None) -> None:
        if timeout != 0:
            time.sleep(0.001)
            if time.monotonic() > self._until:
                raise NotProven(f"a route waited for {_PATIENCE} s")


def _nothing() -> None: ...


class _Expected(Exception):
    """Raised by the route that fails."""


async def _answer(request: Any, error: Exception) -> Response:
    return Response(status_code=500)


class _Receive:
    """What comes from the client: a request without a body, or that a session begins and, later, ends."""

    def __init__(self, path: str) -> None:
        kinds = ("connect", "disconnect") if path.endswith("/socket") else ("request", "disconnect")
        family = "websocket" if path.endswith("/socket") else "http"
        self._messages = iter([f"{family}.{kind}" for kind in kinds])

    async def __call__(self) -> Message:
        return {"type": next(self._messages), "body": b"", "more_body": False}


def _scope(path: str, port: Port, app: Any, stack: AsyncExitStack) -> Scope:
    session = path.endswith("/socket")
    return {
        "type": "websocket" if session else "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "ws" if session else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "subprotocols": [],
        "client": ("canary", 0),
        "server": ("canary", 80),
        # What an application's own middlewares put there, and Datadog's; without it, its routes warn.
        "datadog": {},
        "app": app,
        EXCEPTION_HANDLERS: ({_Expected: _answer}, {}),
        MIDDLEWARE_STACK: stack,
        SCOPE_KEY: port,
    }
