"""Which jobs are meant: a filter as the conditions of a statement."""

import json
from typing import Any, Final

from postlude.model.job import JobFilter
from postlude.model.state import State, Stored

_ERROR: Final = (
    "job.failures > 0 AND "
    "strpos((SELECT error FROM {s}.attempt AS a WHERE a.job = job.seq ORDER BY n DESC LIMIT 1), {}) > 0"
)
# `+ 0`: by the few failures of the kind, and not by the index of all.
_FAILURE: Final = (
    "job.state + 0 = 9 AND job.seq IN (SELECT f.seq FROM {s}.failure AS f WHERE f.kind = "
    "(SELECT id FROM {s}.failure_kind WHERE kind = {} AND place = {}))"
)
_NO_FAILURE: Final = "job.state = 9 AND NOT EXISTS (SELECT 1 FROM {s}.failure AS f WHERE f.seq = job.seq)"
_ARGUMENT: Final = (
    "EXISTS (SELECT 1 FROM {s}.payload AS p WHERE p.seq = job.seq AND "
    "{s}.named_argument(p.args, {}) IN ({}, {}))"
)


def conditions(wanted: JobFilter, schema: str) -> tuple[str, list[Any]]:
    """Return what follows the tables of a statement about jobs, with its order and limit, and its values."""
    parts: list[str] = []
    values: list[Any] = []

    def place(value: Any, kind: str) -> str:
        values.append(_stored(value))
        return f"${len(values)}::{kind}"

    by_failure = wanted.failure is not None and any(wanted.failure)
    if by_failure and wanted.states and State.FAILED not in wanted.states:
        parts.append("false")
    elif wanted.states and not by_failure:
        shown = ", ".join(str(int(one)) for one in Stored if one.public in wanted.states)
        hidden = ", ".join(str(int(one)) for one in Stored if one.public not in wanted.states)
        parked = State.PARKED in wanted.states  # with it belongs what is in a state that is unknown here
        parts.append(f"job.state NOT IN ({hidden})" if parked and hidden else f"job.state IN ({shown})")
    if wanted.within is not None:
        newest = f"(SELECT coalesce(max(seq), 0) FROM {schema}.job)"
        parts.append(f"job.seq > {newest} - {place(wanted.within, 'bigint')}")
    for condition, value, kind in (
        ("job.task = (SELECT id FROM {s}.task_name WHERE name = {})", wanted.task, "text"),
        ("job.queue = {}", wanted.queue, "text"),
        ("job.key = {}", wanted.key, "text"),
        ("job.owner = {}", wanted.owner, "text"),
        ("job.created >= {}", wanted.since, "bigint"),
        ("job.created < {}", wanted.until, "bigint"),
        ("job.state >= 8 AND job.finished < {}", wanted.ended_before, "bigint"),
        ("job.seq < {}", wanted.before, "bigint"),
        (_ERROR, wanted.error, "text"),
    ):
        if value is not None:
            parts.append(condition.format(place(value, kind), s=schema))
    if wanted.failure is not None:
        known = [place(each, "text") for each in wanted.failure] if any(wanted.failure) else []
        parts.append((_FAILURE if known else _NO_FAILURE).format(*known, s=schema))
    for name, value in wanted.arguments:
        written = json.dumps(value, ensure_ascii=False)
        parts.append(
            _ARGUMENT.format(place(name, "text"), place(value, "text"), place(written, "text"), s=schema)
        )
    where = f"WHERE {' AND '.join(parts)} " if parts else ""
    which = f"{where}ORDER BY job.seq DESC LIMIT {place(wanted.limit, 'bigint')}"
    if by_failure:  # first which: all that is told of each costs more than finding them
        which = f"SELECT job.seq FROM {schema}.job AS job {which}"
        which = f"WHERE job.seq = ANY(ARRAY({which})) ORDER BY job.seq DESC"
    return which, values


def _stored(value: Any) -> Any:
    """Return a value as it could be stored: a text with half a character, or none, in it is nobody's name."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
