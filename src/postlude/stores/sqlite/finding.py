"""Which jobs are meant: a filter as the conditions of a statement."""

import json
from collections.abc import Callable
from typing import Any, Final

from postlude.model.job import JobFilter
from postlude.model.state import State, Stored

FEW: Final = 50_000
"""Jobs in the states that are asked for, up to which they are found by the states' own indexes."""

_INDEXED: Final = frozenset({Stored.RUNNING, Stored.FAILED, Stored.CANCELLED})
"""States that have an index each; of what is queued or parked there may be several, and unknown ones."""

_ERROR: Final = (
    "job.failures AND "
    "instr((SELECT error FROM attempt AS a WHERE a.job = job.seq ORDER BY n DESC LIMIT 1), ?)"
)

_FAILURE: Final = (
    "job.seq IN (SELECT f.seq FROM failure AS f WHERE f.kind = "
    "(SELECT id FROM failure_kind WHERE kind = ? AND place = ?))"
)
_NO_FAILURE: Final = "job.state = 9 AND NOT EXISTS (SELECT 1 FROM failure AS f WHERE f.seq = job.seq)"

_NAMES_OF_STATES: Final[dict[State, frozenset[Stored]]] = {
    state: frozenset(stored for stored in Stored if stored.public is state) for state in State
}


def conditions(wanted: JobFilter, jobs_in: Callable[[Stored], int]) -> tuple[str, list[Any]]:
    """Return what follows the tables of a statement about jobs: conditions, order and limit; and its values.

    Args:
        wanted: which jobs.
        jobs_in: says how many jobs are in a state.
    """
    parts: list[str] = []
    values: list[Any] = []
    indexed = _by_index(wanted.states, jobs_in)
    if wanted.failure is not None and any(wanted.failure):
        indexed = f"{_FAILURE} AND job.state = 9"
        values += map(_stored, wanted.failure)
    if indexed is not None:
        parts.append(indexed)
    if wanted.states and (indexed is None or wanted.failure is not None):
        parts.append(_in_states(wanted.states))
    if wanted.within is not None and indexed is None:
        parts.append("job.seq > (SELECT coalesce(max(seq), 0) FROM job) - ?")
        values.append(wanted.within)
    for condition, value in (
        ("job.task = (SELECT id FROM task_name WHERE name = ?)", wanted.task),
        ("job.queue = ?", wanted.queue),
        ("job.key = ?", wanted.key),
        ("job.owner = ?", wanted.owner),
        ("job.created >= ?", wanted.since),
        ("job.created < ?", wanted.until),
        ("job.state >= 8 AND job.finished < ?", wanted.ended_before),
        ("job.seq < ?", wanted.before),
        (_ERROR, wanted.error),
    ):
        if value is not None:
            parts.append(condition)
            values.append(_stored(value))
    if wanted.failure is not None and not any(wanted.failure):
        parts.append(_NO_FAILURE)
    for name, value in wanted.arguments:
        parts.append(
            "EXISTS (SELECT 1 FROM payload AS p WHERE p.seq = job.seq AND CASE "
            "WHEN json_valid(CAST(p.args AS TEXT)) THEN CAST(p.args AS TEXT) -> ? IN (?, ?) END)"
        )
        values += [f"$.k.{json.dumps(_stored(name))}", _stored(value), json.dumps(value, ensure_ascii=False)]
    where = f"WHERE {' AND '.join(parts)} " if parts else ""
    values.append(wanted.limit)
    if indexed is None:
        return f"{where}ORDER BY job.seq DESC LIMIT ?", values
    # `+`: not by the order of jobs, or all of them would be looked at for the few that an index knows. First
    # which, then what there is to tell of each: sorted with all of that, 20,000 take four times as long.
    which = f"SELECT job.seq FROM job {where}ORDER BY +job.seq DESC LIMIT ?"
    return f"WHERE job.seq IN ({which}) ORDER BY job.seq DESC", values


def _by_index(states: tuple[State, ...], jobs_in: Callable[[Stored], int]) -> str | None:
    stored = sorted(set().union(*(_NAMES_OF_STATES[state] for state in states)))
    if not stored or not _INDEXED.issuperset(stored) or sum(map(jobs_in, stored)) > FEW:
        return None
    seqs = " UNION ALL ".join(f"SELECT seq FROM job WHERE state = {state:d}" for state in stored)
    return f"job.seq IN ({seqs})"


def _in_states(states: tuple[State, ...]) -> str:
    hidden = [str(int(stored)) for stored in Stored if stored.public not in states]
    shown = [str(int(stored)) for stored in Stored if stored.public in states]
    if (
        State.PARKED in states
    ):  # with what is parked belongs what is in a state that this release does not know
        return f"job.state NOT IN ({', '.join(hidden)})"
    return f"job.state IN ({', '.join(shown)})"


def _stored(value: Any) -> Any:
    """Return a value as it could be stored: a text with half a character in it is nobody's name."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
