"""Runners in the SQLite journal: enlisting them, renewing their leases, burying them."""

import json
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from pydantic_core import from_json

from postlude.clock import LATEST, SECOND, Clock, boot_id
from postlude.model.crash import DIED, LOST, STOPPED, End
from postlude.model.event.journal import MarksRemoved
from postlude.stores.grouped.backend import LeadCall, RenewCall, RetireCall
from postlude.stores.protocol import Enlisted, NewRunner, Reaped
from postlude.stores.relational.burial import Dead, bury
from postlude.stores.relational.concurrency import unstick
from postlude.stores.sqlite.locks.marks import (
    LeftMarks,
    MarksFile,
    is_dead,
    left_by,
    marks_of_the_living,
    marks_path,
)
from postlude.stores.sqlite.transaction import SqliteTransaction
from postlude.telemetry.events import Events


class Runners:
    """The verbs about runners.

    Args:
        folder: where the files of start marks are.
        clock: for leases, the boot clock.
        events: who is told of files that are gone.
    """

    def __init__(self, folder: Path, clock: Clock, events: Events) -> None:
        self._events = events
        self._folder = folder
        self._clock = clock
        self._boot = boot_id()
        self.host = socket.gethostname()
        self._mine: dict[str, MarksFile] = {}
        self.marks: dict[int, MarksFile] = {}
        """The same, by their runners' numbers."""
        self._is_held_up = False
        self._writable_since: int | None = None
        """When the journal could be written again, by the boot clock; None: nothing was in the way yet."""

    def enlist(self, tx: SqliteTransaction, calls: Sequence[NewRunner]) -> list[Enlisted]:
        """Give each a row and a file of marks."""
        return [self._enlist(tx, call) for call in calls]

    def _enlist(self, tx: SqliteTransaction, new: NewRunner) -> Enlisted:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        marks = MarksFile(self._folder)
        try:
            boot = self._clock.boot()
            tx.run(
                "enlist", marks.token, self.host, os.getpid(), self._boot, tx.now, boot,
                round(new.lease * SECOND), new.release, new.kind, new.queues.text(), new.slots, new.parent,
            )  # fmt: skip
        except BaseException:
            marks.remove()
            raise
        self._mine[marks.token] = marks
        number = tx.db.last_insert_rowid()
        self.marks[number] = marks
        tx.otherwise.append(partial(self._remove, marks))
        return Enlisted(number, marks)

    def renew(self, tx: SqliteTransaction, calls: Sequence[RenewCall]) -> list[bool]:
        """Start leases afresh."""
        self._ensure_marks(tx)
        return [tx.run("renew", runner, self._clock.boot(), hears) == 1 for runner, hears in calls]

    def retire(self, tx: SqliteTransaction, calls: Sequence[RetireCall]) -> list[int]:
        """End runners of this process."""
        tokens = dict(tx.rows("runner_tokens", json.dumps([runner for runner, _ in calls])))
        dead: list[Dead] = []
        for runner, draining in calls:
            marks = self._mine.get(tokens.get(runner, ""))
            left = marks_of_the_living(marks.path) if marks is not None else LeftMarks(b"")
            left.draining |= draining
            dead.append(Dead(runner, left, End(self.host, os.getpid(), STOPPED)))
            if marks is not None:
                self._leave(tx, marks)
        return [sum(buried) for buried in bury(tx, dead)]

    def reap(self, tx: SqliteTransaction, calls: Sequence[None]) -> list[Reaped]:
        """Bury every runner that has died or whose lease has run out, and those without a row."""
        self._ensure_marks(tx)
        with ExitStack() as held:
            dead = [one for row in tx.rows("runners") if (one := self._death(tx, held, *row)) is not None]
            dead += [Dead(runner, LeftMarks(b""), End("", 0, LOST)) for runner in tx.rows("orphaned_runners")]
            buried = bury(tx, dead)
        unstick(tx)
        released, failed = sum(one.released for one in buried), sum(one.failed for one in buried)
        return [Reaped(len(dead), released, failed)] * len(calls)

    def _death(
        self, tx: SqliteTransaction, held: ExitStack, runner: int, token: str, host: str, pid: int, boot: str,
        renewed: int, lease: int,
    ) -> Dead | None:  # fmt: skip
        """Say how a runner has died, if it has; its file of marks is `held` until it is buried."""
        expired = self._is_over(boot, renewed, lease) and self._could_renew(boot, lease)
        path = marks_path(self._folder, token)
        if token in self._mine:
            if not expired:
                return None
            # This process slept or was stopped: it is treated like any other.
            self._leave(tx, self._mine[token])
            return Dead(runner, marks_of_the_living(path), End(host, pid, LOST))
        left, how = held.enter_context(left_by(path)), DIED
        if left is None and expired:
            left, how = marks_of_the_living(path), LOST
        if left is None:
            return None
        tx.afterwards.append(partial(path.unlink, missing_ok=True))
        return Dead(runner, left, End(host, pid, how))

    def _is_over(self, boot: str, renewed: int, lease: int) -> bool:
        """Say whether a lease is over. One renewed in the future, or without an end, is damaged."""
        return boot != self._boot or lease > LATEST or not renewed <= self._clock.boot() <= renewed + lease

    def held_up(self) -> None:
        """The journal cannot be written: leases cannot be renewed now."""
        self._is_held_up = True

    def written(self) -> None:
        """The journal was written."""
        if self._is_held_up:
            self._is_held_up = False
            self._writable_since = self._clock.boot()

    def _could_renew(self, boot: str, lease: int) -> bool:
        """Say whether a runner had a lease's time to renew it, since the journal can be written again.

        Else the first look after a disk's failure would bury all that live, and their jobs would start twice.
        """
        if boot != self._boot:  # the machine has been started anew since
            return True
        since = self._writable_since
        return not self._is_held_up and (since is None or self._clock.boot() > since + min(lease, LATEST))

    def lead(self, tx: SqliteTransaction, calls: Sequence[LeadCall]) -> list[bool]:
        """Say of each whether it leads."""
        return [self._lead(tx, *call) for call in calls]

    def _lead(self, tx: SqliteTransaction, runner: int, duty: str, seconds: float) -> bool:
        now, length = self._clock.boot(), round(seconds * SECOND)
        leader, until = self._leader(tx, duty, now)
        if leader is not None and leader != runner:
            return False
        if length <= 0:
            tx.run("let_go_of_lead", duty, runner)
            return False
        if leader == runner and until - now > length // 2:
            return True  # a write for each time that it asks would have all processes look what has changed
        return tx.run("take_lead", duty, runner, now + length) == 1

    def _leader(self, tx: SqliteTransaction, duty: str, now: int) -> tuple[int | None, int]:
        """Return who leads a duty, and until when; None: nobody does."""
        found = tx.value("lead", duty)
        if found is not None:
            leader, until, boot, renewed, lease, token = from_json(found)
            lapsed = type(until) is not int or now >= until or self._is_over(boot, renewed, lease)
            if not lapsed and not is_dead(marks_path(self._folder, token)):
                return leader, until
        return None, now

    def _ensure_marks(self, tx: SqliteTransaction) -> None:
        """Have the files of this process's runners where others look for them, but for those that are buried.

        Whoever buries a runner removes its file, after the commit: it is none that somebody has lost.
        """
        removed = {number: marks for number, marks in self.marks.items() if marks.is_removed}
        if not removed:
            return
        living = dict(tx.rows("runner_tokens", json.dumps(list(removed))))
        for number, marks in removed.items():
            if living.get(number) != marks.token:
                self._leave(tx, marks)
                continue
            try:
                if marks.ensure():
                    self._events.emit(MarksRemoved(marks.path))
            except OSError as error:
                self._events.emit(MarksRemoved(marks.path, error))

    def _leave(self, tx: SqliteTransaction, marks: MarksFile) -> None:
        """Remove a file of marks, once the burial that it was read for is written."""
        tx.afterwards.append(partial(self._remove, marks))

    def _remove(self, marks: MarksFile) -> None:
        if self._mine.pop(marks.token, None) is not None:
            for number in [each for each, kept in self.marks.items() if kept is marks]:
                del self.marks[number]  # of the one dict: who claims looks into it
            marks.remove()

    def close(self) -> None:
        """Give up the files of runners that were not retired, as their death would."""
        for marks in self._mine.values():
            marks.let_go()
        self._mine.clear()
        self.marks.clear()
