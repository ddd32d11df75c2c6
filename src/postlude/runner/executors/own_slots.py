"""The slots that a queue has for itself: so many of its jobs run at once, whatever other queues run.

And those that all other queues have together, in a process that was told how many jobs it runs at once.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from postlude.model.job import FreeSlots
from postlude.runner.attempt.work import Work
from postlude.runner.executors.protocol import Executor

ExecutorFor = Callable[[Work], Executor]
"""Says where a work runs that has a slot."""


class OwnSlots:
    """Lets so many works of one queue into executors at once, and keeps the rest, in order.

    Args:
        slots: how many.
        executor_for: where a work runs that has a slot.

    Attributes:
        slots: how many.
    """

    def __init__(self, slots: int, executor_for: ExecutorFor) -> None:
        self.waiting: deque[Work] = deque()
        self.ended_so_far = 0
        self.slots = slots
        self._executor_for = executor_for
        self._inside: dict[Work, Executor] = {}

    @property
    def running(self) -> list[Work]:
        """What has a slot: it has not ended, nor been taken back from where it was to start."""
        return [work for work in list(self._inside) if not (work.over or work.written)]

    @property
    def free(self) -> int:
        """How many more could start at once."""
        return max(0, self.slots - len(self.running) - len(self.waiting))

    def submit(self, work: Work) -> None:
        """Give it a slot, now or when one is free."""
        self.waiting.append(work)
        self.fill()

    def ended(self) -> None:
        """One has ended: its slot is another's. On the loop."""
        self.ended_so_far += 1
        self.fill()

    def fill(self) -> None:
        """Give free slots to what waits. On the loop."""
        if not self.waiting:
            return
        self._inside = {work: self._inside[work] for work in self.running}
        while self.waiting and len(self._inside) < self.slots:
            try:
                work = self.waiting.popleft()
            except IndexError:  # taken back
                return
            executor = self._inside[work] = self._executor_for(work)
            executor.submit(work)

    def runs(self, work: Work) -> bool:
        """Whether this has started and has not returned."""
        executor = self._inside.get(work)
        return executor is not None and executor.runs(work)

    def interrupt(self, work: Work) -> None:
        """Let work that runs come to an end."""
        if (executor := self._inside.get(work)) is not None:
            executor.interrupt(work)

    def abandon(self, work: Work) -> bool:
        """Give the place of work that runs and does not end to others; False if it has ended."""
        executor = self._inside.get(work)
        return executor is not None and executor.abandon(work)


class Doors:
    """The slots that works need beside those of an executor.

    Args:
        own: those of the queues that have their own.
        rest: those of all other queues together; None: they need none.
    """

    def __init__(self, own: Mapping[str, OwnSlots], rest: OwnSlots | None) -> None:
        self._own = own
        self._rest = rest

    @classmethod
    def of_slots(
        cls, own: Mapping[str, int], among: Mapping[str, ExecutorFor], most: int | None, rest: ExecutorFor
    ) -> "Doors":
        """Return those with so many slots, each with what says where its works run."""
        doors = {queue: OwnSlots(slots, among[queue]) for queue, slots in own.items()}
        return cls(doors, None if most is None else OwnSlots(most, rest))

    def __bool__(self) -> bool:
        return bool(self._own) or self._rest is not None

    def __iter__(self) -> Iterator[OwnSlots]:
        yield from self._own.values()
        if self._rest is not None:
            yield self._rest

    @property
    def own(self) -> dict[str, tuple[int, int]]:
        """Under `own`, how many slots queues have for themselves, and how many of them are taken."""
        doors = self._own.values()
        both = sum(door.slots for door in doors), sum(len(door.running) for door in doors)
        return {"own": both} if doors else {}

    def at_most(self, slots: int) -> int:
        """Return of so many slots of executors how many all other queues together may take."""
        return slots if self._rest is None else min(slots, self._rest.slots)

    def of(self, work: Work) -> OwnSlots | None:
        """Return what lets a work in; None: nothing need."""
        return self._own.get(work.queue, self._rest)

    def ended(self, work: Work) -> None:
        """A work has ended. On the loop."""
        if (slots := self.of(work)) is not None:
            slots.ended()

    def free(self, loop: int, threads: int, processes: int) -> FreeSlots:
        """Return how many jobs of each kind could start at once, where executors have so many slots free."""
        if self._rest is not None:
            most = self._rest.free
            loop, threads, processes = min(loop, most), min(threads, most), min(processes, most)
        return FreeSlots(loop + sum(slots.free for slots in self._own.values()), threads, processes)
