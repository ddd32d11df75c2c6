"""Adding to the journal what has waited in an outbox, once."""

from collections.abc import Sequence
from typing import Any

from postlude.enqueue.joined.target import tell_of
from postlude.errors import JobRefused
from postlude.model.event.jobs import JobsRefused
from postlude.model.job import NewJob
from postlude.model.joining import in_calls, read
from postlude.model.state import Reason
from postlude.stores.protocol import Store


def take_over(store: Store, rows: Sequence[Any]) -> list[str]:
    """Add jobs to the journal, in a thread that may wait; returns the ids of those that it has now."""
    calls = in_calls([read(text) for _, text in rows])
    replies = [store.add(jobs) for jobs in calls]  # together: they are one group of the journal's writer
    taken: list[str] = []
    for jobs, reply in zip(calls, replies, strict=True):
        try:
            tell_of(store, jobs, reply.wait())
        except JobRefused:
            if not _add_missing(store, jobs):
                continue
        taken += [job.id.hex() for job in jobs]
    return taken


def _add_missing(store: Store, jobs: Sequence[NewJob]) -> bool:
    """Add those of a call that the journal does not have: an attempt before this one has died, or failed.

    False: it does not take them, whatever has been before.
    """
    missing: list[NewJob] = []
    for job in jobs:
        known = store.get(job.id).wait()
        if known is not None and known.reason is Reason.UNACKNOWLEDGED:
            # The attempt that added it was told that it failed, and so it was cancelled.
            store.delete([job.id]).wait()
            known = None
        if known is None:
            missing.append(job)
    try:
        if missing:
            tell_of(store, missing, store.add(missing).wait())
    except JobRefused as error:
        if JobsRefused in store.events.heard:
            store.events.emit(JobsRefused(missing, error))
        return False
    return True
