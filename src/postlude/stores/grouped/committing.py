"""A group on its way to an outcome that is certain: applied, committed, tried again, asked after.

On a server the connection can be lost in COMMIT: nobody knows then whether it took effect, and it may still
do so. So the backend is asked before anybody is answered, and what is certainly not there is tried again.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from postlude.errors import JournalUnavailable, PostludeError
from postlude.model.event.journal import DisownFailed
from postlude.stores.grouped.backend import Applied, Backend, Broken, Busy, Conflict, Uncertain, Verb
from postlude.stores.grouped.batching import Request
from postlude.telemetry.events import Events

TRIES: Final = 5
"""How often a group is tried that meets conflicts or lost commits."""

PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 0.5
"""Seconds between two tries, with jitter: before the second one, and the longest."""

SETTLE_WITHIN: Final = 5.0
"""Seconds after a lost commit in which its outcome is asked after, while nobody is answered."""


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
        self._doubts: list[list[Applied]] = []
        """Groups whose callers were told that nothing is known."""

    def write(self, requests: Sequence[Request]) -> None:
        """Apply what was asked, in the transaction that has begun, and set each request's answer."""
        backend = self._backend
        for left in reversed(range(TRIES)):
            applied: list[Applied] = []
            try:
                self._apply(requests, applied)
                for tell in tuple(self._told):
                    tell()
                backend.commit()
                return
            except Conflict as error:
                backend.rollback()
                if not self._begins_again(requests, error, left):
                    return
            except Uncertain as error:
                backend.rollback()
                if self._is_settled(requests, applied, error) or not self._is_worth(requests, error, left):
                    return
            except Broken as error:
                backend.rollback()
                fail(requests, error)
                return
            except Exception as error:
                backend.rollback()
                if len(requests) > 1 or backend.repair(error):
                    self._replay(requests)
                else:
                    fail(requests, error)
                return

    def disown(self, results: Sequence[object]) -> None:
        """Cancel what was stored for callers who were told that it was not."""
        try:
            self._backend.disown(results)
        except Exception as error:
            self._events.emit(DisownFailed(error))

    def look_back(self) -> None:
        """Ask after groups of which nothing was known: whose callers were told 503, nothing must run."""
        while self._doubts:
            stored = self._ask(self._doubts[0])
            if stored is None:
                return
            self._backend.rollback()
            added = [results for verb, _, results in self._doubts.pop(0) if verb is Verb.ADD and stored]
            for results in added:
                self.disown([one for one in results if not isinstance(one, PostludeError)])

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

    def _is_settled(self, requests: Sequence[Request], applied: list[Applied], error: Uncertain) -> bool:
        """Ask what became of a lost commit; False: nothing, and a transaction has begun."""
        until = time.monotonic() + SETTLE_WITHIN
        left = TRIES
        while (stored := self._ask(applied)) is None:
            if time.monotonic() > until:
                self._doubts.append(applied)
                fail(
                    requests,
                    JournalUnavailable(f"it is not known whether the journal took the write: {error}"),
                )
                return True
            left -= 1
            self._rest(left)
        if stored:
            self._backend.rollback()
        return stored

    def _ask(self, applied: Sequence[Applied]) -> bool | None:
        """Say whether a group is stored, in a transaction that has begun; None: it is not to be known now."""
        try:
            self._backend.begin()
            return self._backend.settled(applied)
        except Exception:
            self._backend.rollback()
            return None

    def _is_worth(self, requests: Sequence[Request], error: Uncertain, left: int) -> bool:
        if not left:
            self._backend.rollback()
            fail(requests, error)
        return left > 0

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
