"""What a runner holds and has not started: taken back, to be ended or given to others."""

from collections.abc import Callable, Sequence

from postlude.runner.attempt.work import Work
from postlude.runner.chains import Chains
from postlude.runner.executors.pool import ExecutorPool
from postlude.runner.executors.protocol import Waiting, take_back, take_one_back
from postlude.runner.held import Held
from postlude.runner.starting import Starting


class Unstarted:
    """All the places where works wait for their start.

    Args:
        held: those whose responses have not ended.
        starting: those on their way to their executors.
        executors: those that wait in executors.
        chains: those that follow others.
    """

    def __init__(self, held: Held, starting: Starting, executors: ExecutorPool, chains: Chains) -> None:
        self._held = held
        self._starting = starting
        self._executors = executors
        self._chains = chains

    def take_one(self, work: Work) -> bool:
        """Take this one, if it has not started. On the loop."""
        if self._chains.take_one_back(work):
            self._held.unlink(work)
            return True
        return (
            self._held.take_one_back(work)
            or take_one_back(self._starting, work)
            or self._executors.take_one_back(work)
        )

    def take_all(self, *, answering: bool) -> list[Work]:
        """Take and forget everything; those whose responses have not ended only if `answering`.

        From any thread.
        """
        works = self._held.take_back() if answering else []
        works += take_back(self._starting) + self._executors.take_back()
        works += self._chains.take_back(() if answering else self._held.unanswered())
        return self._forget(works)

    def take_some(self, which: Callable[[Work], bool]) -> list[Work]:
        """Take and forget those of which this is true, and which could start; with what follows them."""
        works: list[Work] = []
        places: list[Waiting] = [self._starting, *self._executors.members]
        for place in places:
            works += [work for work in list(place.waiting) if which(work) and take_one_back(place, work)]
        return self.forget(works)

    def forget(self, works: Sequence[Work]) -> list[Work]:
        """Forget works that have been taken, and take and forget what follows them; returns them all."""
        taken: list[Work] = []
        for head in works:
            taken.append(head)
            after = head.follower
            while after is not None and self._chains.take_one_back(after):
                taken.append(after)
                after = after.follower
        return self._forget(taken)

    def _forget(self, works: list[Work]) -> list[Work]:
        for work in works:
            self._held.pop(work.seq, None)
            if work is self._held.suspect:
                self._held.suspect = None
            work.end()
        return works
