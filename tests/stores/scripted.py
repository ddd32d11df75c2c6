"""A backend in memory that does what a test tells it: be busy, break, fail, lose a commit, or stop."""

import asyncio
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from postlude.errors import JournalUnavailable
from postlude.stores.grouped.backend import Applied, Broken, Busy, CommitFailed, Conflict, Uncertain, Verb
from postlude.stores.grouped.writer import Writer
from postlude.stores.reply import Reply

PATIENCE = 5.0
"""Seconds after which something that should have happened has not."""


class Door:
    """A place in the writer's way that a test can close; the writer says when it stands before it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._reached = threading.Event()

    def close(self) -> None:
        self._reached.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def reached(self) -> None:
        """Wait until the writer stands here."""
        assert self._reached.wait(PATIENCE), "the writer did not come here"

    def pass_through(self) -> None:
        self._reached.set()
        assert self._open.wait(PATIENCE), "the test did not open this door again"


class ScriptedBackend:
    """Stores arguments in a list; an argument's result is `("done", argument)`."""

    def __init__(self) -> None:
        self.at_lock, self.at_begin, self.at_commit = Door(), Door(), Door()
        self.at_answer, self.at_tidy = Door(), Door()
        self.doors = (self.at_lock, self.at_begin, self.at_commit, self.at_answer, self.at_tidy)
        self.busy = 0
        """How often `begin` is still to say that the database is locked."""
        self.breaks: list[str] = []
        """At which methods the connection is still to break."""
        self.conflicts: list[str] = []
        """At which methods others' transactions are still to be in the way."""
        self.loses: list[str] = []
        """What becomes of the next commits, which are lost: `"stored"`, `"gone"`, or `"late"`: stored when
        somebody waits for it."""
        self.fails: list[str] = []
        """The same of the next commits that fail: `"gone"`, or `"late"`: there when it is asked after."""
        self.outcomes: list[tuple[list[Any], bool]] = []
        """What the backend was told of the groups that it was asked after, and whether they were stored."""
        self.silent = 0
        """How often nobody is to be there who could say what became of one."""
        self.poison: Any = object()
        """The argument that cannot be applied."""
        self.stored: list[Any] = []
        self.groups: list[list[tuple[Verb, list[Any]]]] = []
        """Every transaction that was begun, with what was applied in it."""
        self.beside_others: Collection[Verb] = ()
        self.besides: list[list[Verb]] = []
        """Every group that was applied beside others."""
        self.besides_left = 1000
        """How many more can be."""
        self.disowned: list[Any] = []
        self.cannot_disown = 0
        """How often nothing is to be disowned, because the connection breaks."""
        self.disowned_under_lock = False
        self.locked = False
        self.closed = False
        self._pending: list[Any] = []
        self._late: list[Any] = []

    def beside(self, calls: Sequence[tuple[Verb, Any]]) -> list[Any] | None:
        assert self.locked, "a write without the lock"
        if not self.besides_left:
            return None
        self.besides_left -= 1
        self.besides.append([verb for verb, _ in calls])
        self._pending = [argument for _, argument in calls]
        return [("done", argument) for _, argument in calls]

    def acquire(self) -> None:
        self.at_lock.pass_through()
        self.locked = True

    def release(self) -> None:
        self.locked = False

    def begin(self, jobs: int = 0) -> None:
        self.at_begin.pass_through()
        if self.busy:
            self.busy -= 1
            raise Busy
        self._break_at("begin")
        self._meet_at("begin")
        self._pending = []
        self.groups.append([])

    def apply(self, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        assert self.locked, "a write without the lock"
        self._break_at("apply")
        self._meet_at("apply")
        self.groups[-1].append((verb, list(arguments)))
        if self.poison in arguments:
            raise ValueError(f"{self.poison} cannot be applied")
        self._pending += arguments
        return [("done", argument) for argument in arguments]

    def commit(self) -> None:
        self.at_commit.pass_through()
        self._break_at("commit")
        self._meet_at("commit")
        if self.fails:
            self._lose(self.fails.pop(0), CommitFailed)
        if self.loses:
            self._lose(self.loses.pop(0), Uncertain)
        self.stored += self._pending
        self._pending = []

    def _lose(self, how: str, error: type[CommitFailed | Uncertain]) -> None:
        group = self._pending
        if how == "stored":
            self.stored += self._pending
        elif how == "late":
            self._late = self._pending
        self._pending = []
        raise error("the connection was lost", lambda stored: self.outcomes.append((group, stored)))

    def settled(self, group: Sequence[Applied]) -> bool:
        assert self.locked, "a question without the lock"
        if self.silent:
            self.silent -= 1
            raise Broken("nobody is there")
        self.stored += self._late
        self._late = []
        arguments = [argument for _, arguments, _ in group for argument in arguments]
        stored = [argument for argument in arguments if argument in self.stored]
        assert stored in ([], arguments), "a group is stored whole or not at all"
        return bool(stored)

    def rollback(self) -> None:
        self._pending = []

    def repair(self, error: Exception) -> bool:
        return False

    def disown(self, results: Sequence[Any]) -> None:
        if self.cannot_disown:
            self.cannot_disown -= 1
            raise Broken("nobody is there")
        self.disowned += results
        self.disowned_under_lock = self.locked

    def tidy(self) -> None:
        assert self.locked
        self.at_tidy.pass_through()

    def close(self) -> None:
        self.closed = True

    def forget(self) -> None:
        """Keep none of the arguments."""
        for kept in (self.stored, self.groups, self._pending):
            kept.clear()

    def _break_at(self, place: str) -> None:
        if self.breaks and self.breaks[0] == place:
            self.breaks.pop(0)
            raise Broken(f"at {place}")

    def _meet_at(self, place: str) -> None:
        if self.conflicts and self.conflicts[0] == place:
            self.conflicts.pop(0)
            raise Conflict("deadlock detected")


@contextmanager
def written_by(backend: ScriptedBackend) -> Iterator[Writer]:
    """A writer over the backend, stopped in the end whatever the test left closed."""
    writer = Writer(backend, "writer-under-test")
    try:
        yield writer
    finally:
        for door in backend.doors:
            door.open()
        backend.busy = 0
        assert writer.stop(PATIENCE)


async def reached(door: Door) -> None:
    """Wait, from a loop, until the writer stands before a door."""
    await asyncio.to_thread(door.reached)


async def turns(count: int = 3) -> None:
    """Give the loop some turns."""
    for _ in range(count):
        await asyncio.sleep(0)


async def answered(writer: Writer, backend: ScriptedBackend) -> None:
    """Open every door and wait until all that was handed over has been answered."""
    for door in backend.doors:
        door.open()
    await writer.submit(Verb.PRUNE, "last")


async def told(reply: Reply[Any]) -> JournalUnavailable:
    """Return what a caller is told whose write did not go through."""
    try:
        value = await asyncio.wait_for(reply, PATIENCE)
    except JournalUnavailable as error:
        return error
    raise AssertionError(f"the caller was told {value!r}")
