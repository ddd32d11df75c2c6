"""Writing how attempts ended: gathered for a moment, and offered until the journal takes them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from postlude.messages.raised import kind_of, text_of
from postlude.model.event.jobs import EndStale, EndsWritten
from postlude.model.event.runner import EndsRefused
from postlude.model.outcome import Failed, Finish
from postlude.runner.attempt.work import Work
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply

GATHER: Final = 0.005
"""Seconds in which ends gather: the rows that many requests add lie together, and so do their ends."""

MANY: Final = 256
"""So many ends are offered together: the journal can write them while more end."""

AGAIN_AFTER: Final = 0.5
"""Seconds until ends that the journal did not take are offered again."""


_UNWRITABLE: Final = (TypeError, ValueError, OverflowError)
"""Why a store refuses an end that no store could take: the journal itself is well."""


class Finisher:
    """The ends of attempts on their way to the journal.

    Args:
        store: the journal.
        offering: called when ends are offered, with their number and whether jobs in the journal may wait
            for them.
        written: called when some have been written, with whether all have.
    """

    def __init__(
        self, store: Store, offering: Callable[[int, bool], None], written: Callable[[bool], None]
    ) -> None:
        self._forgotten = False
        self.under_way: set[asyncio.Future[list[bool]]] = set()
        self.failed = False
        """Whether the journal has refused some since this was last looked at: its state is uncertain."""
        self._store = store
        self._events = store.events
        self._offering = offering
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._gathered: list[tuple[Work, Finish]] = []
        self._urgent = False
        """Whether jobs in the journal may wait for one of these."""
        self._due = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def settled(self) -> bool:
        """Whether everything has been written."""
        return not self._gathered and not self.under_way

    def knows(self, seq: int) -> bool:
        """Whether a job's end is waiting to be offered."""
        return any(work.seq == seq for work, _ in self._gathered)

    def add(self, work: Work, finish: Finish) -> None:
        """Write this end, together with the others of this moment."""
        if self._forgotten:
            return
        self._gathered.append((work, finish))
        if work.urgent:
            self._urgent = True
        if not self._due:
            self._due = True
            self._timer = self._loop.call_later(GATHER, self.offer)
        if len(self._gathered) == MANY:
            self.offer()
        elif work.waiter is not None or work.urgent:
            self.hurry()

    def hurry(self) -> None:
        """Do not wait for company: somebody waits."""
        if self._timer is not None and self._gathered:
            self._timer.cancel()
            self._timer = self._loop.call_later(0, self.offer)

    def offer(self) -> None:
        """Offer what has gathered now."""
        self._due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        offered, self._gathered = self._gathered, []
        urgent, self._urgent = self._urgent, False
        if offered:
            self._offer(offered, urgent)

    def _offer(self, offered: list[tuple[Work, Finish]], urgent: bool) -> None:
        reply = self._store.finish([finish for _, finish in offered])
        if reply.future is not None:
            self.under_way.add(reply.future)
        reply.then(partial(self._answered, offered))
        self._offering(len(offered), urgent)

    def forget(self) -> None:
        """Offer nothing more, also not again: these jobs run again."""
        self._gathered, self._forgotten = [], True

    def _answered(self, offered: list[tuple[Work, Finish]], reply: Reply[list[bool]]) -> None:
        if reply.future is not None:
            self.under_way.discard(reply.future)
        if reply.error is None:
            self._taken(offered, reply.value)
            self._written(self.settled)
        elif not self._forgotten:
            self._events.emit(EndsRefused(len(offered), reply.error))
            self._refused(offered, reply.error)

    def _taken(self, offered: list[tuple[Work, Finish]], answers: list[bool]) -> None:
        for (work, _), kept in zip(offered, answers, strict=True):
            if not kept:
                self._events.emit(EndStale(*work.identity))
            work.written = True
            if work.waiter is not None:
                work.end()
        if EndsWritten in self._events.heard:
            ids, finishes = [work.id for work, _ in offered], [finish for _, finish in offered]
            self._events.emit(EndsWritten(ids, finishes, answers))

    def _refused(self, offered: list[tuple[Work, Finish]], error: BaseException) -> None:
        self.failed = True
        why = error.__cause__
        if isinstance(why, _UNWRITABLE):
            if len(offered) > 1:
                for one in offered:  # so that none waits for the one that is at fault
                    self._offer([one], one[0].urgent)
                return
            offered = [(work, less_of(finish, why)) for work, finish in offered]
        self._gathered.extend(offered)
        self._urgent |= any(work.urgent for work, _ in offered)
        if not self._due:
            self._due = True
            self._timer = self._loop.call_later(AGAIN_AFTER, self.offer)


def less_of(finish: Finish, refused: BaseException) -> Finish:
    """Return an end that the journal can take in place of one that it cannot: a job must not run for ever.

    Args:
        finish: the end; first its log lines are left out, and then what it says.
        refused: why it was not taken.
    """
    if finish.logs:
        return finish._replace(logs=())
    line = f"the end of this attempt could not be written: {kind_of(refused)}: {text_of(refused)}"[:1000]
    return finish._replace(outcome=Failed(line, line))
