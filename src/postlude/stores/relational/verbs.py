"""Which function applies each verb to a group of a journal in SQL."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from postlude.stores.grouped.backend import Verb
from postlude.stores.relational import add as intake
from postlude.stores.relational import concurrency, control, schedules, upkeep
from postlude.stores.relational.claims import Claims

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
    return {
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
    }
