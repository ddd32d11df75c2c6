"""Running jobs by their ids on a runner that claims nothing by itself: a process of an engine's worker."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from postlude.compat import running_loop
from postlude.errors import JournalUnavailable
from postlude.model.job import Claimed
from postlude.model.queues import ALL
from postlude.model.refusal import Over, Refusal, Refused
from postlude.runner.runner import Runner
from postlude.stores.loops import call_on
from postlude.stores.protocol import Store

MOST_AHEAD: Final = 64
"""Jobs that are handed over at once at most, although nobody waits for their ends."""

MANY: Final = 10
"""Where so many jobs end in a moment, those that are claimed together gather first."""

GATHER: Final = 0.003
"""Seconds in which they do."""

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

        None where tasks or queues have limits or rates: such a job is claimed only to start.
        """
        runner = self._runner
        return 0 if self._has_bounds() else min(runner.pace.soon(runner.loop.time()), MOST_AHEAD)

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
        """Say whether there is anything to claim. What is handed over after that wakes it."""
        if not self._handed:
            self._awake = False
            self._awake = bool(self._handed)
        return self._awake

    async def _claim(self, asked: dict[bytes, list[Over]]) -> None:
        runner, ids = self._runner, list(asked)
        if runner.draining:
            await self._store.withdraw(ALL, ids)  # a message is used up for each
            for waiting in asked.values():
                _answer(waiting, Refusal.BURIED)
            return
        reserved = runner.reserve(len(ids)) is not None
        try:
            runner.offer_ends()
            suspect = runner.wants_suspect
            claimed: Claimed = await self._store.claim(runner.number, len(ids), suspect=suspect, ids=ids)
        finally:
            if reserved:
                runner.decline(len(ids))
        for refused in claimed.refused:
            _answer(asked.pop(refused.id), refused.why)
        if any(one.why is Refusal.BURIED for one in claimed.refused):
            # Its lease had run out: it joins again, and whoever leads publishes these jobs again.
            await self._store.withdraw(ALL, ids)
        for work in runner.accept(claimed.claims):  # none, if it is draining: they are given back
            over, *others = asked.pop(work.id)
            _answer(others, Refusal.RUNNING)
            if work.over or work.written:
                over(None)
            else:
                work.left = partial(over, None)
        for waiting in asked.values():
            _answer(waiting, Refusal.BURIED)


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
