"""One job: where it is and why, what it was called with, its attempts, what it returned."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from postlude.dashboard import charts
from postlude.dashboard.masking import MASK, Called, Masker, masker_of
from postlude.dashboard.pages.rows import word_of
from postlude.dashboard.pages.story import Event, events_of, explained, headline, line, ran
from postlude.dashboard.site import Visit
from postlude.dashboard.tracebacks import Part, parts_of
from postlude.dashboard.words import Moment, length, short_name
from postlude.jobs.inspector import AttemptStatus, JobStatus, LogStatus
from postlude.jobs.view import is_merged
from postlude.model.ids import id_bytes
from postlude.model.overrides import Opts, read_opts
from postlude.model.state import State
from postlude.stores.values import Pause

_STATES: Final = {
    "retry": (State.FAILED, State.CANCELLED),
    "cancel": (State.QUEUED, State.PARKED, State.RUNNING),
    "delete": (State.SUCCEEDED, State.FAILED, State.CANCELLED),
}
"""In which each act can do something."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of what is known."""

    name: str
    text: str = ""
    moment: Moment | None = None
    href: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that an attempt has logged."""

    level: str
    logger: str
    message: str
    moment: Moment


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt, with what is kept of it."""

    number: int
    kind: str
    """`failed`, `succeeded` or `running`."""
    error: str
    where: str
    took: str
    moment: Moment | None
    parts: tuple[Part, ...]
    raw: str
    logs: tuple[LogLine, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """An argument, or a result."""

    name: str
    value: Any
    masked: bool


@dataclass(frozen=True, slots=True)
class JobPage:
    """What the page shows."""

    id: str
    task: str
    name: str
    task_href: str
    state: str
    headline: str
    explained: str
    merged: str
    """Of a call that was merged by its key: the way to the job that stands for it."""
    acts: tuple[str, ...]
    edit: str
    facts: tuple[Fact, ...]
    events: tuple[Event, ...]
    line: tuple[charts.Bar, ...]
    attempts: tuple[Attempt, ...]
    arguments: tuple[Value, ...] | None
    """None: whoever looks does not see them."""
    readable: bool
    result: Value | None
    sees_result: bool
    progress: "Progress | None"
    copies: tuple[tuple[str, str], ...]
    stream: str
    """Where it is told live; empty: it has ended."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it says that it is."""

    text: str
    percent: float | None
    moment: Moment


async def page(visit: Visit) -> Response:
    """Answer with the job."""
    asked = visit.path.rpartition("/")[2]
    status = await visit.desk.inspector.get(asked)
    record = await visit.desk.store.get(id_bytes(status.id))
    opts = read_opts(None if record is None else record.given.opts)
    pauses: list[Pause] = await visit.kept("paused", visit.desk.store.paused)
    its = (("queue", status.queue), ("task", status.task))
    paused = next(
        (f"the {one.kind} {short_name(one.name)}" for one in pauses if (one.kind, one.name) in its), ""
    )
    shown = await _shown(visit, status, asked, opts, paused)
    return await visit.page("job.html", shown.name, "jobs", page=shown)


async def events(visit: Visit) -> Response:
    """Answer with a stream that says when the job has changed."""
    from postlude.web.events import EventStream

    asked = visit.path.split("/")[2]
    status = await visit.desk.inspector.get(asked)
    if status.ended:
        return Response(status_code=204)
    inspector = visit.desk.inspector
    return EventStream(
        visit.desk.hub.subscription(id_bytes(status.id)),
        inspector.read,
        lambda now: f'{{"state":"{now.state.value}","done":{"true" if now.ended else "false"}}}',
    )


async def _shown(visit: Visit, status: JobStatus, asked: str, opts: Opts, paused: str) -> JobPage:
    masker, parameters = masker_of(visit.desk.registry, status.task)
    called = Called(status.arguments, parameters, masker)
    name = short_name(status.task)
    acts = tuple(act for act, states in _STATES.items() if act in visit.access.act and status.state in states)
    merged = visit.url(f"jobs/{status.id}") if is_merged(status, asked) else ""
    attempts = tuple(_attempts(visit, status, masker))
    sees = visit.access.see
    result = None
    if status.state is State.SUCCEEDED and "results" in sees and status.result is not None:
        found = masker.value(status.result)
        result = Value("", found, found == MASK)
    edit = visit.url("jobs/again", id=status.id) if _may_edit(visit) and called.readable else ""
    return JobPage(
        id=status.id,
        task=status.task,
        name=name,
        task_href=visit.url("tasks/one", name=status.task),
        state=word_of(status),
        headline=masker.text(headline(visit, status, name, paused)),
        explained=masker.text(explained(status)),
        merged=merged,
        acts=acts,
        edit=edit,
        facts=tuple(_facts(visit, status, masker, opts)),
        events=tuple(events_of(visit, status, masker)),
        line=line(visit, status),
        attempts=attempts,
        arguments=(
            tuple(Value(name, value, value == MASK) for name, value in called.named)
            if "arguments" in sees
            else None
        ),
        readable=called.readable,
        result=result,
        sees_result="results" in sees,
        progress=_progress(visit, status, masker),
        copies=tuple(_copies(visit, status)),
        stream=""
        if status.ended or status.state is not State.RUNNING
        else visit.url(f"jobs/{status.id}/events"),
    )


def _may_edit(visit: Visit) -> bool:
    return "edit" in visit.access.act and "arguments" in visit.access.see


def _facts(visit: Visit, status: JobStatus, masker: Masker, opts: Opts) -> Iterator[Fact]:
    yield Fact("Task", status.task, href=visit.url("tasks/one", name=status.task))
    yield Fact("Queue", status.queue, href=visit.url("jobs", q=f'queue:"{status.queue}"'))
    for name, time in (
        ("Added", status.created),
        ("Due", status.due),
        ("Started", status.started),
        ("Ended", status.finished),
    ):
        if time is not None:
            yield Fact(name, moment=visit.moment(time))
    if opts.parent is not None:
        yield Fact("Changed copy of", opts.parent, href=visit.url(f"jobs/{quote(opts.parent, safe='')}"))
    if opts.schedule is not None:
        yield Fact("Schedule", opts.schedule, href=visit.url("schedules"))
    of = "" if status.max_attempts is None else f" of {status.max_attempts}"
    yield Fact("Attempt", f"{status.attempt}{of}")
    if status.priority:
        yield Fact("Priority", str(status.priority))
    if status.deaths:
        yield Fact("Deaths", f"{status.deaths} of its process; after 3 it fails")
    if status.key is not None:
        yield Fact("Key", masker.text(status.key), href=visit.url("jobs", q=f'key:"{_inner(status.key)}"'))
    if status.owner is not None:
        yield Fact(
            "Owner", masker.text(status.owner), href=visit.url("jobs", q=f'owner:"{_inner(status.owner)}"')
        )


def _inner(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _attempts(visit: Visit, status: JobStatus, masker: Masker) -> Iterator[Attempt]:
    """Give the attempts of which something is known, newest first."""
    told = {attempt.number for attempt in status.attempts}
    logged = {line.attempt for line in status.logs}
    last = status.attempt
    if last not in told and (last in logged or status.state in (State.RUNNING, State.SUCCEEDED)):
        kind = "running" if status.state is State.RUNNING else "succeeded"
        took = ran(status) if status.ended else ""
        moment = visit.moment(status.started)
        yield Attempt(last, kind, "", "", took, moment, (), "", _logs(visit, status, last, masker))
    for each in reversed(status.attempts):
        yield _attempt(visit, status, each, masker)


def _attempt(visit: Visit, status: JobStatus, one: AttemptStatus, masker: Masker) -> Attempt:
    text = masker.text(one.traceback)
    return Attempt(
        number=one.number,
        kind="failed",
        error=masker.text(one.error),
        where=_where(one),
        took=length(max(0.0, (one.finished - one.started).total_seconds())),
        moment=visit.moment(one.finished),
        parts=parts_of(text) if text.strip() else (),
        raw=text,
        logs=_logs(visit, status, one.number, masker),
    )


def _where(one: AttemptStatus) -> str:
    told = [f"{one.host}, process {one.pid}"] if one.host else []
    return ", ".join(told + ([f"release {one.release}"] if one.release else []))


def _logs(visit: Visit, status: JobStatus, attempt: int, masker: Masker) -> tuple[LogLine, ...]:
    if "logs" not in visit.access.see:
        return ()
    return tuple(_log(visit, line, masker) for line in status.logs if line.attempt == attempt)


def _log(visit: Visit, line: LogStatus, masker: Masker) -> LogLine:
    moment = visit.moment(line.at)
    assert moment is not None
    return LogLine(line.level, line.logger, masker.text(line.message.rstrip()), moment)


def _progress(visit: Visit, status: JobStatus, masker: Masker) -> Progress | None:
    said = status.progress
    if said is None:
        return None
    percent = None
    if said.total is not None and said.total > 0:
        percent = round(min(100.0, max(0.0, 100 * said.done / said.total)), 1)
    of = "" if said.total is None else f" of {said.total:g}"
    message = f" {masker.text(said.message)}" if said.message else ""
    moment = visit.moment(said.at)
    assert moment is not None
    return Progress(f"{said.done:g}{of}{message}", percent, moment)


def _copies(visit: Visit, status: JobStatus) -> Iterator[tuple[str, str]]:
    yield "Id", status.id
    yield "Command line", f"postlude show {status.id}"
