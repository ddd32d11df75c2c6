"""Which function applies each verb to a group of a journal in SQL."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from postlude.stores.audit import numbers_of
from postlude.stores.grouped.backend import DeedCall, Verb
from postlude.stores.relational import add as intake
from postlude.stores.relational import concurrency, control, outgoing, schedules, upkeep
from postlude.stores.relational.claims import Claims
from postlude.stores.relational.transaction import Transaction

Applies = Callable[[Any, Any], list[Any]]
"""Takes the transaction and the calls of one verb; returns an answer for each."""


class Runners(Protocol):
    """The verbs about runners, whose lives each database tells in its own way."""

    @property
    def enlist(self) -> Applies: ...

    @property
    def renew(self) -> Applies: ...

    @property
    def retire(self) -> Applies: ...

    @property
    def lead(self) -> Applies: ...

    @property
    def reap(self) -> Applies: ...


def verbs(runners: Runners, claims: Claims) -> Mapping[Verb, Applies]:
    """Return what applies each verb.

    Args:
        runners: those of this process.
        claims: what this process has claimed.
    """
    applies: dict[Verb, Applies] = {
        Verb.ENLIST: runners.enlist,
        Verb.FINISH: claims.finish,
        Verb.RELEASE: claims.release,
        Verb.RENEW: runners.renew,
        Verb.RETIRE: runners.retire,
        Verb.LEAD: runners.lead,
        Verb.REAP: runners.reap,
        Verb.PROMOTE: upkeep.promote,
        Verb.UNPARK: upkeep.unpark,
        Verb.FREE: concurrency.free,
        Verb.CANCEL: control.cancel,
        Verb.RETRY: control.retry,
        Verb.PAUSE: control.pause,
        Verb.RESUME: control.resume,
        Verb.DECLARE: control.declare,
        Verb.PROGRESS: upkeep.progress,
        Verb.CLAIM: claims.claim,
        Verb.ADD: intake.add,
        Verb.PRUNE: upkeep.Pruner().prune,
        Verb.DELETE: upkeep.delete,
        Verb.FIRE: schedules.fire,
        Verb.DECLARE_SCHEDULES: schedules.declare_schedules,
        Verb.PAUSE_SCHEDULE: schedules.pause_schedule,
        Verb.RESUME_SCHEDULE: schedules.resume_schedule,
        Verb.RUN_SCHEDULE: schedules.run_schedule,
        Verb.FOLD: upkeep.fold,
        Verb.COUNT: upkeep.count,
        Verb.PUBLISH: outgoing.publish,
        Verb.WITHDRAW: outgoing.withdraw,
    }

    def act(tx: Transaction, calls: Sequence[DeedCall]) -> list[Any]:
        """Do what is asked, and note who has."""
        answers = [applies[call.verb](tx, [call.argument])[0] for call in calls]
        lines = [
            (by.id, tx.now, by.actor, by.act, by.meant, *numbers_of(answer))
            for (_, _, by), answer in zip(calls, answers, strict=True)
            if not isinstance(answer, Exception)
        ]
        for line in lines:  # of one act there may be several pieces, and no statement writes a row twice
            tx.run_for("add_audit", [line])
        return answers

    return {**applies, Verb.ACT: act}
