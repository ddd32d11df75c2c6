"""A group on its way to an outcome that is certain: applied, committed, tried again, asked after.

On a server the connection can be lost in COMMIT: nobody knows then whether it took effect, and it may still
do so. So the backend is asked before anybody is answered, and what is certainly not there is tried again.
"""

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple

from postlude.errors import JournalUnavailable, PostludeError
from postlude.model.event.journal import DisownFailed
from postlude.stores.grouped.backend import (
    Applied,
    Backend,
    Broken,
    Busy,
    CommitFailed,
    Conflict,
    Uncertain,
    Verb,
)
from postlude.stores.grouped.batching import Request
from postlude.telemetry.events import Events

TRIES: Final = 5
"""How often a group is tried that meets conflicts or lost commits."""

PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 0.5
"""Seconds between two tries, with jitter: before the second one, and the longest."""

SETTLE_WITHIN: Final = 5.0
"""Seconds after a lost commit in which its outcome is asked after and it is tried again, while nobody is
answered, and no lease renewed: at most a third of the shortest one."""


class _Doubt(NamedTuple):
    """A group whose callers were told that it is not stored, or that nothing is known."""

    applied: list[Applied]
    settle: Callable[[bool], None] | None


class Committer:
    """Brings groups to certain outcomes. Used by the writer's thread, under the lock between processes.

    Args:
        backend: what applies them.
        events: who is told of what happens.
        told: called before each commit.
    """

    def __init__(self, backend: Backend, events: Events, told: Collection[Callable[[], None]] = ()) -> None:
        self._backend = backend
        self._told = told
        self._events = events
        self._doubts: list[_Doubt] = []
        self._unwanted: list[Sequence[object]] = []
        """What adds stored for callers who were told otherwise, as long as it could not be cancelled."""
        self.lease = math.inf
        """The shortest one of this process's runners, in seconds."""

    def write(self, requests: Sequence[Request]) -> None:
        """Apply what was asked, in the transaction that has begun, and set each request's answer."""
        until = 0.0
        for left in reversed(range(TRIES)):
            applied: list[Applied] = []
            try:
                self._apply(requests, applied)
                for tell in tuple(self._told):
                    tell()
                self._backend.commit()
                return
            except Conflict as error:
                self._backend.rollback()
                again = self._begins_again(requests, error, left)
            except Uncertain as error:
                self._backend.rollback()
                until = until or time.monotonic() + min(SETTLE_WITHIN, self.lease / 3)
                again = self._is_gone(requests, applied, error, until) and self._is_worth(
                    requests, error, left, until
                )
            except Exception as error:
                self._backend.rollback()
                self._failed(requests, applied, error)
                return
            if not again:
                return

    def write_beside(self, requests: Sequence[Request]) -> bool:
        """Write what was asked beside others' groups, and set each request's answer; False: it cannot be."""
        backend = self._backend
        answers = backend.beside([(request.verb, request.argument) for request in requests])  # type: ignore[misc]
        if answers is None:
            return False
        for request, answer in zip(requests, answers, strict=True):
            request.value, request.error = answer, None
        try:
            for tell in tuple(self._told):
                tell()
            backend.commit()
        except Conflict:
            backend.rollback()
            return False
        except Uncertain as error:
            backend.rollback()
            applied = [
                Applied(Verb(each.verb), [each.argument], [answer])
                for each, answer in zip(requests, answers, strict=True)
            ]
            until = time.monotonic() + min(SETTLE_WITHIN, self.lease / 3)
            again = self._is_gone(requests, applied, error, until)
            if again and self._is_worth(requests, error, TRIES, until):
                self.write(requests)
        except Exception as error:
            backend.rollback()
            self._failed(requests, [], error)
        return True

    def disown(self, results: Sequence[object], *, again: bool = False) -> None:
        """Cancel what was stored for callers who were told that it was not; later, if that cannot be now."""
        try:
            self._backend.disown(results)
        except Exception as error:
            later = isinstance(error, (Busy, Broken, Conflict, Uncertain))
            if later:
                self._unwanted.append(results)
            if not (later and again):
                self._events.emit(DisownFailed(error))

    def look_back(self) -> None:
        """Ask after groups of which nothing was known: whose callers were told 503, nothing must run."""
        while self._doubts:
            doubt = self._doubts[0]
            stored = self._ask(*doubt)
            if stored is None:
                return
            self._backend.rollback()
            del self._doubts[0]
            for verb, _, results in doubt.applied if stored else ():
                if verb is Verb.ADD:
                    self._unwanted.append([one for one in results if not isinstance(one, PostludeError)])
        unwanted, self._unwanted = self._unwanted, []
        for each in unwanted:
            self.disown(each, again=True)

    def _apply(self, requests: Iterable[Request], applied: list[Applied]) -> None:
        by_verb: defaultdict[int, list[Request]] = defaultdict(list)
        for request in requests:
            by_verb[request.verb].append(request)
        for verb in sorted(by_verb):
            asked = by_verb[verb]
            arguments = [request.argument for request in asked]
            results = self._backend.apply(Verb(verb), arguments)
            applied.append(Applied(Verb(verb), arguments, results))
            for request, value in zip(asked, results, strict=True):
                if isinstance(value, PostludeError):  # this request's own: the group stands
                    request.value, request.error = None, value
                else:
                    request.value = value
                    request.error = None

    def _replay(self, requests: Sequence[Request]) -> None:
        """After a failed group: each request whole or not at all, in a transaction of its own."""
        for place, request in enumerate(requests):
            try:
                self._backend.begin()
            except (Busy, Broken, Conflict) as error:
                fail(requests[place:], error)
                return
            self.write([request])

    def _failed(self, requests: Sequence[Request], applied: list[Applied], error: Exception) -> None:
        """Tell them that their group has failed; or try each by itself, if it may be some one's fault."""
        if isinstance(error, Broken):
            if isinstance(error, CommitFailed):
                self._doubts.append(_Doubt(applied, error.settle))
            fail(requests, error)
        elif len(requests) > 1 or self._backend.repair(error):
            self._replay(requests)
        else:
            fail(requests, error)

    def _begins_again(self, requests: Sequence[Request], error: Conflict, left: int) -> bool:
        """Begin once more after a conflict, in which all was undone; False if it is given up."""
        self._rest(left)
        try:
            if left:
                self._backend.begin()
                return True
        except (Busy, Broken, Conflict) as failure:
            fail(requests, failure)
            return False
        fail(requests, error)
        return False

    def _is_gone(
        self, requests: Sequence[Request], applied: list[Applied], error: Uncertain, until: float
    ) -> bool:
        """Ask what became of a lost commit; True: nothing, and a transaction has begun."""
        left = TRIES
        while (stored := self._ask(applied, error.settle)) is None:
            if time.monotonic() > until:
                self._doubts.append(_Doubt(applied, error.settle))
                fail(
                    requests,
                    JournalUnavailable(f"it is not known whether the journal took the write: {error}"),
                )
                return False
            left -= 1
            self._rest(left)
        if stored:
            self._backend.rollback()
        return not stored

    def _is_worth(self, requests: Sequence[Request], error: Uncertain, left: int, until: float) -> bool:
        """Say whether what is gone is tried again."""
        if left and time.monotonic() <= until:
            return True
        self._backend.rollback()
        fail(requests, error)
        return False

    def _ask(self, applied: Sequence[Applied], settle: Callable[[bool], None] | None) -> bool | None:
        """Say whether a group is stored, in a transaction that has begun; None: it is not to be known now."""
        try:
            self._backend.begin()
            stored = self._backend.settled(applied)
        except Exception:
            self._backend.rollback()
            return None
        if settle is not None:
            settle(stored)
        return stored

    def _rest(self, left: int) -> None:
        """Wait a moment, longer the fewer tries are left; others may have the lock meanwhile."""
        longest = min(LONGEST_PAUSE, PAUSE * 2.0 ** (TRIES - max(0, left)))
        self._backend.release()
        try:
            time.sleep(random.uniform(longest / 2, longest))
        finally:
            self._backend.acquire()


def fail(requests: Iterable[Request], error: BaseException) -> None:
    """Set an error as the answer."""
    if not isinstance(error, PostludeError):
        told = JournalUnavailable(f"the journal did not take the write: {error}")
        told.__cause__ = error
        error = told
    for request in requests:
        request.error = error
