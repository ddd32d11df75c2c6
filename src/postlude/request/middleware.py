"""The middleware: marks the requests of an application, and joins its start and its end."""

from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postlude.enqueue.port import Port
from postlude.errors import PostludeError
from postlude.model.event.request import DrainFailed
from postlude.request.asgi_scope import client_waits
from postlude.request.passthrough import OFF_KEY, Passthrough
from postlude.request.route import SCOPE_KEY
from postlude.telemetry.process import EVENTS


class Lifespan(Protocol):
    """One lifespan of an application. Implemented by `postlude.app.lifecycle.Lifespan`."""

    async def open(self) -> None:
        """Open the journal; the application's own start-up comes next."""
        ...

    async def start(self) -> None:
        """Start the runner; the application's own start-up is complete."""
        ...

    async def drain(self) -> None:
        """Stop claiming and let running jobs end; the application's own shutdown comes next."""
        ...

    async def close(self) -> None:
        """Close the journal; the application's own shutdown is over. Also after a failed start."""
        ...


class Host(Protocol):
    """What an application's start and end mean for its Postlude. Implemented by `Postlude`."""

    @property
    def port(self) -> Port:
        """Where this application's requests hand in their jobs."""
        ...

    def verify(self) -> None:
        """Make sure that every route gives receipts.

        Called once: after the application's own start-up, or, where no lifespan is run, before its
        first request.

        Raises:
            UnsupportedFramework: a route does not, and cannot be made to.
        """
        ...

    def begin(self) -> Lifespan:
        """Return a new lifespan of the application; it may have several at once."""
        ...

    def look_in(self) -> None:
        """Let run what waits in the journal: a request has been served, and no lifespan runs."""
        ...


class PostludeMiddleware:
    """A pure ASGI middleware: one key in each scope, and three places in the lifespan.

    Args:
        app: what comes behind it.
        host: its Postlude.
        keep_state: given the dict into which the application puts what its lifespan yields.
    """

    def __init__(
        self, app: ASGIApp, host: Host, keep_state: Callable[[MutableMapping[str, Any]], None] | None = None
    ) -> None:
        self.app = app
        self._keep_state = keep_state
        self._host = host
        self._verified = False
        self._lifespans = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A coroutine function: what is none is called by other middlewares as ASGI 2 was, without `receive`.
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if self._lifespans and self._verified:
            scope[SCOPE_KEY] = self._host.port
            await self.app(scope, receive, send)
        else:
            await self._serve_without(scope, receive, send)

    async def _serve_without(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request although no lifespan runs: there is no runner that looks after the journal."""
        if not self._verified:
            self._verify()
        scope[SCOPE_KEY] = self._host.port
        await self.app(scope, receive, send)
        if not self._lifespans and not client_waits(scope):  # a test client's loop ends with its call
            self._host.look_in()

    def _verify(self) -> None:
        self._host.verify()
        self._verified = True

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._keep_state is not None and "state" in scope:
            self._keep_state(scope["state"])
        lifespan = _Watched(self._host.begin(), self._verify, receive, send)
        await lifespan.open()
        self._lifespans += 1
        try:
            await self.app(scope, lifespan.receive, lifespan.send)
        finally:
            self._lifespans -= 1
            await lifespan.close()


class PassthroughMiddleware:
    """Marks the requests of an application whose Postlude is off.

    Args:
        app: what comes behind it.
        off: gives handles.
        verify: called once, before the first request.
        announce: called when the application starts.
        keep_state: given the dict into which the application puts what its lifespan yields.
    """

    def __init__(
        self,
        app: ASGIApp,
        off: Passthrough,
        verify: Callable[[], None],
        announce: Callable[[], None],
        keep_state: Callable[[MutableMapping[str, Any]], None],
    ) -> None:
        self.app = app
        self._keep_state = keep_state
        self._off = off
        self._verify = verify
        self._announce = announce
        self._verified = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._announce()
            if "state" in scope:
                self._keep_state(scope["state"])
        elif not self._verified:
            self._verify()
            self._verified = True
        scope[OFF_KEY] = self._off
        # An application around this one may have a Postlude that is on.
        scope.pop(SCOPE_KEY, None)
        await self.app(scope, receive, send)


class _Watched:
    """One start and end of an application: stands between it and the server."""

    def __init__(self, lifespan: Lifespan, verify: Callable[[], None], receive: Receive, send: Send) -> None:
        self._lifespan = lifespan
        self._verify = verify
        self._receive = receive
        self._send = send
        self._first: Message | None = None
        self._closed = False

    async def open(self) -> None:
        # Waits for the message itself: an error inside the application's own `receive` would look
        # to servers like an application without lifespan, which they go on to serve.
        self._first = await self._receive()
        try:
            await self._lifespan.open()
        except Exception as error:
            await self._send(
                {"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"}
            )
            raise

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._lifespan.close()

    async def receive(self) -> Message:
        if self._first is not None:
            message, self._first = self._first, None
            return message
        message = await self._receive()
        if message["type"] == "lifespan.shutdown":
            try:
                await self._lifespan.drain()
            except Exception as error:
                EVENTS.emit(DrainFailed(error))
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            # What is raised here passes through the application's own lifespan: it cleans up, and
            # says `startup.failed`.
            self._verify()
            await self._lifespan.start()
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            # Before it is passed on, because the server may stop the loop at once.
            await self.close()
        await self._send(message)


def join(app: Starlette, middleware: Any, **options: Any) -> None:
    """Add a middleware to an application.

    Raises:
        PostludeError: the application has started, or has a Postlude already.
    """
    present: list[Any] = [each.cls for each in app.user_middleware]
    if PostludeMiddleware in present or PassthroughMiddleware in present:
        raise PostludeError("this application has a Postlude already; one application has one")
    try:
        app.add_middleware(middleware, **options)
    except RuntimeError as error:
        raise PostludeError(
            "Postlude must be installed before the application starts: call Postlude(app), or "
            "postlude.install(app), where the application is made, not in its lifespan or a request."
        ) from error
