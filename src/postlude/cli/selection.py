"""What was typed as a filter: one grammar for looking and for acting."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from postlude.cli.exits import Usage
from postlude.cli.naming import full_name, whole_id
from postlude.errors import JobNotFound
from postlude.messages.quoting import cut, quoted
from postlude.model.job import Found, JobFilter
from postlude.model.state import State
from postlude.stores.protocol import Looking

_AGO: Final = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def filter_of(
    states: Sequence[State] | None,
    task: str | None,
    queue: str | None,
    key: str | None,
    owner: str | None,
    arguments: Sequence[str] | None,
    error: str | None,
    since: str | None,
    until: str | None,
    now: datetime,
) -> JobFilter:
    """Return which jobs are meant by what was typed; `task` as it was typed.

    Raises:
        Usage: an argument is no `name=value`, or a time is none.
    """
    return JobFilter(
        states=tuple(states or ()),
        task=task,
        queue=queue,
        key=key,
        owner=owner,
        error=error,
        arguments=tuple(_argument(text) for text in arguments or ()),
        since=None if since is None else moment("--since", since, now),
        until=None if until is None else moment("--until", until, now),
    )


def with_task(wanted: JobFilter, tasks: Sequence[str]) -> JobFilter:
    """Return a filter with its task's whole name, if it was typed as its function's alone.

    Raises:
        Unclear: several of these tasks are called so.
    """
    return wanted if wanted.task is None else replace(wanted, task=full_name(wanted.task, tasks))


def moment(option: str, text: str, now: datetime) -> int:
    """Return the time that was typed (microseconds, UTC): so long ago, or a date.

    Raises:
        Usage: it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            time = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            time = datetime.fromisoformat(text.strip())
            time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        return (time - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise Usage(f"{option} {quoted(text)}: give 30m, 2h, 7d, or a date, 2026-11-29T08:00") from None


def by_ids(journal: Looking, typed: Sequence[str]) -> list[Found]:
    """Return the jobs that are meant by their ids, or how these begin; each once.

    Raises:
        JobNotFound: one is not there.
        Unclear: those of several jobs begin so.
    """
    found: dict[int, Found] = {}
    for text in typed:
        id = whole_id(text, lambda digits: journal.ids_beginning(digits).wait())
        record = journal.get(id).wait()
        if record is None:
            raise JobNotFound(f"no job has the id {cut(text)}; it may have been pruned")
        found[record.seq] = Found(record.seq, record.id, record.task, record.state)
    return list(found.values())


def _argument(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Usage(f"--arg {quoted(text)}: give name=value")
    return name.strip(), value
