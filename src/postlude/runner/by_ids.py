"""Running jobs by their ids on a runner that claims nothing by itself: a process of an engine's worker."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Final

from postlude.compat import running_loop
from postlude.errors import JournalUnavailable
from postlude.model.job import Claim, Claimed
from postlude.model.queues import ALL
from postlude.model.refusal import Over, Refusal, Refused
from postlude.runner.attempt.work import holds_of
from postlude.runner.runner import Runner
from postlude.stores.loops import call_on
from postlude.stores.protocol import Store

MOST_AHEAD: Final = 64
"""Jobs that are handed over at once at most, although nobody waits for their ends."""

MANY: Final = 10
"""Where so many jobs end in a moment, those that are claimed together gather first."""

GATHER: Final = 0.010
"""Seconds in which they do."""

ONCE_FOR: Final = 60.0
"""Seconds for which nothing is handed over ahead after a job that is delivered at most once: its claim is its
start, and the death of its process its end."""

Waiting = asyncio.Future[Refusal | None]


class ByIds:
    """Runs what an engine is told of, by the runner of the loop that is asked.

    What is handed over while a claim is under way is claimed together by the next one, and the ends of jobs
    go to the journal with the claim of those after them: one commit for each job, or less.

    Args:
        store: the journal.
        runner: claims, and runs them.
        has_bounds: whether any task or queue has a limit or a rate.
    """

    def __init__(self, store: Store, runner: Runner, has_bounds: Callable[[], bool]) -> None:
        self._store = store
        self._runner = runner
        self._has_bounds = has_bounds
        self._handed: deque[tuple[bytes, Over]] = deque()
        self._awake = False
        """Whether what is handed over is seen without a call on the loop."""
        self._claiming: asyncio.Task[None] | None = None
        self._once_until = -inf

    async def __call__(self, ids: Sequence[bytes]) -> Sequence[Refused]:
        """Claim the jobs of these ids, and run them; returns when their attempts have ended.

        Their ends are on their way to the journal then. On the loop of the runner.

        Raises:
            JournalUnavailable: the journal cannot be written now.
        """
        loop = asyncio.get_running_loop()
        waiting: list[Waiting] = [loop.create_future() for _ in ids]
        for id, one in zip(ids, waiting, strict=True):
            self.hand(id, partial(_tell, loop, one))
        answers = zip(ids, await asyncio.gather(*waiting), strict=True)
        return [Refused(id, why) for id, why in answers if why is not None]

    @property
    def ahead(self) -> int:
        """How many jobs may be handed over while nobody waits for their ends: as many as end in a moment.

        None where tasks or queues have limits or rates, or jobs are delivered at most once: such a job is
        claimed only to start.
        """
        runner, now = self._runner, self._runner.loop.time()
        if self._has_bounds() or now < self._once_until:
            return 0
        return min(runner.pace.soon(now), MOST_AHEAD)

    @property
    def _is_full(self) -> bool:
        """Whether all places are taken, and none by a job that ends in a moment."""
        runner = self._runner
        return not (runner.pace.soon(runner.loop.time()) or self._has_bounds() or any(runner.free))

    def hand(self, id: bytes, over: Over) -> None:
        """Have a job claimed and run; says when that is over, on the loop or in a thread of the runner's."""
        self._handed.append((id, over))
        if not self._awake:
            self._awake = True
            if not call_on(self._runner.loop, self._wake):
                self._refuse_all()

    def _wake(self) -> None:
        self._claiming = self._runner.loop.create_task(self._claim_all(), name="postlude-claim")

    async def _claim_all(self) -> None:
        while self._stays_awake():
            if self.ahead >= MANY:
                await asyncio.sleep(GATHER)
            asked = self._take_handed()
            try:
                await self._claim(asked)
            except BaseException as error:
                self._runner.reconciler.arise()  # the claim may have been made
                for waiting in asked.values():
                    _answer(waiting, error)
                if not isinstance(error, JournalUnavailable):
                    self._refuse_all()
                    raise

    def _take_handed(self) -> dict[bytes, list[Over]]:
        asked: defaultdict[bytes, list[Over]] = defaultdict(list)
        while self._handed:
            id, over = self._handed.popleft()
            asked[id].append(over)
        return asked

    def _refuse_all(self) -> None:
        """Nothing is claimed any more, or not by this call."""
        self._awake = False
        for waiting in self._take_handed().values():
            _answer(waiting, Refusal.BURIED)

    def _stays_awake(self) -> bool:
        """Say whether there is anything to claim. What is handed over after that wakes it.

        Whoever hands over looks, after that, whether it is awake: so it is not said to be before it is looked
        once more, nor said to sleep after that.
        """
        if not self._handed:
            self._awake = False
            if not self._handed:
                return False
            self._awake = True
        return True

    async def _claim(self, asked: dict[bytes, list[Over]]) -> None:
        runner, ids = self._runner, list(asked)
        if runner.draining or self._is_full:
            await self._store.withdraw(ALL, ids)  # a message is used up for each: others are given it anew
            for waiting in asked.values():
                _answer(waiting, Refusal.BURIED if runner.draining else Refusal.FULL)
            return
        reserved = runner.reserve(len(ids)) is not None
        try:
            runner.offer_ends()
            suspect = runner.wants_suspect
            claimed: Claimed = await self._store.claim(
                runner.number, len(ids), suspect=suspect, ids=ids, ahead=True
            )
        finally:
            if reserved:
                runner.decline(len(ids))
        for refused in claimed.refused:
            _answer(asked.pop(refused.id), refused.why)
        if any(one.why is Refusal.BURIED for one in claimed.refused):
            # Its lease had run out: it joins again, and whoever leads publishes these jobs again.
            await self._store.withdraw(ALL, ids)
        late = self._late(claimed.claims)
        # None, if it is draining: they are given back.
        for work in runner.accept([claim for claim in claimed.claims if claim not in late]):
            over, *others = asked.pop(work.id)
            _answer(others, Refusal.RUNNING)
            work.left = [partial(over, None)]
            if work.over or work.written:  # by now; or the heartbeat has just taken it back
                work.leave()
        if late:
            await self._store.release(runner.number, holds_of(late))
        for waiting in asked.values():
            _answer(waiting, Refusal.BURIED)

    def _late(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Return those that are delivered at most once and have no place now."""
        once = [claim for claim in claims if claim.once]
        if not once or self._has_bounds():  # then no more come than have places
            return ()
        self._once_until = self._runner.loop.time() + ONCE_FOR
        return once[max(0, max(self._runner.free) - (len(claims) - len(once))) :]


def _answer(waiting: Sequence[Over], answer: Refusal | BaseException | None) -> None:
    for over in waiting:
        over(answer)


def _tell(loop: asyncio.AbstractEventLoop, waiting: Waiting, answer: Refusal | BaseException | None) -> None:
    """Answer who waits on a loop. From any thread."""
    if running_loop() is not loop:
        call_on(loop, _tell, loop, waiting, answer)
    elif waiting.done():
        return
    elif isinstance(answer, BaseException):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)
