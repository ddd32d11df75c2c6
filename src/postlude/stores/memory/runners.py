"""The runners of a memory store, and what each has noted as started."""

import os
import socket

from postlude.clock import SECOND
from postlude.stores.memory.row import Row
from postlude.stores.protocol import LivingRunner, NewRunner


class MemoryMarks:
    """Start marks in a plain dict: a memory store and its runners die together."""

    def __init__(self) -> None:
        self._running: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self.is_draining = False

    def started(self, seq: int, fence: int, at: int) -> None:
        self._running[seq] = self._starts[seq] = at

    def ended(self, seq: int) -> None:
        self._running.pop(seq, None)

    def draining(self) -> None:
        self.is_draining = True

    def running(self) -> dict[int, int]:
        """Return the jobs that have started and not ended, each with when it started."""
        # A copy first: other threads write marks without the store's lock.
        return self._running.copy()

    def start_of(self, seq: int) -> int | None:
        """Return when a job started, until `forget`."""
        return self._starts.get(seq)

    def forget(self, seq: int) -> None:
        """Its end is written, or it has been given back."""
        self._running.pop(seq, None)
        self._starts.pop(seq, None)


class MemoryRunner:
    """A runner that is enlisted."""

    def __init__(self, number: int, new: NewRunner, boot: int, since: int) -> None:
        self.number = number
        self.new = new
        self.since = since
        self.marks = MemoryMarks()
        self.held: dict[int, Row] = {}
        self._lease = round(new.lease * SECOND)
        self._until = boot + self._lease
        self._heard: int | None = None
        """When it was last told that it hears its broker; the boot clock."""

    def let_go(self, seq: int) -> None:
        """It holds a job no more."""
        del self.held[seq]
        self.marks.forget(seq)

    def renew(self, boot: int, hears: bool | None = None) -> None:
        """Start its lease afresh."""
        if hears or (hears is None and self._heard == self._until - self._lease):
            self._heard = boot
        self._until = boot + self._lease

    @property
    def deaf(self) -> float | None:
        """For how long it was deaf when it renewed its lease last (seconds); None: it was not."""
        ago = 0 if self._heard is None else self._until - self._lease - self._heard
        return ago / SECOND if ago > 0 else None

    def lapsed(self, boot: int) -> bool:
        """Say whether its lease has run out."""
        return boot >= self._until


class Runners(dict[int, MemoryRunner]):
    """Those that are enlisted, by number, and which of them does which duty for all."""

    def held(self, runner: int) -> list[Row]:
        """Return what a runner holds."""
        holder = self.get(runner)
        return [] if holder is None else list(holder.held.values())

    def __init__(self) -> None:
        super().__init__()
        self._last = 0
        self._leads: dict[str, tuple[int, int]] = {}
        """By duty: who does it, and until when (boot clock)."""

    def enlist(self, new: NewRunner, boot: int, now: int) -> MemoryRunner:
        """Take one in; `boot`, `now`: the boot clock, and the time."""
        self._last += 1
        self[self._last] = runner = MemoryRunner(self._last, new, boot, now)
        return runner

    def is_orphan(self, number: int) -> bool:
        """Whether a runner's parent has gone."""
        runner = self.get(number)
        return runner is not None and runner.new.parent is not None and runner.new.parent not in self

    def lead(self, number: int, duty: str, seconds: float, boot: int) -> bool:
        """Whether a runner is the one that does a duty, from now on if nobody is."""
        leader, until = self._leads.get(duty, (number, boot))
        if leader != number and boot < until and leader in self and not self[leader].lapsed(boot):
            return False
        self._leads.pop(duty, None)
        if number not in self or seconds <= 0:
            return False
        self._leads[duty] = number, boot + round(seconds * SECOND)
        return True

    def living(self, boot: int) -> list[LivingRunner]:
        """Return those that live."""
        host, pid = socket.gethostname(), os.getpid()
        return [
            LivingRunner(
                number, new.kind, new.release, new.queues, new.slots, new.parent, host, pid, one.since,
                len(one.held), one.deaf,
            )
            for number, new, one in ((one.number, one.new, one) for one in self.values())
            if not one.lapsed(boot)
        ]  # fmt: skip
