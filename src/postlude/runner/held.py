"""The jobs that a runner holds: expected, held until their responses have ended, started."""

from collections.abc import Callable, Iterable, Sequence

from postlude.model.job import Added
from postlude.runner.attempt.work import Work, place
from postlude.runner.chains import Chains
from postlude.runner.lease import Lease
from postlude.runner.pace import Pace
from postlude.runner.starting import Starting


class Held(dict[int, Work]):
    """The works that a runner holds, by `seq`.

    Those that cannot start yet take up nothing, however many they are: their responses have not ended, or
    they follow others. Nobody else could run them either.

    Args:
        lease: whose claims they are.
        chains: which of them follow others.
        pace: how many may be held.
        starting: lets them start.
        queued: told of works that were to be held, some of which the journal has queued instead.
    """

    def __init__(
        self,
        lease: Lease,
        chains: Chains,
        pace: Pace,
        starting: Starting,
        queued: Callable[[Sequence[Work]], None],
    ) -> None:
        super().__init__()
        self._lease = lease
        self._chains = chains
        self._pace = pace
        self._starting = starting
        starting.asking = self
        self._queued = queued
        self._followers = chains.waiting
        # Whoever pops a work has it: the loop to start it, or the heartbeat to give it back.
        self._answering: dict[int, Work] = {}
        """Those whose responses have not ended."""
        self._expected: dict[bytes, Work] = {}
        """Jobs of such responses that the journal has queued, by id: whoever claims them here waits too."""
        self.suspect: Work | None = None
        """The one that runs, or is to: one at a time."""
        self.reserved = 0
        """Jobs that are being stored, and may be born claimed; without those that follow others."""
        self.draining = False
        """Whether no more are held."""
        self.abandoned = False
        """Whether none starts any more."""

    @property
    def load(self) -> int:
        """How many could run, or are about to."""
        return len(self) - len(self._answering) - len(self._followers) + self.reserved

    def reserve(self, jobs: int) -> int | None:
        """Offer to run jobs that follow no others, until `take`, or until `reserved` is less by them.

        Returns:
            the runner's number; None if it holds enough.
        """
        load = len(self) - len(self._answering) - len(self._followers) + self.reserved
        if self.draining or jobs > self._pace.limit - load:
            return None
        self.reserved += jobs
        return self._lease.runner

    def take(self, works: Sequence[Work], added: Sequence[Added], reserved: int) -> Sequence[Work]:
        """Hold those of works that were born claimed, until `start`; each before what follows it."""
        self.reserved -= reserved
        if not self.reserved and self._starting.waiting:
            self._starting.hurry()  # nobody waits for the journal any more
        if len(works) == 1 and added[0].fence and works[0].follower is None:  # nearly always: no loop
            work = works[0]
            work.seq, work.fence, _ = added[0]
            work.runner = self
            self[work.seq] = self._answering[work.seq] = work
            return works
        claimed = place(works, added)
        followers, answering = self._followers, self._answering
        for work in works:
            work.runner = self
        for work in claimed:
            seq = work.seq
            self[seq] = work
            if seq not in followers:
                answering[seq] = work
            if work.follower is not None:
                followers[work.follower.seq] = work.follower
        if len(claimed) < len(works):
            self._queued(works)
        return claimed

    def start(self, works: Sequence[Work]) -> None:
        """Start those that are held still, as far as they fit; followers wait for their turn."""
        answering = self._answering
        if self._expected:
            for work in works:
                self._expected.pop(work.id, None)
        if len(works) == 1:  # nearly always
            works = works if answering.pop(works[0].seq, None) is works[0] else ()
        else:
            works = [work for work in works if answering.pop(work.seq, None) is work]
        if self.abandoned:
            for work in works:
                work.end()
        else:
            self._starting.add(works)

    def expect(self, works: Iterable[Work]) -> None:
        """Remember works that were queued, until their responses have ended.

        Those start at once that would keep others from starting meanwhile, or whose claim counts as a start.
        """
        self._expected.update(
            (work.id, work) for work in works if not (work.fence or work.joined or work.once or work.limited)
        )

    def expected(self, id: bytes) -> Work | None:
        """Return the work that a claim is of, if its response has not ended."""
        return self._expected.get(id)

    def ready(self, works: Sequence[Work]) -> Sequence[Work]:
        """Return those that may start: claims that are held now, and follow nobody."""
        if not self._expected:
            return works
        waiting = {work.seq: work for work in works if work.id in self._expected}
        self._answering.update(waiting)
        return [work for work in works if work.seq not in waiting]

    def follow(self, before: Work, work: Work) -> None:
        """Let a work whose response has not ended follow another, if both are here still. On the loop."""
        if before.follower is not None or self.get(before.seq) is not before:
            return
        if self._answering.pop(work.seq, None) is not None:
            self._chains.link(before, work)
            if before.started:
                self._chains.started(before)

    def take_one_back(self, work: Work) -> bool:
        """Take this one, if its response has not ended; what follows it waits for that in its place."""
        if self._answering.pop(work.seq, None) is None:
            return False
        follower, work.follower = work.follower, None
        if follower is not None and self._followers.pop(follower.seq, None) is not None:
            self._answering[follower.seq] = follower
        return True

    def unlink(self, work: Work) -> None:
        """Let what follows a work follow the one before it. On the loop."""
        for before in self.values():
            if before.follower is work:
                before.follower, work.follower = work.follower, None
                return

    def unanswered(self) -> set[int]:
        """Return those whose responses have not ended, with all that follow them. From any thread."""
        seqs: set[int] = set()
        for head in list(self._answering.values()):
            work: Work | None = head
            while work is not None:
                seqs.add(work.seq)
                work = work.follower
        return seqs

    def take_back(self) -> list[Work]:
        """Take those whose responses have not ended. From any thread."""
        works: list[Work] = []
        while self._answering:
            try:
                works.append(self._answering.popitem()[1])
            except KeyError:
                break
        return works
