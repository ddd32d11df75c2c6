"""Watching: how far an operation is, and stopping it."""

from dataclasses import dataclass
from typing import cast

from starlette.responses import Response

from postlude.dashboard.access import Right
from postlude.dashboard.actions.form import back, need, read_form
from postlude.dashboard.site import Visit
from postlude.dashboard.words import counted


async def stop(visit: Visit) -> Response:
    """Leave the rest of an operation alone."""
    form = await read_form(visit)
    operation = visit.operations.get(form.one("id"))
    if operation is not None:
        need(visit, cast(Right, operation.plan.act.verb))
        operation.stopped = True
    return back(visit, form, otherwise=f"operation?id={form.one('id')}")


@dataclass(frozen=True, slots=True)
class OperationPage:
    """What the page of an operation shows."""

    id: str
    verb: str
    words: str
    user: str
    jobs: int
    handled: int
    done: tuple[tuple[str, int], ...]
    not_done: tuple[tuple[str, int], ...]
    ended: bool
    stopped: bool
    error: str
    may_stop: bool


async def page(visit: Visit) -> Response:
    """Answer with how far an operation is."""
    one = visit.operations.get(visit.asked("id"))
    if one is None:
        return await visit.page("missing.html", "Not known here", "", status=404, what="operation")
    verb = one.plan.act.verb
    shown = OperationPage(
        id=one.id,
        verb=verb,
        words=one.words or "all jobs",
        user=one.user,
        jobs=len(one.plan.jobs),
        handled=one.handled,
        done=tuple(one.acted.done.items()),
        not_done=tuple(one.acted.not_done.items()),
        ended=one.ended,
        stopped=one.stopped,
        error=one.error,
        may_stop=verb in visit.access.act,
    )
    answer = await visit.page(
        "operation.html", f"{verb.capitalize()} {counted(shown.jobs)}", "jobs", page=shown
    )
    answer.headers["ETag"] = f'W/"{one.id}.{one.handled}.{one.ended}.{one.stopped}"'
    if not one.ended:
        answer.headers["Refresh"] = "2"  # for those without scripts
    return answer
