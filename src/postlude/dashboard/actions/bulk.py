"""Bulk: retry, cancel and delete; first what would be done, then, if that is confirmed, exactly that."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast

from starlette.responses import RedirectResponse, Response

from postlude.dashboard.access import Right
from postlude.dashboard.actions.form import BadForm, Form, back, by, form_in_address, need, read_form
from postlude.dashboard.actions.operations import Operation
from postlude.dashboard.pages.rows import JobRow, rows_of
from postlude.dashboard.site import Visit
from postlude.dashboard.words import counted, date_of
from postlude.errors import JobNotFound
from postlude.jobs.bulk import MOST, PIECE, Act
from postlude.jobs.deeds import Answered
from postlude.jobs.plan import Plan
from postlude.jobs.selection import BadSelection, parse
from postlude.model.ids import id_bytes, id_text
from postlude.model.job import Found, JobFilter, JobRecord
from postlude.model.state import Reason, State
from postlude.stores.protocol import Counts

SAMPLES: Final = 5

TYPED: Final = 100
"""Jobs from which on their number has to be typed before they are deleted."""

MOST_IDS: Final = 500
"""Jobs that can be selected one by one."""

_ACTS: Final = ("retry", "cancel", "delete")


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done."""

    verb: str
    words: str
    """Which jobs, in words."""
    jobs: int
    states: tuple[tuple[str, int], ...]
    skipped: tuple[tuple[str, int], ...]
    samples: tuple[JobRow, ...]
    warning: str
    typed: bool
    """Their number has to be typed."""
    wrong: str
    hidden: tuple[tuple[str, str], ...]
    """What says exactly which jobs these are."""
    back: str


async def act(visit: Visit) -> Response:
    """Do something to one job; of several, show what would be done."""
    return await _act(visit, await read_form(visit), at_once=True)


async def shown(visit: Visit) -> Response:
    """Show what would be done, by an address: the browser's way back leads here again, and sends nothing."""
    return await _act(visit, form_in_address(visit), at_once=False)


async def _act(visit: Visit, form: Form, *, at_once: bool) -> Response:
    verb, everything = form.one("act"), False
    if form.one("act_all"):
        verb, everything = form.one("act_all"), True
    done = _act_of(visit, verb)
    if everything:
        return await _preview_of_filter(visit, form, done)
    found = await _by_ids(visit, form.all("id"))
    plan = Plan.of(done, found)
    words = " ".join(id_text(one.id) for one in found)
    if at_once and len(found) == 1 and verb != "delete":
        return await _carry_out(visit, form, plan, words)
    hidden = [("act", verb), ("jobs", str(len(plan.jobs))), *(("id", id_text(one.id)) for one in plan.jobs)]
    shown = await _preview(visit, form, plan, counted(len(found)) + " that were selected", hidden)
    return await visit.page("preview.html", _heading(plan), "jobs", live=False, page=shown)


async def confirm(visit: Visit) -> Response:
    """Do what was shown, to no other job and to no more of them."""
    form = await read_form(visit)
    done = _act_of(visit, form.one("act"))
    if form.all("id"):
        try:
            found = await _by_ids(visit, form.all("id"))
        except JobNotFound:  # somebody else has deleted them meanwhile
            return back(visit, Form({"back": [visit.url("jobs")]}), f"{done.verb}.0.0")
        plan = Plan.of(done, found)
        words = form.one("q") if form.one("at") else " ".join(id_text(one.id) for one in found)
    else:
        words = form.one("q")
        wanted = await _wanted(visit, words, done, date_of(form.number("at")))
        plan = Plan.of(done, await _frozen(visit, wanted, form, done))
    if (
        done.verb == "delete"
        and len(plan.jobs) >= TYPED
        and form.one("typed").replace(",", "").strip() != str(form.number("jobs"))
    ):
        shown = await _preview(visit, form, plan, words or "all jobs", _hidden(form))
        shown = replace(
            shown, jobs=form.number("jobs"), wrong=f"Type {form.number('jobs'):,} to delete so many."
        )
        return await visit.page("preview.html", _heading(plan), "jobs", status=422, page=shown)
    return await _carry_out(visit, form, plan, words)


def _act_of(visit: Visit, verb: str) -> Act:
    if verb not in _ACTS:
        raise BadForm("the form says not what to do; load the page anew")
    need(visit, cast(Right, verb))
    return visit.desk.control.act(verb)


async def _by_ids(visit: Visit, ids: list[str]) -> list[Found]:
    if not ids:
        raise BadForm("no job is selected: tick some in the list first")
    if len(ids) > MOST_IDS:
        raise BadForm(f"select {MOST_IDS} jobs at most, or all that a filter means")
    found: dict[int, Found] = {}
    for text in ids:
        try:
            record = await visit.desk.store.get(id_bytes(text))
        except ValueError:
            raise BadForm("a selected job has no id; load the page anew") from None
        if record is not None:
            found[record.seq] = Found(record.seq, record.id, record.task, record.state)
    if not found:
        raise JobNotFound("none of these jobs is there any more")
    return list(found.values())


