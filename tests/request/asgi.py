"""Calling an ASGI application by hand, to see when each message leaves, and to be a client that goes away."""

from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message


async def call(
    app: ASGIApp,
    path: str = "/",
    method: str = "GET",
    *,
    log: list[str],
    query: str = "",
    on_send: Callable[[Message], None] | None = None,
    extensions: dict[str, Any] | None = None,
    root_path: str = "",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    spec_version: str = "2.4",
    gone_after: int | None = None,
) -> list[Message]:
    """Send one request; the messages that left also go to the log.

    Args:
        on_send: called before each message; what it raises is what the server's `send` raises.
        gone_after: the client has gone after so many messages: `receive` says so.
    """
    sent: list[Message] = []
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked and gone_after != 0:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if on_send is not None:
            on_send(message)
        if message["type"] == "http.response.start" or message.get("body"):
            log.append(message["type"].removeprefix("http.response."))
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": root_path + path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": list(headers),
        "client": ("203.0.113.1", 5),
        "server": ("example.org", 80),
        "extensions": extensions or {},
    }
    await app(scope, receive, send)
    return sent


def status(sent: list[Message]) -> int:
    return int(sent[0]["status"])


def header(sent: list[Message], name: str) -> str | None:
    found = [value.decode() for key, value in sent[0]["headers"] if key.decode().lower() == name.lower()]
    return found[0] if found else None
