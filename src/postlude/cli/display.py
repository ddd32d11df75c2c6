"""Jobs as tables and lines for people, and as JSON for programs."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from postlude.cli.text import escaped, exactly, when
from postlude.jobs.inspector import AttemptStatus, JobProgress, JobStatus
from postlude.model.crash import MAX_DEATHS
from postlude.model.state import State
from postlude.stores.protocol import Counts

_WIDTH_OF_A_PIPE = 240
"""A pipe has no width; ids and names must not be cut for it."""

_ERROR_LEAST = 24
"""Characters of an error that are worth a column; `show` has the rest."""

_MATTERS = ("id", "state", "task", "error", "created", "finished", "queue", "attempt")
"""The columns of a table, the most important first."""

_ALWAYS = frozenset(_MATTERS[:3])
"""Those that are there also where there is too little room."""

_STYLES = {"running": "cyan", "succeeded": "green", "failed": "red", "parked": "yellow", "cancelled": "dim"}


def console() -> Console:
    """Return standard output; without colours, markup or guessed highlights where it is no terminal."""
    out = Console(markup=False, highlight=False, emoji=False)
    if not out.is_terminal:
        out.width = max(out.width, _WIDTH_OF_A_PIPE)
    return out


def print_json(value: Any) -> None:
    """Print JSON in ASCII, so that no terminal acts on what it holds."""
    print(json.dumps(value, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f"))


def print_jobs(
    out: Console, jobs: Sequence[JobStatus], totals: Sequence[Counts] = (), *, more: bool = False
) -> None:
    """Print a page of jobs as a table, and how many there are in all; `more`: there are others like these."""
    if jobs:
        _print_table(out, jobs)
    else:
        out.print("No jobs.")
    if more:
        out.print(f"These are the newest {len(jobs)}; --limit shows more.")
    tally = Counter[State]()
    for count in totals:
        tally[count.state] += count.jobs
    told = [f"{tally[state]:,} {state}" for state in State if tally[state]]
    if told:
        out.print(f"In all: {', '.join(told)}.", soft_wrap=True)


def _print_table(out: Console, jobs: Sequence[JobStatus]) -> None:
    table, left = _table(out, jobs)
    out.print(table)
    if left:
        out.print(f"Too narrow for {', '.join(left)}; --json has all.", style="dim", soft_wrap=True)


def jobs_table(out: Console, jobs: Sequence[JobStatus]) -> Table:
    """Return jobs as a table, with the columns that there is room for."""
    return _table(out, jobs)[0]


def _table(out: Console, jobs: Sequence[JobStatus]) -> tuple[Table, list[str]]:
    """Return a table with what there is room for, and what not; a broken line is harder to read than none."""
    columns = {name: [cell(job) for job in jobs] for name, cell in _COLUMNS.items()}
    if not any(cell.plain for cell in columns["error"]):
        del columns["error"]
    shown, room = _fitting(columns, out.width)
    table = Table(box=None, pad_edge=False)
    for name in shown:
        if name == "error":
            table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=_ERROR_LEAST + room)
        else:
            table.add_column(name, no_wrap=name != "task", overflow="fold")
    for row in zip(*(columns[name] for name in shown), strict=True):
        table.add_row(*row)
    return table, [name for name in columns if name not in shown]


def _fitting(columns: Mapping[str, Sequence[Text]], room: int) -> tuple[list[str], int]:
    """Return the columns that a line has room for, in their order, and the room that is left."""
    shown: set[str] = set()
    for name in _MATTERS:
        if name not in columns:
            continue
        width = max(len(name), *(cell.cell_len for cell in columns[name]))
        if name == "error":
            width = min(width, _ERROR_LEAST)
        if name in _ALWAYS or width <= room:
            shown.add(name)
            room -= width + len("  ")
    return [name for name in columns if name in shown], max(0, room)


def print_job(out: Console, job: JobStatus) -> None:
    """Print everything about one job."""
    for name, value in _facts(job):
        out.print(Text.assemble((f"{name:<10}", "bold"), value), soft_wrap=True)
    for attempt in job.attempts:
        _print_attempt(out, attempt)
        _print_log(out, job, attempt.number)
    told = {attempt.number for attempt in job.attempts}
    for number in sorted({line.attempt for line in job.logs} - told):
        out.print()
        out.print(Text(f"attempt {number}:", "bold"))
        _print_log(out, job, number)


def _facts(job: JobStatus) -> Iterator[tuple[str, str | Text]]:
    yield "id", job.id
    yield "task", escaped(job.task)
    yield "queue", escaped(job.queue)
    if job.key is not None:
        yield "key", escaped(job.key)
    if job.owner is not None:
        yield "owner", escaped(job.owner)
    yield "state", _state(job)
    if job.note is not None:
        yield "because", escaped(job.note)
    yield "attempt", str(job.attempt)
    if job.deaths:
        yield "deaths", _deaths(job)
    for name, time in (
        ("created", job.created),
        ("due", job.due),
        ("started", job.started),
        ("finished", job.finished),
    ):
        if time is not None:
            yield name, exactly(time)
    if job.progress is not None:
        yield "progress", _progress(job.progress)
    if job.error is not None:
        yield "error", escaped(job.error)
    yield "arguments", _arguments(job)
    if job.result is not None:
        yield "result", _value(job.result)


def _deaths(job: JobStatus) -> str:
    bound = "" if job.ended else f"; after {MAX_DEATHS} it fails"
    return f"{job.deaths} that no other job could be the cause of{bound}"


def _progress(progress: JobProgress) -> str:
    done = f"{progress.done:g}" if progress.total is None else f"{progress.done:g} of {progress.total:g}"
    message = f" {escaped(progress.message)}" if progress.message else ""
    return f"{done}{message} ({exactly(progress.at)})"


def _arguments(job: JobStatus) -> str:
    if job.arguments is None:
        return "(not readable)"
    shown = [_value(value) for value in job.arguments.positional]
    shown += [f"{escaped(name)}={_value(value)}" for name, value in job.arguments.named.items()]
    return ", ".join(shown) or "(none)"


def _value(value: Any) -> str:
    return escaped(json.dumps(value, ensure_ascii=False))


def _state(job: JobStatus) -> Text:
    details = [
        *(["scheduled"] if job.scheduled else []),
        *(["retrying"] if job.retrying else []),
        *(["asked to stop"] if job.cancel_asked else []),
        *([job.reason.value] if job.reason is not None else []),
    ]
    shown = f"{job.state.value} ({', '.join(details)})" if details else job.state.value
    return Text(shown, _STYLES.get(job.state.value, ""))


def _print_attempt(out: Console, attempt: AttemptStatus) -> None:
    time = f"{exactly(attempt.started)} to {exactly(attempt.finished)}"
    where = f"{escaped(attempt.host)}, process {attempt.pid}"
    if attempt.release:
        where += f", release {escaped(attempt.release)}"
    out.print()
    out.print(Text(f"attempt {attempt.number}: {time}, {where}", "bold"), soft_wrap=True)
    trace = attempt.traceback.rstrip() or attempt.error
    out.print(Text(escaped(trace, keep="\n\t")), soft_wrap=True)


def _print_log(out: Console, job: JobStatus, attempt: int) -> None:
    for line in job.logs:
        if line.attempt == attempt:
            start = f"  {exactly(line.at)} {escaped(line.level):<8} {escaped(line.logger)}: "
            message = escaped(line.message.rstrip(), keep="\n\t").replace("\n", "\n    ")
            out.print(Text(start + message), soft_wrap=True)


_COLUMNS: dict[str, Callable[[JobStatus], Text]] = {
    "id": lambda job: Text(job.id),
    "state": lambda job: _state(job),
    "task": lambda job: Text(escaped(job.task)),
    "queue": lambda job: Text(escaped(job.queue)),
    "attempt": lambda job: Text(str(job.attempt)),
    "created": lambda job: Text(when(job.created)),
    "finished": lambda job: Text(when(job.finished)),
    "error": lambda job: Text(escaped(job.note or job.error or "")),
}
"""How a job is shown in each column of a table, from left to right."""
