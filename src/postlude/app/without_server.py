"""The application's lifespan, run without a server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from postlude.errors import PostludeError


class LifespanFailed(PostludeError):
    """The application's start or end has failed. The text is what it says of that: a traceback, usually."""


@asynccontextmanager
async def running(postlude: Any) -> AsyncIterator[None]:
    """Run the lifespan of a Postlude's application around what is done; without one, the Postlude's own.

    Raises:
        LifespanFailed: the application's start, or its end.
        Exception: what opening the journal raises.
    """
    if postlude.application is None:
        await postlude.open()
        try:
            await postlude.start()
            yield
            await postlude.drain()
        finally:
            await postlude.close()
        return
    lifespan = _Lifespan(postlude.application)
    await lifespan.start()
    try:
        yield
    finally:
        await lifespan.stop()


class _Lifespan:
    """The server's side of an ASGI lifespan."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        self._task = asyncio.get_running_loop().create_task(
            self._application(scope, self._to.get, self._from.put), name="postlude-lifespan"
        )
        try:
            await self._exchange("startup")
        except BaseException:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise

    async def stop(self) -> None:
        await self._exchange("shutdown")
        assert self._task is not None
        await self._task

    async def _exchange(self, step: str) -> None:
        """Say what is to be done, and wait until it is.

        Raises:
            LifespanFailed: the application says so, or ends without a word.
        """
        assert self._task is not None
        self._to.put_nowait({"type": f"lifespan.{step}"})
        answer = asyncio.ensure_future(self._from.get())
        try:
            await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                message = answer.result()
            elif not self._from.empty():
                message = self._from.get_nowait()
            else:
                message = {}
        finally:
            answer.cancel()
        if message.get("type") != f"lifespan.{step}.complete":
            error = self._task.exception() if self._task.done() and not self._task.cancelled() else None
            raise LifespanFailed(message.get("message") or f"the application ended in its {step}") from error
