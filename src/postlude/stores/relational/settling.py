"""Whether a group whose commit failed is stored: by what it would have left behind.

A mark of its own in each group would cost every commit a page.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from postlude.model.job import Added, Cancel
from postlude.model.state import Stored
from postlude.model.transition import may_be_written
from postlude.stores.grouped.backend import Applied, Verb
from postlude.stores.relational.finish import standings
from postlude.stores.relational.transaction import Transaction
from postlude.stores.scheduling import Fired


def is_stored(tx: Transaction, group: Sequence[Applied]) -> bool:
    """Say whether a group is stored, by the first of its traces; without any, it can be applied again."""
    for look in _TRACES:
        for verb, arguments, results in group:
            for seen in look(tx, verb, zip(arguments, results, strict=True)):
                return seen
    return False


Calls = Iterator[tuple[Any, Any]]
"""What was asked, and what the answer was to be."""


def _adds(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for (jobs, _), added in calls if verb is Verb.ADD else ():
        if jobs and isinstance(added, list):
            yield bool(tx.value("knows_id", jobs[0].id))


def _fires(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for call, answer in calls if verb in (Verb.FIRE, Verb.RUN_SCHEDULE) else ():
        if isinstance(answer, Fired):
            yield from (bool(tx.value("knows_id", time.job)) for time in answer.times if time.job)
        elif isinstance(answer, Added):
            yield bool(tx.value("knows_id", call.id))


def _claims(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for call, claimed in calls if verb is Verb.CLAIM else ():
        for claim in claimed.claims:
            holder = _holder(tx, claim.seq)
            if holder == (claim.fence, call.runner):
                yield True
            elif _standing(tx, claim.seq)[1] < claim.fence:
                yield False
            # Else somebody has claimed it since: it may have been the next after this claim, or in its place.


def _finishes(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for finishes, written in calls if verb is Verb.FINISH else ():
        for finish in (one for one, is_written in zip(finishes, written, strict=True) if is_written):
            state, fence, released = _standing(tx, finish.seq)
            if fence <= finish.fence:  # else somebody has claimed it since, whatever has become of this end
                yield not may_be_written(state, released, fence, finish.fence)


def _runners(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for asked, answer in calls if verb in (Verb.ENLIST, Verb.RETIRE) else ():
        if verb is Verb.ENLIST:
            yield bool(tx.rows("runner_tokens", f"[{answer.runner}]"))
        elif answer:
            yield not tx.rows("runner_tokens", f"[{asked.runner}]")


def _releases(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for call, released in calls if verb is Verb.RELEASE else ():
        if released == len(call.holds):
            for hold in call.holds:
                yield _standing(tx, hold.seq)[:2] != (Stored.RUNNING, hold.fence)


def _ends(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for ids, answers in calls if verb in (Verb.CANCEL, Verb.RETRY) else ():
        if isinstance(answers, list):
            for id, answer in zip(ids, answers, strict=True):
                if answer is Cancel.CANCELLED or answer is True:
                    ended = bool(tx.rows("to_retry", f'["{id.hex()}"]'))
                    yield ended is (verb is Verb.CANCEL)


def _acts(tx: Transaction, verb: Verb, calls: Calls) -> Iterator[bool]:
    for call, answer in calls if verb is Verb.ACT else ():
        yield from _ends(tx, call.verb, iter([(call.argument, answer)]))


def _holder(tx: Transaction, seq: int) -> tuple[int, int | None]:
    for *_, fence, holder in tx.rows("held", f"[{seq}]"):
        return fence, holder
    return -1, None


def _standing(tx: Transaction, seq: int) -> tuple[int, int, bool]:
    for one in standings(tx, [seq]).values():
        return one.state, one.fence, bool(one.released)
    return -1, -1, False


_TRACES: Final[Sequence[Callable[[Transaction, Verb, Calls], Iterator[bool]]]] = (
    _adds, _fires, _claims, _finishes, _runners, _releases, _ends, _acts
)  # fmt: skip
"""The surest first."""
