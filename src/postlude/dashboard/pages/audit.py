"""Audit: what people have done, newest first."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from postlude.dashboard.site import Visit
from postlude.dashboard.words import Moment
from postlude.stores.values import AuditLine

PAGE: Final = 50

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    href: str
    """The way to the job, if it was one."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What the page shows."""

    rows: tuple[AuditRow, ...]
    newest: str
    older: str


def rows_of_lines(visit: Visit, lines: list[AuditLine]) -> tuple[AuditRow, ...]:
    """Return lines as they stand in a list."""
    return tuple(_row(visit, one) for one in lines)


def _row(visit: Visit, one: AuditLine) -> AuditRow:
    href = visit.url(f"jobs/{one.meant}") if _ID.fullmatch(one.meant) else ""
    at = visit.moment(one.at)
    return AuditRow(one.number, at, one.actor, one.act, one.meant, one.done, one.not_done, href)


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
