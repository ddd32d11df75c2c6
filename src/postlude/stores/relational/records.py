"""Rows of the journal as records for people, whatever stands in them."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from postlude.model.job import AttemptRecord, JobRecord, Progress
from postlude.model.outcome import LogLine
from postlude.model.state import Reason, Stored
from postlude.model.terms import Given
from postlude.stores.relational.cells import Cells
from postlude.stores.relational.columns import GIVEN, NAMES, SHOWN

Row = Sequence[Any]


class Others(NamedTuple):
    """What the statement `record` gives of other tables than `job`."""

    task: object
    args: object
    error: object
    token: object
    note: object
    done: Any
    total: Any
    message: object
    at: object


class StartsOf(Protocol):
    """What is known of when running jobs have started, and whether their runners live."""

    def lives(self, token: object) -> bool:
        """Say whether the runner is alive that a job's row names."""
        ...

    def start_of(self, seq: int, token: object, before: int | None) -> int | None:
        """Return when a job started that this runner runs; None: it has not yet.

        Args:
            seq: the job.
            token: names the runner.
            before: when the attempt had started whose end the journal knows.
        """
        ...


def record(
    row: Row, starts: StartsOf, attempts: Sequence[Row] = (), logs: Sequence[Row] = (), result: object = None
) -> JobRecord:
    """Read a row of the statement `record`, and what belongs to it of other tables."""
    own, beside = dict(zip(NAMES, row, strict=False)), Others._make(row[len(NAMES) :])
    cells = Cells()
    stored = cells.stored(own["state"])
    why = cells.reason(own["reason"])
    began = cells.maybe_whole("started", own["started"])
    if stored is Stored.RUNNING:
        began = starts.start_of(own["seq"], beside.token, began)
        why = why if starts.lives(beside.token) else Reason.INTERRUPTED
    elif stored is Stored.READY and own["suspect"]:
        why = Reason.INTERRUPTED
    shown = {column.name: column.read(cells, column.name, own[column.name]) for column in SHOWN}
    found = JobRecord(
        **shown,
        call_owner=shown["owner"],
        seq=own["seq"],
        stored=stored,
        reason=why,
        started=began,
        task=f"(unknown task {own['task']})" if beside.task is None else cells.text("task", beside.task),
        payload=b"" if beside.args is None else cells.raw("args", beside.args),
        error=cells.maybe_text("error", beside.error),
        given=Given(*(column.read(cells, column.name, own[column.name]) for column in GIVEN)),
        progress=_progress((beside.done, beside.total, beside.message, beside.at), cells),
        attempts=tuple(_attempt(attempt, cells) for attempt in attempts),
        result=None if result is None else cells.raw("result", result),
        logs=tuple(line for row in logs for line in _lines(row, cells)),
    )
    why_so = cells.maybe_text("note", beside.note) or cells.note
    return found if why_so is None else replace(found, note=why_so)


def _attempt(row: Row, cells: Cells) -> AttemptRecord:
    number, started, finished, error, traceback, host, pid, release = row
    return AttemptRecord(
        number=cells.whole("attempt", number),
        started=cells.whole("started", started),
        finished=cells.whole("finished", finished),
        error=cells.text("error", error),
        traceback=cells.text("traceback", traceback),
        host=cells.text("host", host),
        pid=cells.whole("pid", pid),
        release=cells.text("release", release),
    )


def _progress(row: Row, cells: Cells) -> Progress | None:
    done, total, message, at = row
    if at is None:
        return None
    numbers = [done] if total is None else [done, total]
    if type(at) is not int or not all(_is_finite(number) for number in numbers):
        cells.odd.append("its progress is no number")
        return None
    return Progress(done, total, cells.maybe_text("message", message), at)


def _is_finite(number: object) -> bool:
    return type(number) in (int, float) and math.isfinite(number)  # type: ignore[arg-type]


def _lines(row: Row, cells: Cells) -> list[tuple[int, LogLine]]:
    attempt, lines = row
    try:
        found = [LogLine(*line) for line in json.loads(lines)]
    except (ValueError, TypeError, RecursionError):
        cells.odd.append("log lines are no JSON")
        return []
    whole = [line for line in found if tuple(map(type, line)) == (int, int, str, str)]
    if len(whole) < len(found):
        cells.odd.append("log lines are of another form")
    return [(cells.whole("attempt", attempt), line) for line in whole]
