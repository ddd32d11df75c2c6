"""Acting on all jobs that a filter means: in pieces, and what became of each is counted."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypedDict

from postlude.errors import JobNotFound, KeyTaken, PostludeError
from postlude.messages.quoting import cut, quoted
from postlude.model.job import Cancel, JobFilter
from postlude.model.state import State
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.names import called, no_task
from postlude.tasks.task import Task

PIECE: Final = 500
"""Jobs that are asked for at once: so many rows stay locked for a moment only."""

MOST: Final = 10_000_000
"""Jobs that one call means at most; a journal holds a tenth of them, unless its application keeps more."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Which(TypedDict, total=False):
    """Which jobs are meant: those to which all of it applies. The command line has the same filter."""

    state: State | Collection[State]
    """In this state, or one of these; without it, in those that the act can do something with."""
    task: Task[..., Any] | str
    """Of this task: itself, its name, or its function's name alone."""
    queue: str
    key: str
    owner: str
    arguments: Mapping[str, Any]
    """Called with these, by name; other arguments do not matter."""
    error: str
    """Whose last error has this text in it."""
    since: datetime
    """Created then or later; with a timezone."""
    until: datetime
    """Created before that; with a timezone."""
    limit: int
    """So many at most, the newest."""
    everything: bool
    """All jobs are meant: said instead of a filter."""


