"""What was typed as a filter: one grammar for looking and for acting."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, get_type_hints

from postlude.cli.exits import Usage
from postlude.cli.options import (
    ArgOption,
    ErrorOption,
    KeyOption,
    OwnerOption,
    QueueOption,
    SinceOption,
    StateOption,
    TaskOption,
    UntilOption,
)
from postlude.errors import JobNotFound
from postlude.jobs.naming import full_name, whole_id
from postlude.jobs.selection import moment
from postlude.messages.quoting import cut, quoted
from postlude.model.job import Found, JobFilter
from postlude.stores.protocol import Looking


@dataclass(frozen=True)
class Selection:
    """Which jobs are meant, as it was typed: the options of `jobs`, and of all commands that act on jobs."""

    state: StateOption = None
    task: TaskOption = None
    queue: QueueOption = None
    key: KeyOption = None
    owner: OwnerOption = None
    arg: ArgOption = None
    error: ErrorOption = None
    since: SinceOption = None
    until: UntilOption = None

    def words(self) -> list[str]:
        """Return it as it was typed."""
        return [
            f"--{field.name} {value}"
            for field in fields(self)
            for typed in [getattr(self, field.name)]
            for value in (typed if isinstance(typed, list) else [typed])
            if value is not None
        ]

    def filter(self, now: datetime) -> JobFilter:
        """Return it as the journal takes it; `task` as it was typed.

        Raises:
            Usage: an argument is no `name=value`, or a time is none.
        """
        return JobFilter(
            states=tuple(self.state or ()),
            task=self.task,
            queue=self.queue,
            key=self.key,
            owner=self.owner,
            error=self.error,
            arguments=tuple(_argument(text) for text in self.arg or ()),
            since=_moment("--since", self.since, now),
            until=_moment("--until", self.until, now),
        )


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Selection` in the place of its parameter `selection`.

    Typer reads options from a signature, and has no groups of them.
    """
    names = [field.name for field in fields(Selection)]
    hints = get_type_hints(Selection, include_extras=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[name])
        for name in names
    ]
    signature = inspect.signature(command, eval_str=True)
    parameters = [
        one
        for parameter in signature.parameters.values()
        for one in (
            options
            if parameter.name == "selection"
            else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
        )
    ]

    def selects(**typed: Any) -> None:
        command(selection=Selection(**{name: typed.pop(name) for name in names}), **typed)

    selects.__name__, selects.__doc__ = command.__name__, command.__doc__
    selects.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    selects.__annotations__ = {one.name: one.annotation for one in parameters}
    return selects


def with_task(wanted: JobFilter, tasks: Sequence[str]) -> JobFilter:
    """Return a filter with its task's whole name, if it was typed as its function's alone.

    Raises:
        Unclear: several of these tasks are called so.
    """
    return wanted if wanted.task is None else replace(wanted, task=full_name(wanted.task, tasks))


def by_ids(journal: Looking, typed: Sequence[str]) -> list[Found]:
    """Return the jobs that are meant by their ids, or how these begin or end; each once.

    Raises:
        JobNotFound: one is not there.
        Unclear: those of several jobs begin so.
    """
    found: dict[int, Found] = {}
    for text in typed:
        id = whole_id(text, journal)
        record = journal.get(id).wait()
        if record is None:
            raise JobNotFound(f"no job has the id {cut(text)}; it may have been pruned")
        found[record.seq] = Found(record.seq, record.id, record.task, record.state)
    return list(found.values())


def _moment(option: str, text: str | None, now: datetime) -> int | None:
    return None if text is None else moment_of(option, text, now)


def moment_of(option: str, text: str, now: datetime) -> int:
    """Return the time that was typed as an option (microseconds, UTC).

    Raises:
        Usage: it is none.
    """
    try:
        return moment(text, now)
    except ValueError as error:
        raise Usage(f"{option} {error}") from None


def _argument(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Usage(f"--arg {quoted(text)}: give name=value")
    return name.strip(), value