async def _wanted(visit: Visit, words: str, done: Act, now: datetime) -> JobFilter:
    """Return the filter that was shown, for jobs in the states that an act is for.

    Args:
        visit: the request.
        words: the filter.
        done: the act.
        now: when it was shown: what `since:2h` means does not move on.

    Raises:
        BadForm: it is no filter of jobs.
    """
    counts: list[Counts] = await visit.desk.store.counts()
    try:
        selection = parse(words).resolved(sorted({count.task for count in counts}))
        wanted = selection.filter(now)
    except BadSelection as error:
        raise BadForm(str(error)) from None
    if selection.id is not None:
        raise BadForm("a filter by id is not for all that match: tick the jobs instead")
    if selection.failure is not None:
        kind = "" if selection.failure == "-" else selection.failure
        wanted = replace(wanted, states=(State.FAILED,), failure=(kind, selection.raised or ""))
    if not wanted.states:  # who says nothing of states means those that the act is for
        wanted = replace(wanted, states=tuple(sorted(done.states)))
    return replace(wanted, limit=MOST)


async def _frozen(visit: Visit, wanted: JobFilter, form: Form, done: Act) -> list[Found]:
    """Return the jobs that were meant when they were shown, and are still.

    None that has come since, none that has ended since, and no more of them than were shown.
    """
    wanted = replace(wanted, before=form.number("upto") + 1)
    if State.QUEUED not in done.states:
        wanted = replace(wanted, ended_before=form.number("at") + 1)
    found = await visit.desk.store.find(wanted)
    jobs = [one for one in found if one.state in done.states]
    return jobs[: form.number("jobs")]


async def _preview_of_filter(visit: Visit, form: Form, done: Act) -> Response:
    words = form.one("q")
    now = visit.desk.store.now()
    wanted = await _wanted(visit, words, done, date_of(now))
    plan = Plan.of(done, await visit.desk.store.find(wanted))
    hidden = [("act", done.verb), ("q", words), ("at", str(now)), ("jobs", str(len(plan.jobs)))]
    if len(plan.jobs) <= MOST_IDS:  # exactly these
        hidden += [("id", id_text(one.id)) for one in plan.jobs]
    else:
        hidden.append(("upto", str(plan.jobs[0].seq)))
    shown = await _preview(visit, form, plan, words or "all jobs", hidden)
    return await visit.page("preview.html", _heading(plan), "jobs", live=False, page=shown)


def _heading(plan: Plan) -> str:
    return f"{plan.act.verb.capitalize()} {counted(len(plan.jobs))}?"


def _hidden(form: Form) -> list[tuple[str, str]]:
    return [(name, value) for name in ("act", "q", "at", "jobs", "upto", "id") for value in form.all(name)]


async def _preview(
    visit: Visit, form: Form, plan: Plan, words: str, hidden: list[tuple[str, str]]
) -> Preview:
    samples: list[JobRecord] = []
    for one in plan.jobs[:SAMPLES]:
        record = await visit.desk.store.get(one.id)
        if record is not None:
            samples.append(record)
    states: dict[str, int] = {}
    for one in plan.jobs:
        states[one.state.value] = states.get(one.state.value, 0) + 1
    return Preview(
        verb=plan.act.verb,
        words=words,
        jobs=len(plan.jobs),
        states=tuple(states.items()),
        skipped=tuple((state.value, many) for state, many in plan.skipped.items()),
        samples=rows_of(visit, samples),
        warning=_warning(plan.act.verb, samples),
        typed=plan.act.verb == "delete" and len(plan.jobs) >= TYPED,
        wrong="",
        hidden=tuple(hidden),
        back=form.one("back"),
    )


def _warning(verb: str, samples: list[JobRecord]) -> str:
    if verb == "retry" and any(one.reason is Reason.MAY_HAVE_RUN for one in samples):
        return "Some of them may have run: to retry those is to run them perhaps a second time."
    if verb == "delete":
        return "What is known of them is gone then: arguments, attempts, results."
    if verb == "cancel" and any(one.state is State.RUNNING for one in samples):
        return "Those that run are asked to stop, and are cancelled when they have."
    return ""


async def _carry_out(visit: Visit, form: Form, plan: Plan, words: str) -> Response:
    verb = plan.act.verb
    doing = Operation(plan, visit.access.user, words)
    store = Answered(visit.desk.store, by(visit, verb, words or "--all"))
    task = visit.operations.start(doing, store)
    if len(plan.jobs) > PIECE:
        return RedirectResponse(visit.url("operation", id=doing.id), 303)
    await task
    visit.pulse.forget()
    if doing.error:
        return await visit.page("refused.html", "Not done", "jobs", status=503, why=doing.error)
    gone = verb == "delete" and f"/jobs/{words}" in form.one("back")
    return back(visit, Form({"back": [visit.url("jobs")]}) if gone else form, doing.code, "jobs")
