"""WebSocket sessions: their jobs are stored when they end."""

from collections.abc import Awaitable, Callable
from typing import Any

from anyio import CancelScope
from starlette.websockets import WebSocket, WebSocketDisconnect

from postlude.frameworks.fastapi.internals import FUNCTION_STACK
from postlude.request.background import CURRENT
from postlude.request.receipt import Receipt


class _SessionEnd:
    """Stores a WebSocket's jobs when its handler and its function-scoped dependencies have ended."""

    def __init__(self, receipt: Receipt) -> None:
        self._receipt = receipt

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        # No client waits for this write, and test clients cancel the session as soon as they leave it.
        with CancelScope(shield=True):
            if error is None or isinstance(error, WebSocketDisconnect):
                await self._receipt.commit()
            else:
                await self._receipt.fail()


def answer_session(
    function: Callable[[WebSocket], Awaitable[None]],
) -> Callable[[WebSocket], Awaitable[None]]:
    """Return a session's handler that stores what it has added."""

    async def handler(websocket: WebSocket) -> None:
        receipt: Receipt | None = CURRENT.get()
        if receipt is None:
            await function(websocket)
            return
        stack = websocket.scope.get(FUNCTION_STACK)
        if stack is None:
            async with _SessionEnd(receipt):
                await function(websocket)
            return
        # First in, last out: it sees the errors of the dependencies that leave before it.
        stack.push_async_exit(_SessionEnd(receipt))
        await function(websocket)

    return handler
