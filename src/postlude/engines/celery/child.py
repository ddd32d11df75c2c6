"""A process of Celery's worker that runs jobs: the application's lifespan in it."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Final

from postlude.engines.celery.board import Board
from postlude.engines.celery.inbox import Inbox
from postlude.engines.protocol import Serve
from postlude.model.event.broker import EngineFailed
from postlude.model.role import Role
from postlude.telemetry.process import EVENTS

NOT_STARTED: Final = 3
"""The exit code of a process in which the application cannot be started."""

PAUSE: Final = 1.0
"""Seconds until such a process ends: Celery replaces it at once."""

PARENT_WITHIN: Final = 5.0
"""Seconds for which a process waits for the number of its parent's row."""

LOOK_EVERY: Final = 1.0
"""Seconds between looks whether the worker's own row is still the same."""


class Above:
    """The worker's own row, as a process that runs jobs sees it.

    Args:
        board: which it is.
        begun: by this it is told that the process runs jobs.
        follows: whether the process is a child, which ends when another row takes the place of its parent's.
    """

    def __init__(self, board: Board, begun: int, *, follows: bool) -> None:
        self._board = board
        self._begun = begun
        self._follows = follows
        self._number = 0

    def number(self) -> int | None:
        """Return its number, as soon as it has one; None: it has none, or the process does not follow it."""
        until = monotonic() + PARENT_WITHIN
        while not self._board.parent and monotonic() < until:
            time.sleep(0.01)
        self._number = self._board.parent if self._follows else 0
        return self._number or None

    def begun(self) -> None:
        """This process runs jobs."""
        with suppress(OSError):
            os.write(self._begun, b"%d\n" % os.getpid())

    @property
    def is_another(self) -> bool:
        """Whether the row that this process is below has gone, and there is another."""
        return bool(self._number) and self._board.parent != self._number


class Child:
    """The application's lifespan, in a thread with a loop that lives as long as the process.

    Args:
        serves: start it.
        role: what the process is for it.
        inbox: what brings jobs.
        above: the worker's own row; None: it has none.
    """

    def __init__(self, serves: Sequence[Serve], role: Role, inbox: Inbox, above: Above | None) -> None:
        self._inbox = inbox
        self._above = above
        self._serves = serves
        self._role = role
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._replaced = False
        self._thread = threading.Thread(target=self._main, name="postlude", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within: float) -> None:
        loop, over = self._loop, self._over
        if loop is not None and over is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(over.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(within)

    def _main(self) -> None:
        try:
            if self._above is not None:
                self._role = replace(self._role, parent=self._above.number())
            asyncio.run(self._live())
        except BaseException as error:
            try:
                EVENTS.emit(EngineFailed(error))
                sys.stderr.flush()
                time.sleep(PAUSE)
            finally:  # whatever comes: without the application it takes messages and runs nothing
                os._exit(NOT_STARTED)

    async def _live(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        (serve,) = self._serves
        async with serve(self._role):
            if self._above is not None:
                self._above.begun()
            while not self._over.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), LOOK_EVERY)
                if self._above is not None and self._above.is_another:
                    await self._inbox.close(None)  # what runs here ends as ever
                    self._replaced = True
                    break
        if self._replaced:
            os._exit(0)
