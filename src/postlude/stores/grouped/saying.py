"""What a group's verbs have done that somebody has to be told, as far as their answers say it."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from postlude.model.job import Cancel, Claimed
from postlude.model.queues import ALL
from postlude.stores.grouped.backend import Verb
from postlude.stores.signals import Said
from postlude.stores.values import ClaimCall

_CHANGING: Final = frozenset({Verb.RELEASE, Verb.UNPARK, Verb.FREE})
"""Verbs that say how many jobs they have changed."""

_TOLD: Final = _CHANGING | {
    *(Verb.CLAIM, Verb.PROMOTE, Verb.CANCEL, Verb.RETRY, Verb.RETIRE, Verb.REAP),
    *(Verb.PAUSE, Verb.RESUME, Verb.DECLARE),
}
"""Those of which there is anything to say; not `ADD` and `FINISH`, of which each job has one."""


def note(said: Said, verb: Verb, calls: Sequence[Any], answers: Sequence[Any]) -> None:
    """Note it; what jobs are ready, and for which times they wait, is noted where they are brought there."""
    if verb is Verb.ACT:
        for call, answer in zip(calls, answers, strict=True):
            note(said, call.verb, [call.argument], [answer])
    elif verb in _TOLD:
        _note(said, verb, calls, answers)


def _note(said: Said, verb: Verb, calls: Sequence[Any], answers: Sequence[Any]) -> None:
    if verb is Verb.CLAIM:
        if said.anew and any(_took_all(*each) for each in zip(calls, answers, strict=True)):
            said.anew = False  # they need not be told of that
    elif verb in _CHANGING:
        said.changed |= any(answers)
    elif verb is Verb.PROMOTE:
        said.changed |= any(promoted.jobs for promoted in answers)
    elif verb is Verb.CANCEL:
        outcomes = set(chain.from_iterable(answers))
        said.asked |= Cancel.ASKED in outcomes
        said.changed |= not outcomes <= {Cancel.TOO_LATE}
    elif verb is Verb.RETRY:
        said.changed |= any(answer is True for each in answers if isinstance(each, list) for answer in each)
    elif verb is Verb.RETIRE or (verb is Verb.REAP and any(reaped.runners for reaped in answers)):
        # It may have had children, and have kept others from running jobs.
        said.asked = said.changed = said.anew = True
    elif verb is Verb.PAUSE or verb is Verb.RESUME:
        said.paused |= any(answers)
        said.anew |= verb is Verb.RESUME and any(answers)
    elif verb is Verb.DECLARE:
        said.anew = True


def _took_all(call: ClaimCall, claimed: Claimed) -> bool:
    """Whether a claim has left nothing behind that was ready when it was made."""
    everywhere = call.queues is ALL and call.ids is None and call.suspect
    left = claimed.more or claimed.passed or claimed.again is not None
    return everywhere and bool(claimed.claims) and not left
