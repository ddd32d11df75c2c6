"""The shop's server process: uvicorn on the socket that the supervisor holds, so it may die at any time."""

import logging
import os
import signal
import socket
import sys
import threading
from typing import Any

import uvicorn


def main() -> None:
    """Serve until told to stop, or until the supervisor is gone."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=outlive_nobody, daemon=True).start()
    _log_briefly()
    config = uvicorn.Config("demo.shop:app", log_level="warning", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listening])


class OneLine(logging.Formatter):
    """Leaves the tracebacks of attempts to the journal, where the page finds them."""

    def formatException(self, ei: Any) -> str:
        """Return the error in place of its traceback."""
        return f"         {type(ei[1]).__name__}: {ei[1]}"


def _log_briefly() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(message)s", "%H:%M:%S"))
    jobs = logging.getLogger("postlude.jobs")
    jobs.addHandler(handler)
    jobs.propagate = False


def outlive_nobody() -> None:
    """End in order when the supervisor is gone, however it died."""
    # Its end of the pipe is closed then. Not by sys.stdin: its lock, held by a daemon thread, would crash the
    # interpreter's exit.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
