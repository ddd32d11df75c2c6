"""Running jobs by their ids on a runner that claims nothing by itself: a process of an engine's worker."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest

from postlude.errors import PostludeError
from postlude.model.event.jobs import AttemptEnded
from postlude.model.job import Claimed
from postlude.model.queues import ALL
from postlude.model.refusal import Refusal, Refused, all_refused
from postlude.runner.attempt.work import Work
from postlude.runner.runner import Runner
from postlude.stores.protocol import Store

Waiting = asyncio.Future[Refused | None]


class ByIds:
    """Runs what an engine is told of, by the runner of the loop that is asked.

    What many threads ask for while a claim is under way is claimed together by the next one, and the ends of
    jobs go to the journal with the claim of those after them: one commit for each job, or less.

    Args:
        store: the journal.
        runner: claims, and runs them.
    """

    def __init__(self, store: Store, runner: Runner) -> None:
        self._store = store
        self._runner = runner
        self._asked: defaultdict[bytes, list[Waiting]] = defaultdict(list)
        """By id, who waits for the claim."""
        self._running: dict[bytes, Work] = {}
        """By id, those whose attempts have not ended."""
        self._claiming: asyncio.Task[None] | None = None
        store.events.listen(self._ended, AttemptEnded)

    async def run(self, ids: Sequence[bytes]) -> Sequence[Refused]:
        """Claim the jobs of these ids, and run them; returns when their attempts have ended.

        Their ends are on their way to the journal then. On the loop of the runner.

        Raises:
            JournalUnavailable: the journal cannot be written now.
        """
        if self._runner.draining:
            await self._store.withdraw(ALL, ids)  # a message is used up for each
            return all_refused(ids, Refusal.BURIED)
        loop = asyncio.get_running_loop()
        waiting = [loop.create_future() for _ in ids]
        for id, one in zip(ids, waiting, strict=True):
            self._asked[id].append(one)
        if self._claiming is None:
            self._claiming = loop.create_task(self._claim_all(), name="postlude-claim")
        return [refused for refused in await asyncio.gather(*waiting) if refused is not None]

    async def _claim_all(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, defaultdict(list)
            try:
                await self._claim(asked)
            except PostludeError as error:
                self._runner.reconciler.arise()  # the claim may have been made
                for waiting in asked.values():
                    _fail(waiting, error)
        self._claiming = None

    async def _claim(self, asked: dict[bytes, list[Waiting]]) -> None:
        runner, ids = self._runner, list(asked)
        reserved = runner.reserve(len(ids)) is not None
        try:
            runner.offer_ends()
            suspect = runner.wants_suspect
            claimed: Claimed = await self._store.claim(runner.number, len(ids), suspect=suspect, ids=ids)
        finally:
            if reserved:
                runner.decline(len(ids))
        for refused in claimed.refused:
            _answer(asked.pop(refused.id), refused)
        if any(one.why is Refusal.BURIED for one in claimed.refused):
            # Its lease had run out: it joins again, and whoever leads publishes these jobs again.
            await self._store.withdraw(ALL, ids)
        works = runner.accept(claimed.claims)  # none, if it is draining: they are given back
        for id, work in zip_longest(list(asked), works):
            first, *others = asked[id]
            _answer(others, Refused(id, Refusal.RUNNING))
            if work is None:
                _answer([first], Refused(id, Refusal.BURIED))
            elif work.over or work.written:
                _answer([first], None)
            else:
                self._await_end(work, first)

    def _await_end(self, work: Work, waiting: Waiting) -> None:
        """Answer when an attempt has ended, or its job is given back."""
        work.waiter = asyncio.get_running_loop().create_future()
        work.waiter.add_done_callback(lambda _: _answer([waiting], None))
        self._running[work.id] = work

    def _ended(self, told: AttemptEnded) -> None:
        work = self._running.pop(told.id, None)
        if work is not None and work.waiter is not None:
            # Nobody waits for its end to be written: it goes with the next claim.
            waiter, work.waiter = work.waiter, None
            if not waiter.done():
                waiter.set_result(None)


def _answer(waiting: Sequence[Waiting], answer: Refused | None) -> None:
    for one in waiting:
        if not one.done():
            one.set_result(answer)


def _fail(waiting: Sequence[Waiting], error: Exception) -> None:
    for one in waiting:
        if not one.done():
            one.set_exception(error)
