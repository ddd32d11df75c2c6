"""The event loops that runners of one journal serve, each for the lifespans that run on it."""

import asyncio
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable
from typing import Protocol

from postlude.runner.runner import Runner


class Serving(Protocol):
    """Who runs jobs on one loop, until its last lifespan; see `postlude.runner.service.Service`."""

    async def start(self) -> Runner | None:
        """Begin on the running loop; the runner that takes what its requests add, if there is one."""
        ...

    async def stop(self) -> None:
        """Come to an end. Does nothing if it has not begun."""
        ...

    def abandon(self) -> None:
        """Come to an end at once: the journal is about to be closed. Does nothing after `stop`."""
        ...


class _Loop:
    """What serves one loop."""

    def __init__(self, service: Serving) -> None:
        self.service = service
        self.runner: Runner | None = None
        self.lifespans = 0
        self.turns = asyncio.Lock()
        """A lifespan that starts while the one before drains waits for its end."""


class Served:
    """Starts a service on a loop with its first lifespan, and stops it with its last.

    Args:
        service: makes one.
        attach: told of each runner that begins.
        detach: told of each that has come to its end.
    """

    def __init__(
        self,
        service: Callable[[], Serving],
        attach: Callable[[Runner], None],
        detach: Callable[[Runner], None],
    ) -> None:
        self._service = service
        self._attach = attach
        self._detach = detach
        self._loops: dict[AbstractEventLoop, _Loop] = {}

    @property
    def runner(self) -> Runner | None:
        """The runner of the running loop."""
        loop = self._loops.get(get_running_loop())
        return None if loop is None else loop.runner

    async def start(self) -> None:
        """A lifespan of this loop has begun."""
        loop = self._loops.setdefault(get_running_loop(), _Loop(self._service()))
        async with loop.turns:
            if not loop.lifespans:
                loop.runner = await loop.service.start()
                if loop.runner is not None:
                    self._attach(loop.runner)
            loop.lifespans += 1

    async def stop(self) -> None:
        """One has come to its end, in order."""
        loop = self._loops[get_running_loop()]
        async with loop.turns:
            if loop.lifespans == 1:
                try:
                    await loop.service.stop()
                finally:
                    self._let_go(loop)
            loop.lifespans -= 1

    def abandon(self, of: AbstractEventLoop) -> None:
        """One of this loop has ended without its shutdown."""
        loop = self._loops[of]
        loop.lifespans -= 1
        if not loop.lifespans:
            loop.service.abandon()
            self._let_go(loop)

    def _let_go(self, loop: _Loop) -> None:
        runner, loop.runner = loop.runner, None
        if runner is not None:
            self._detach(runner)
