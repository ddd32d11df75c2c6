"""Processes: who runs jobs."""

from dataclasses import dataclass

from starlette.responses import Response

from postlude.dashboard.pages.series import SPANS, sums_of
from postlude.dashboard.site import Visit
from postlude.dashboard.words import Moment, rough
from postlude.model.history import DEATHS
from postlude.model.queues import Queues
from postlude.stores.protocol import Kind, LivingRunner

KINDS = {
    Kind.APP: "application",
    Kind.INLINE: "request",
    Kind.WORKER: "worker",
    Kind.ENGINE: "Celery's worker",
}


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process that lives."""

    number: int
    kind: str
    host: str
    pid: int
    release: str
    since: Moment | None
    holds: int
    slots: int | None
    queues: str
    serves: bool
    deaf: str
    """For how long it has been given nothing that its broker has for it; empty: it hears."""


@dataclass(frozen=True, slots=True)
class ProcessesPage:
    """What the page shows."""

    rows: tuple[ProcessRow, ...]
    releases: tuple[str, ...]
    """Of those that run side by side, if they are several."""
    holds: int
    slots: int
    waiting: int
    interrupted: int
    """Attempts that the deaths of processes have cut off in the last 24 hours."""


async def page(visit: Visit) -> Response:
    """Answer with the list."""
    living: list[LivingRunner] = await visit.kept("living", visit.desk.store.living)
    queues = await visit.kept("queues", visit.desk.store.queues)
    day = await sums_of(visit, SPANS[1])
    serving = [one for one in living if one.serves]
    releases = sorted({one.release for one in serving if one.release})
    shown = ProcessesPage(
        rows=tuple(_row(visit, one) for one in sorted(living, key=lambda one: (one.host, one.pid))),
        releases=tuple(releases) if len(releases) > 1 else (),
        holds=sum(one.holds for one in living),
        slots=sum(one.slots or 0 for one in serving),
        waiting=sum(one.ready + one.blocked for one in queues),
        interrupted=sum(one.n for one in day if one.outcome in DEATHS),
    )
    return await visit.page("processes.html", "Processes", "processes", page=shown)


def _row(visit: Visit, one: LivingRunner) -> ProcessRow:
    kind = KINDS[Kind(one.kind)] if one.kind in set(Kind) else one.kind
    if one.slots == 0:
        kind = "parent" if one.kind != Kind.ENGINE else f"{kind}, parent"
    return ProcessRow(
        one.number, kind, one.host, one.pid, one.release, visit.moment(one.since), one.holds, one.slots,
        told(one.queues), one.serves, "" if one.deaf is None else rough(one.deaf),
    )  # fmt: skip


def told(queues: Queues) -> str:
    """Say which queues these are."""
    names = ", ".join(sorted(queues.names))
    if queues.every:
        return "all"
    return f"all but {names}" if queues.but else names
