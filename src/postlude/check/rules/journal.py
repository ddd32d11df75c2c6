"""PL008: jobs that wait in a journal, and whether this release can run them."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from postlude.check.finding import Finding
from postlude.errors import InvalidArguments, UnknownTask
from postlude.model.ids import id_text
from postlude.model.job import JobFilter, JobRecord
from postlude.model.state import State
from postlude.stores.protocol import ReadOnly
from postlude.tasks.registry import Registry

WAITING: Final = (State.QUEUED, State.PARKED, State.RUNNING)
"""Jobs in these states are still to be run, or may have to be run again."""

PAGE: Final = 1000


def waiting_jobs(journal: ReadOnly, registry: Registry) -> Iterator[Finding]:
    """Yield what keeps jobs of a journal from running in this release: one finding for each reason.

    Args:
        journal: of the application.
        registry: this release's tasks.

    Raises:
        JournalUnavailable: the journal cannot be read now.
    """
    jobs: Counter[str] = Counter()
    samples: dict[str, str] = {}
    before: int | None = None
    while True:
        records = journal.page(JobFilter(states=WAITING, limit=PAGE, before=before)).wait()
        for record in records:
            why = _why_not(record, registry)
            if why is not None:
                jobs[why] += 1
                samples[why] = id_text(record.id)
        if len(records) < PAGE:
            break
        before = records[-1].seq
    for why, count in jobs.most_common():
        says = f"{count:,} waiting {'job' if count == 1 else 'jobs'} would be parked: {why} ({samples[why]})"
        yield Finding("PL008", says, "keep the old name as an alias, or give the new parameter a default")


def _why_not(record: JobRecord, registry: Registry) -> str | None:
    try:
        registry.resolve(record.task).decode(record.payload)
    except (UnknownTask, InvalidArguments) as error:
        return str(error)
    return None
