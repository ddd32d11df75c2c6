"""Operations: what is being done to many jobs, piece by piece."""

import asyncio
import secrets
from collections import OrderedDict
from typing import Final

from postlude.errors import PostludeError
from postlude.jobs.bulk import Acted, Asked
from postlude.jobs.plan import Plan

KEPT: Final = 100
"""Operations that are remembered, in the process that does them."""


class Operation:
    """One act on many jobs.

    Attributes:
        id: tells it from all others.
        user: who does it.
        words: which jobs, in words.
        acted: what became of them so far.
        handled: how many have been dealt with.
        ended: nothing more is done.
        stopped: somebody has stopped it.
        error: why it came to no end; empty: it has not failed.
    """

    def __init__(self, plan: Plan, user: str, words: str) -> None:
        self.id = secrets.token_urlsafe(12)
        self.plan = plan
        self.user = user
        self.words = words
        self.acted = Acted()
        self.handled = 0
        self.ended = False
        self.stopped = False
        self.error = ""

    def run(self, store: Asked) -> None:
        """Do it. Blocks."""
        try:
            self.plan.carry_out(store, self.acted, lambda: self.stopped, self._told)
        except PostludeError as error:
            self.error = str(error)
        finally:
            self.ended = True

    def _told(self, jobs: int) -> None:
        self.handled += jobs

    @property
    def code(self) -> str:
        """What has been done, as an address has it."""
        return f"{self.plan.act.verb}.{self.acted.done.total()}.{self.acted.not_done.total()}"


class Operations:
    """Those of one process."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Operation] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()

    def start(self, operation: Operation, store: Asked) -> "asyncio.Task[None]":
        """Do it, beside everything else."""
        self._known[operation.id] = operation
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        task = asyncio.create_task(asyncio.to_thread(operation.run, store))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def get(self, id: str) -> Operation | None:
        """Return one; None: it is not known in this process any more."""
        return self._known.get(id)
