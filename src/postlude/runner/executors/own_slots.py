"""The slots that a queue has for itself: so many of its jobs run at once, whatever other queues run.

And those that all other queues have together, in a process that was told how many jobs it runs at once.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from postlude.model.job import FreeSlots
from postlude.runner.attempt.work import Work
from postlude.runner.executors.protocol import Executor

ExecutorFor = Callable[[Work], Executor]
"""Says where a work runs that has a slot."""


class OwnSlots:
    """Lets so many works of one queue into executors at once, and keeps the rest, in order.

    More, as long as all are in one executor that has no more places than there are slots: it starts one
    after the other, and short jobs need not be let in one by one.

    Args:
        slots: how many.
        executor_for: where a work runs that has a slot.
        narrow: the executors that have no more places than that.

    Attributes:
        slots: how many.
    """

    def __init__(self, slots: int, executor_for: ExecutorFor, narrow: Collection[Executor] = ()) -> None:
        self.waiting: deque[Work] = deque()
        self.ended_so_far = 0
        self.slots = slots
        self._executor_for = executor_for
        self._narrow = narrow
        self._inside: dict[Work, Executor] = {}
        self._only: Executor | None = None
        """The one in which all are that are inside, if it is narrow."""

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

    def ended(self, work: Work) -> None:
        """One has ended: its slot is another's. On the loop."""
        self.ended_so_far += 1
        self._inside.pop(work, None)
        self.fill()

    def tidy(self) -> None:
        """Give the slots of what has been taken back to what waits. On the loop."""
        self._inside = {work: self._inside[work] for work in self.running}
        self.fill()

    def fill(self) -> None:
        """Let in what there is room for. On the loop."""
        while self.waiting:
            try:
                work = self.waiting[0]
                executor = self._executor_for(work)
                if not self._has_room_in(executor):
                    return
                self.waiting.remove(work)
            except (IndexError, ValueError):  # taken back
                continue
            if not self._inside:
                self._only = executor if executor in self._narrow else None
            elif executor is not self._only:
                self._only = None
            self._inside[work] = executor
            executor.submit(work)

    def _has_room_in(self, executor: Executor) -> bool:
        if len(self._inside) < self.slots or executor is self._only:
            return True
        self._inside = {work: self._inside[work] for work in self.running}
        return len(self._inside) < self.slots

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
        cls,
        own: Mapping[str, int],
        among: Mapping[str, tuple[ExecutorFor, Collection[Executor]]],
        most: int | None,
        rest: tuple[ExecutorFor, Collection[Executor]],
    ) -> "Doors":
        """Return those with so many slots, each with what says where its works run, and what is narrow."""
        doors = {queue: OwnSlots(slots, *among[queue]) for queue, slots in own.items()}
        return cls(doors, None if most is None else OwnSlots(most, *rest))

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
        taken = sum(min(door.slots, len(door.running)) for door in doors)
        both = sum(door.slots for door in doors), taken
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
            slots.ended(work)

    def free(self, loop: int, threads: int, processes: int) -> FreeSlots:
        """Return how many jobs of each kind could start at once, where executors have so many slots free."""
        if self._rest is not None:
            most = self._rest.free
            loop, threads, processes = min(loop, most), min(threads, most), min(processes, most)
        return FreeSlots(loop + sum(slots.free for slots in self._own.values()), threads, processes)
