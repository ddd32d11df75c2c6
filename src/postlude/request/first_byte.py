"""The moment at which a response begins: what it acknowledges is on disk by then."""

from collections.abc import Awaitable, Callable
from typing import Final

from anyio import CancelScope
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postlude.errors import PostludeError
from postlude.request.responses import refused

STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
"""The messages that begin an answer."""


def begins_at_once(scope: Scope, response: object) -> bool:
    """Whether the first thing that a response does is to begin: nothing of it can fail before."""
    return scope["type"] == "http" and type(response).__call__ is Response.__call__


class FirstByte:
    """A `send` that confirms what a response acknowledges right before it begins.

    A response may catch what is raised here, or wrap it, or send something else instead: once
    refused, nothing leaves any more, and the caller raises `refusal` whatever comes out of it.

    Args:
        commit: stores what it acknowledges.
        send: the server's.
    """

    def __init__(self, commit: Callable[[], Awaitable[None]], send: Send) -> None:
        self._commit = commit
        self._send = send
        self.begun = False
        self.refusal: Exception | None = None

    async def __call__(self, message: Message) -> None:
        if not self.begun and message["type"] in STARTS:
            await self.begin()
        if self.refusal is not None:
            raise self.refusal
        await self._send(message)

    async def begin(self) -> None:
        """Commit, now.

        Raises:
            Exception: the refusal: 503, 409, or a declared task's `TypeError`.
        """
        self.begun = True
        try:
            # A client that goes away just now ends the response's own tasks, and not the request.
            with CancelScope(shield=True):
                await self._commit()
        except PostludeError as error:
            self.refusal = refused(error)
            raise self.refusal from self.refusal.__cause__
        except Exception as error:
            self.refusal = error
            raise

    async def carry(
        self,
        response: ASGIApp,
        scope: Scope,
        receive: Receive,
        failed: Callable[[], Awaitable[None]],
        sent: Callable[[], Awaitable[None]],
    ) -> None:
        """Send a response.

        Args:
            failed: called if it fails before it begins.
            sent: called when it has been sent, or could not be sent to its end.

        Raises:
            Exception: the refusal; else what the response raises.
        """
        try:
            await response(scope, receive, self)
            if not self.begun:  # the client had gone before it could begin
                await self.begin()
        except Exception:
            if self.refusal is None:
                await (sent() if self.begun else failed())
                raise
        if self.refusal is not None:
            raise self.refusal
        await sent()
