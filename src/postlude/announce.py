"""Saying something to whoever starts a server, also where nobody has configured logging."""

import logging
from typing import Final

log = logging.getLogger("postlude")

SERVERS: Final = ("uvicorn.error",)
"""Loggers that servers show at INFO without being asked."""


def announce(message: str) -> None:
    """Log at INFO: on `postlude`, or in the server's own log if that one would show nothing.

    A level that was set on `postlude` itself is a decision, and is kept.
    """
    if log.level == logging.NOTSET and not (log.isEnabledFor(logging.INFO) and log.hasHandlers()):
        for name in SERVERS:
            server = logging.getLogger(name)
            if server.isEnabledFor(logging.INFO) and server.hasHandlers():
                server.info("postlude: %s", message)
                return
    log.info("%s", message)


def count_of(number: int, one: str, many: str) -> str:
    """Return how many there are of something, in words that fit the number."""
    return f"{number} {one if number == 1 else many}"