@dataclass
class Acted:
    """What became of the jobs that were meant: in words, how many. The numbers are the journal's answers.

    Attributes:
        done: "cancelled", "asked to stop", "retried", "deleted".
        not_done: why not.
    """

    done: Counter[str] = field(default_factory=Counter)
    not_done: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many were asked for."""
        return self.done.total() + self.not_done.total()


class Asked(Protocol):
    """The verbs of a store that acts ask."""

    def cancel(self, ids: Sequence[bytes]) -> Reply[list[Cancel]]: ...

    def retry(self, ids: Sequence[bytes]) -> Reply[list[bool]]: ...

    def delete(self, ids: Sequence[bytes]) -> Reply[list[bool]]: ...


class Act(Protocol):
    """One way of acting.

    Attributes:
        verb: what it does, as it is typed.
        states: the jobs that it can do something with.
    """

    verb: str
    states: frozenset[State]

    def __call__(self, store: Asked, ids: Sequence[bytes], acted: Acted) -> None:
        """Act on some jobs, and count what becomes of each. In a thread."""
        ...


class Cancelling:
    """Cancels jobs that wait, and asks those that run to stop.

    Args:
        told: called with each id and its answer.
    """

    verb = "cancel"
    states = frozenset({State.QUEUED, State.PARKED, State.RUNNING})

    def __init__(self, told: Callable[[bytes, Cancel], None] | None = None) -> None:
        self._told = told

    def __call__(self, store: Asked, ids: Sequence[bytes], acted: Acted) -> None:
        for id, outcome in zip(ids, store.cancel(ids).wait(), strict=True):
            match outcome:
                case Cancel.CANCELLED:
                    acted.done["cancelled"] += 1
                case Cancel.ASKED:
                    acted.done["asked to stop"] += 1
                case Cancel.TOO_LATE:
                    acted.not_done["had ended"] += 1
            if self._told is not None:
                self._told(id, outcome)


class Retrying:
    """Runs jobs again that have failed or were cancelled.

    Args:
        told: called with the id of each that is.
    """

    verb = "retry"
    states = frozenset({State.FAILED, State.CANCELLED})

    def __init__(self, told: Callable[[bytes], None] | None = None) -> None:
        self._told = told

    def __call__(self, store: Asked, ids: Sequence[bytes], acted: Acted) -> None:
        try:
            answers = store.retry(ids).wait()
        except KeyTaken:  # nothing of these is changed: one of them stands in the way of the others
            if len(ids) == 1:
                acted.not_done["another job has the key"] += 1
                return
            for id in ids:
                self(store, [id], acted)
            return
        _count(answers, "retried", "had been retried, or was not there", acted)
        for id, done in zip(ids, answers, strict=True):
            if done and self._told is not None:
                self._told(id)


class Deleting:
    """Removes jobs that have ended."""

    verb = "delete"
    states = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

    def __call__(self, store: Asked, ids: Sequence[bytes], acted: Acted) -> None:
        _count(store.delete(ids).wait(), "deleted", "had been retried, or was not there", acted)


class Pruning(Deleting):
    """Removes jobs that are kept no longer."""

    verb = "prune"


def act_on_all(store: Store, act: Act, which: Which) -> Acted:
    """Act on all jobs that are meant now; those that are added meanwhile are not. Blocks.

    Raises:
        PostludeError: no filter is given, or several tasks are called so.
        JobNotFound: no task called so has any job.
        JournalUnavailable: the journal cannot be written now; a note says what had been done.
    """
    wanted = filter_of(which, sorted({count.task for count in store.counts().wait()}), act.states)
    return act_on(store, act, [one.id for one in store.find(wanted).wait() if one.state in act.states])


def act_on(store: Store, act: Act, ids: Sequence[bytes]) -> Acted:
    """Act on jobs, in pieces. Blocks.

    Raises:
        JournalUnavailable: the journal cannot be written now; a note says what had been done.
    """
    acted = Acted()
    try:
        for start in range(0, len(ids), PIECE):
            act(store, ids[start : start + PIECE], acted)
    except PostludeError as error:
        error.add_note(f"of {len(ids)} jobs, before that: {dict(acted.done)}")
        raise
    return acted


def filter_of(which: Which, tasks: Collection[str], states: Collection[State]) -> JobFilter:
    """Return a filter as the journal takes it.

    Args:
        which: what was given.
        tasks: the names of those that have jobs.
        states: those that are meant where nothing is said of states.

    Raises:
        TypeError: there is no such field, or a time has no timezone.
        PostludeError: no filter is given, or several tasks are called so.
        JobNotFound: no task called so has any job.
    """
    if unknown := set(which) - set(Which.__annotations__):
        given = ", ".join(map(quoted, sorted(unknown)))
        raise TypeError(f"no filter is called {given}; give some of {', '.join(Which.__annotations__)}")
    if not set(which) - {"limit", "everything"} and not which.get("everything"):
        raise PostludeError('say which jobs, task="send_receipt" for instance; or everything=True')
    wanted = which.get("state", states)
    task = which.get("task")
    return JobFilter(
        states=tuple(sorted([wanted] if isinstance(wanted, State) else wanted)),
        task=None if task is None else _name_of(task, tasks),
        queue=which.get("queue"),
        key=which.get("key"),
        owner=which.get("owner"),
        error=which.get("error"),
        arguments=tuple((name, json.dumps(value)) for name, value in which.get("arguments", {}).items()),
        since=moment_of("since", which.get("since")),
        until=moment_of("until", which.get("until")),
        limit=which.get("limit", MOST),
    )


def _name_of(task: Task[..., Any] | str, tasks: Collection[str]) -> str:
    name = task if isinstance(task, str) else task.name
    if name in tasks:
        return name
    found = called(name, tasks)
    if len(found) > 1:
        raise PostludeError(f"several tasks are called {cut(name)}; give one of {', '.join(map(cut, found))}")
    if not found:
        raise JobNotFound(no_task(name, tasks))
    return found[0]


def moment_of(name: str, time: datetime | None) -> int | None:
    """Return a time as the journal takes it (microseconds, UTC); None stays None.

    Args:
        name: the parameter's.
        time: what was given for it.

    Raises:
        TypeError: it is no datetime with a timezone.
    """
    if time is None:
        return None
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise TypeError(f"{name}={quoted(time)}: give a datetime with a timezone")
    return (time - _EPOCH) // timedelta(microseconds=1)


def _count(answers: Iterable[bool], done: str, else_: str, acted: Acted) -> None:
    for answer in answers:
        (acted.done if answer else acted.not_done)[done if answer else else_] += 1
