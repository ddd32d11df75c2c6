"""What is said of a job beside what it is: by its call's policy, its context, and who traces its request."""

from collections.abc import Collection, Sequence
from typing import Any

from postlude.model.terms import PLAIN
from postlude.runner.attempt.work import Work
from postlude.tasks.codec.payload import Payload
from postlude.tasks.context import Carried
from postlude.tasks.task import Task
from postlude.telemetry.carrying import LATER, Leaving, asked


def say_terms(
    work: Work, task: Task[..., Any], encoded: Payload, carried: Carried, bounded_queues: Collection[str]
) -> None:
    """Note what a call's policy and context say of its job."""
    terms = (task.terms(work.created) if task.special else None) or PLAIN
    key = task.concurrency_key(encoded) if task.special else None
    rated = task.rated or work.queue in bounded_queues
    work.say(terms.of_call(key, rated, carried.capture()))


def carry(carried: Carried, works: Sequence[Work], together: bool = False) -> None:
    """Let what is traced under travel with jobs that are about to be added.

    Args:
        carried: who traces, and what travels already.
        works: the jobs, of one write.
        together: one call has added them all.
    """
    if not works:
        return
    leaving = [Leaving(work.id, work.name, work.queue, work.terms.due) for work in works]
    for carrier in carried.carriers:
        for work, traces in zip(works, asked(carrier, leaving, together), strict=True):
            if work.terms.due is not None:
                traces = {**traces, LATER: str(work.terms.due)}
            context = carried.leaving(work.given.context, traces)
            work.say(work.terms._replace(given=work.given._replace(context=context)))
