"""What is seen of a journal at a glance: its runners and its queues, whatever stands in their rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from postlude.clock import SECOND, boot_id
from postlude.model.job import JobRecord
from postlude.model.queues import read_queues
from postlude.model.state import Reason, Stored
from postlude.stores.relational.cells import Cells
from postlude.stores.values import AuditLine, LivingRunner, Pause, QueueState, is_unserved

_FIELDS = {
    Stored.READY: "ready",
    Stored.PUBLISHED: "ready",
    Stored.SCHEDULED: "scheduled",
    Stored.BLOCKED: "blocked",
    Stored.RUNNING: "running",
    Stored.PARKED: "parked",
}


def living_runners(rows: Sequence[Sequence[Any]], now: int) -> Iterator[tuple[str, LivingRunner]]:
    """Give those whose lease holds, each with what names its file of start marks.

    Args:
        rows: of the statement `living`.
        now: the boot clock.
    """
    boot, cells = boot_id(), Cells()
    for token, of_boot, until, number, kind, release, queues, slots, parent, host, pid, since, *last in rows:
        if of_boot == boot and type(until) is int and now <= until:
            yield (
                token,
                LivingRunner(
                    number,
                    cells.text("kind", kind),
                    cells.text("release", release),
                    read_queues(queues),
                    slots,
                    parent,
                    cells.text("host", host),
                    cells.whole("pid", pid),
                    cells.whole("started", since),
                    last[0],
                    deaf_for(last[1]),
                ),
            )


def deaf_for(cell: object) -> float | None:
    """Return for how many seconds a runner was deaf when it renewed its lease last; None: it was not."""
    return cell / SECOND if type(cell) is int and cell > 0 else None


def queue_states(rows: Sequence[Sequence[Any]], paused: Sequence[Pause]) -> list[QueueState]:
    """Return each queue, by name.

    Args:
        rows: of the statement `queues`.
        paused: what is paused.
    """
    cells = Cells()
    held = {what.name for what in paused if what.kind == "queue"}
    found = {name: QueueState(name, True, 0, 0, 0, 0, 0, None) for name in held}
    for queue, state, jobs, first, failed in rows:
        name, field = cells.text("queue", queue), _FIELDS.get(cells.stored(state))
        if field is None:
            continue
        was = found.get(name, QueueState(name, False, 0, 0, 0, 0, 0, None))
        now = was._replace(**{field: getattr(was, field) + jobs})
        if field == "scheduled":
            now = now._replace(retrying=now.retrying + failed)
        if field in ("ready", "blocked") and type(first) is int:
            now = now._replace(oldest=first if now.oldest is None else min(now.oldest, first))
        found[name] = now
    return [found[name] for name in sorted(found)]


def explained(
    records: list[JobRecord],
    paused: Callable[[], list[Pause]],
    bound_of: Callable[[str], Reason | None],
    living: Callable[[], list[LivingRunner]],
) -> list[JobRecord]:
    """Return jobs with the reason for which their queues keep those that are ready waiting.

    Args:
        records: the jobs.
        paused: what is paused; asked only when a job is ready.
        bound_of: of a queue, which of its bounds lets nothing of it start now.
        living: who lives; asked only when nothing else keeps a ready job waiting.
    """
    ready = {record.queue for record in records if record.stored in (Stored.READY, Stored.PUBLISHED)}
    if not ready:
        return records
    stopped = {what.name for what in paused() if what.kind == "queue"}
    why = {queue: Reason.PAUSED if queue in stopped else bound_of(queue) for queue in ready}
    if None in why.values():
        runners = living()
        why |= {
            queue: Reason.UNSERVED
            for queue, reason in why.items()
            if reason is None and is_unserved(queue, runners)
        }
    return [
        replace(record, reason=why[record.queue] or record.reason)
        if record.stored in (Stored.READY, Stored.PUBLISHED)
        else record
        for record in records
    ]


def audit_line(row: Sequence[Any]) -> AuditLine:
    """Return what somebody has done, by a row of the statement `audit`."""
    cells = Cells()
    number, at, actor, act, meant, done, not_done = row
    return AuditLine(
        number,
        cells.whole("at", at),
        cells.text("actor", actor),
        cells.text("act", act),
        cells.text("meant", meant),
        cells.whole("done", done),
        cells.whole("not_done", not_done),
    )
