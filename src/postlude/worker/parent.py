"""What a process of a worker says to its parent, and how it hears of the parent's death.

Two pipes: one that the process writes lines of JSON to, and one that the parent alone holds open, so that it
breaks when the parent is gone, however that went.
"""

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Parent:
    """The parent, as its child sees it.

    Args:
        status: the file descriptor that the child says how it is to; None: there is no parent.
        line: the one that breaks with the parent.
    """

    def __init__(self, status: int | None = None, line: int | None = None) -> None:
        self._status = status
        self._line = line
        for fd in (status, line):
            if fd is not None:
                os.set_inheritable(fd, False)  # not to programs that jobs start
        if status is not None:
            os.set_blocking(status, False)  # a parent that is stopped hears nothing; the event loop goes on

    @property
    def exists(self) -> bool:
        """Whether there is one, or has been."""
        return self._status is not None

    def say(self, what: str, **more: Any) -> None:
        """Tell it something. Raises nothing: it may be gone."""
        if self._status is not None:
            with suppress(OSError):
                os.write(self._status, json.dumps({"is": what, **more}).encode() + b"\n")

    def watch(self, gone: Callable[[], None]) -> None:
        """Call this, from a thread, when the parent is gone."""
        if self._line is not None:
            threading.Thread(
                target=self._wait, args=[self._line, gone], name="postlude-parent", daemon=True
            ).start()

    @staticmethod
    def _wait(line: int, gone: Callable[[], None]) -> None:
        with suppress(OSError):
            while os.read(line, 1):
                pass
        gone()
