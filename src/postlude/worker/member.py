"""One process of a worker, as its parent sees it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from postlude.compat import interpreter_flags
from postlude.worker.orders import Orders


class Member:
    """A process that has been started: what it says, and how it ends.

    Attributes:
        pid: its number.
        gone: done when it has ended, with its exit code; a signal's number below zero.
        ready: done when it runs jobs; cancelled when it has ended before.
        retiring: whether it was told to end.
        grace: how long it waits for its jobs, in seconds; None: it has not said.
        heard: when it was heard last, in seconds of the monotonic clock; None: never.

    Args:
        orders: what it is to do.
        due: called when it says that another should take its place: with it, its jobs and its memory.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, orders: Orders, due: Callable[["Member", int, int], None]) -> None:
        self._due = due
        self._loop = asyncio.get_running_loop()
        self._said = b""
        status, theirs = os.pipe()
        line, self._line = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable, *interpreter_flags(), "-m", "postlude.worker",
                    orders.text(), str(theirs), str(line),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs, line),
                # Ctrl-C is for the parent, which lets its children end in order. And what jobs have started
                # can be ended with a child that is killed.
                start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(status)
            os.close(self._line)
            raise
        finally:
            os.close(theirs)
            os.close(line)
        self.pid = self._process.pid
        self.began = monotonic()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.gone: asyncio.Future[int] = self._loop.create_future()
        self.retiring = False
        self.grace: float | None = None
        self.heard: float | None = None
        self.runs_since: float | None = None
        """When it began to run jobs; None: it has not."""
        self.told: dict[str, Any] = {}
        """What it has said of itself last: jobs that it has run (`jobs`), and holds, and its memory."""
        os.set_blocking(status, False)
        self._status = status
        self._loop.add_reader(status, self._hear)

    async def begun(self) -> None:
        """Return when it runs jobs, or has ended before."""
        waits: list[asyncio.Future[Any]] = [self.ready, self.gone]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

    def retire(self) -> None:
        """Let it come to its end: it claims nothing more, and gives back what does not end in time."""
        self.retiring = True
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, and what its jobs have started."""
        self.retiring = True
        if not self.gone.done():
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self.gone.done():
            with suppress(OSError):
                os.kill(self.pid, number)

    def ended(self, code: int) -> None:
        """It has ended. On the loop."""
        self._process.returncode = code
        self._hear()  # its last words
        if self._status >= 0:
            self._loop.remove_reader(self._status)
            os.close(self._status)
            self._status = -1
        os.close(self._line)
        self.ready.cancel()
        self.gone.set_result(code)

    def _hear(self) -> None:
        if self._status < 0:
            return
        try:
            while some := os.read(self._status, 65_536):
                self._said += some
        except BlockingIOError:
            pass
        else:
            self._loop.remove_reader(self._status)  # it has closed its end
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            with suppress(ValueError):  # a program that its jobs have started may have written there
                self._take(json.loads(line))

    def _take(self, told: dict[str, Any]) -> None:
        self.heard = monotonic()
        match told.pop("is"):
            case "ready":
                self.grace, self.runs_since = told["grace"], self.heard
                if not self.ready.done():
                    self.ready.set_result(None)
            case "alive":
                self.told = told
            case "due":
                self._due(self, told["jobs"], told["memory"])
