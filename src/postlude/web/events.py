"""The state of one job as server-sent events: at once as it is, then whenever it has changed."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from postlude.errors import JobNotFound, JournalUnavailable
from postlude.jobs.inspector import JobStatus
from postlude.jobs.subscriptions import Subscription
from postlude.model.event.request import StreamEnded
from postlude.model.job import JobRecord
from postlude.telemetry.process import EVENTS
from postlude.web.sockets import ServerSockets, sockets_of

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent, so that nobody in between takes the stream for dead."""

RETRY: Final = b"retry: 2000\n\n"
"""Milliseconds after which a browser that has lost its connection comes back."""

TICK: Final = 0.5
"""Seconds between looks whether the server is about to stop."""


class EventStream(Response):
    """The events of one job, until it has ended, its reader goes, or the server stops.

    Each has an id and the job as JSON, and no name; in the last one, `done` is true.

    Args:
        subscription: tells of its changes; not entered yet.
        read: reads the job as the journal has it.
        report: writes the job as JSON, in one line.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        subscription: Subscription,
        read: Callable[[JobRecord], JobStatus],
        report: Callable[[JobStatus], str],
    ) -> None:
        self.status_code = 200
        self.background = None
        # Some proxies hold back what they are not told to pass on.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._subscription = subscription
        self._read = read
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streaming = asyncio.create_task(self._stream(send, sockets_of(scope)))
        gone = asyncio.create_task(_leaves(receive))
        try:
            await asyncio.wait((streaming, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            streaming.cancel()
            gone.cancel()
            ends = await asyncio.gather(streaming, gone, return_exceptions=True)
        # A server may say by an OSError that the reader has gone.
        if isinstance(ends[0], Exception) and not isinstance(ends[0], OSError):
            raise ends[0]

    async def _stream(self, send: Send, server: ServerSockets) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await self._send_changes(send, server)
        except (JobNotFound, JournalUnavailable) as error:
            EVENTS.emit(StreamEnded(error))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_changes(self, send: Send, server: ServerSockets) -> None:
        silent = 0.0
        await _send(send, RETRY)
        with self._subscription as subscription:
            while not server.closed:
                record = await subscription.news(within=TICK)
                if record is not None:
                    status = self._read(record)
                    await _send(send, _event(status, self._report(status)))
                    if status.ended:
                        return
                    silent = 0.0
                    continue
                silent += TICK
                if silent >= HEARTBEAT:
                    await _send(send, b":\n\n")
                    silent = 0.0


def event_id(status: JobStatus) -> str:
    """Return what tells one state of a job from another, in any process."""
    told = "" if status.progress is None else f".{status.progress.at.timestamp():.6f}"
    return f"{status.attempt}.{status.state.value}{told}"


def nothing_new(status: JobStatus, last: str | None) -> bool:
    """Whether a reader that comes back has seen the job's end: a browser asks again until it is told so."""
    return status.ended and last == event_id(status)


def _event(status: JobStatus, data: str) -> bytes:
    return f"id: {event_id(status)}\ndata: {data}\n\n".encode()


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
