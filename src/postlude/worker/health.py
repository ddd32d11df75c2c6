"""How a worker is, for whoever starts and ends it: over HTTP, and as a file."""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

from postlude.errors import PostludeError
from postlude.worker.member import Member
from postlude.worker.supervisor import Supervisor

DEAF: Final = 30.0
"""Seconds for which a process that runs jobs may say nothing; it says something every two."""

WRITE_EVERY: Final = 5.0
"""Seconds between two times that the file is written."""


class Healthy(Protocol):
    """Who tells how a worker is."""

    @property
    def ready(self) -> bool:
        """Whether it runs jobs, and is not about to end."""
        ...

    def told(self) -> dict[str, Any]:
        """Return it for programs; `live` and `ready` are among it."""
        ...


class Health:
    """How a worker's processes are.

    Args:
        supervisor: their parent.
        now: seconds of a clock that only moves forward.
    """

    def __init__(self, supervisor: Supervisor, now: Callable[[], float] = monotonic) -> None:
        self._supervisor = supervisor
        self._now = now
        self._good = now()
        """When one was last known to run jobs; at first, when the worker began."""

    def _runs(self, member: Member) -> bool:
        """Whether a process runs jobs, as far as it has said lately."""
        heard = member.heard
        return member.runs_since is not None and heard is not None and self._now() - heard <= DEAF

    @property
    def ready(self) -> bool:
        """Whether some process runs jobs, and is not about to end."""
        members = self._supervisor.members
        return not self._supervisor.stopping and any(self._runs(m) and not m.retiring for m in members)

    @property
    def live(self) -> bool:
        """Whether to leave it alone: some process has run jobs lately, or it comes to its end."""
        heard = [member.heard or 0.0 for member in self._supervisor.members if self._runs(member)]
        self._good = max([self._good, *heard])
        return self._supervisor.stopping or self._now() - self._good <= 2 * DEAF

    def told(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "live": self.live,
            "ready": self.ready,
            "stopping": self._supervisor.stopping,
            "processes": [
                {"pid": member.pid, "runs": self._runs(member), **member.told}
                for member in self._supervisor.members
            ],
        }


class HealthServer:
    """Answers `/live` and `/ready` with 200 or 503, and with how each process is.

    In threads of its own: the parent's event loop has nothing to do with it.

    Args:
        health: what is told.
        host: the address that it listens on.
        port: that it listens on; 0: any free one.

    Raises:
        PostludeError: it cannot listen there.
    """

    def __init__(self, health: Healthy, host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # a client that says nothing keeps no thread

            def do_GET(self) -> None:
                told = health.told()
                good = {"/live": told["live"], "/ready": told["ready"]}.get(self.path)
                self.send_response(404 if good is None else 200 if good else 503)
                body = json.dumps(told).encode()
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: it is asked every few seconds."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise PostludeError(f"--health {host}:{port}: {error.strerror}; choose another port") from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="postlude-health", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


async def keep_file(health: Healthy, path: Path) -> None:
    """Write a file every few seconds while a worker is ready, and remove it in the end; until cancelled."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        while True:
            if health.ready:
                with suppress(OSError):  # the disk is full: then it grows old, as it should
                    beside.write_text(json.dumps(health.told()), "utf-8")
                    beside.replace(path)
            await asyncio.sleep(WRITE_EVERY if path.exists() else 0.1)
    finally:
        for left in (beside, path):
            with suppress(OSError):
                left.unlink()
