"""Audit: what people have done, newest first."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from postlude.dashboard.site import Visit
from postlude.dashboard.words import Moment
from postlude.stores.values import AuditLine

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class AuditRow:
    """What somebody has done."""

    number: int
    moment: Moment | None
    actor: str
    act: str
    meant: str
    done: int
    not_done: int


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What the page shows."""

    rows: tuple[AuditRow, ...]
    newest: str
    older: str


def rows_of_lines(visit: Visit, lines: list[AuditLine]) -> tuple[AuditRow, ...]:
    """Return lines as they stand in a list."""
    return tuple(
        AuditRow(one.number, visit.moment(one.at), one.actor, one.act, one.meant, one.done, one.not_done)
        for one in lines
    )


async def page(visit: Visit) -> Response:
    """Answer with the list."""
    asked = visit.asked("before")
    before = int(asked) if asked.isdecimal() and len(asked) < 19 else None
    store = visit.desk.store
    lines: list[AuditLine] = await visit.kept(("audit", before), lambda: store.audit(before, PAGE + 1))
    shown = AuditPage(
        rows=rows_of_lines(visit, lines[:PAGE]),
        newest="" if before is None else visit.url("audit"),
        older=visit.url("audit", before=lines[PAGE - 1].number) if len(lines) > PAGE else "",
    )
    return await visit.page("audit.html", "Audit", "audit", page=shown)
