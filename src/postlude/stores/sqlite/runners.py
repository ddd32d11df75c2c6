"""Runners in the SQLite journal: enlisting them, renewing their leases, burying them."""

import json
import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json

from postlude.clock import LATEST, SECOND, Clock, boot_id
from postlude.model.crash import DIED, LOST, STOPPED, End, Started, judge
from postlude.model.event.journal import MarksRemoved
from postlude.model.state import Reason, Stored
from postlude.stores.grouped.backend import LeadCall, RetireCall
from postlude.stores.protocol import Enlisted, NewRunner, Reaped
from postlude.stores.sqlite.claims import release_rows
from postlude.stores.sqlite.concurrency import free_follower, refill, unstick
from postlude.stores.sqlite.locks.marks import (
    LeftMarks,
    MarksFile,
    is_dead,
    left_by,
    marks_of_the_living,
    marks_path,
)
from postlude.stores.sqlite.transaction import Transaction
from postlude.telemetry.events import Events


class Buried(NamedTuple):
    """What became of the jobs that a dead runner held."""

    released: int
    failed: int
    cancelled: int


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

    def enlist(self, tx: Transaction, calls: Sequence[NewRunner]) -> list[Enlisted]:
        """Give each a row and a file of marks."""
        return [self._enlist(tx, call) for call in calls]

    def _enlist(self, tx: Transaction, new: NewRunner) -> Enlisted:
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
        return Enlisted(number, marks)

    def renew(self, tx: Transaction, calls: Sequence[int]) -> list[bool]:
        """Start leases afresh."""
        self._ensure_marks()
        answers = []
        for runner in calls:
            tx.run("renew", runner, self._clock.boot())
            answers.append(tx.db.changes() == 1)
        return answers

    def retire(self, tx: Transaction, calls: Sequence[RetireCall]) -> list[int]:
        """End runners of this process."""
        answers = []
        for runner, draining in calls:
            marks = self._mine.get(tx.value("runner_token", runner))
            left = marks_of_the_living(marks.path) if marks is not None else LeftMarks(b"")
            left.draining |= draining
            buried = self._bury(tx, runner, left, End(self.host, os.getpid(), STOPPED))
            if marks is not None:
                self._leave(tx, marks)
            answers.append(sum(buried))
        return answers

    def reap(self, tx: Transaction, calls: Sequence[None]) -> list[Reaped]:
        """Bury every runner that has died or whose lease has run out, and those without a row."""
        self._ensure_marks()
        found = Reaped(0, 0, 0)
        for runner, token, host, pid, boot, renewed, lease in tx.rows("runners"):
            expired = self._is_over(boot, renewed, lease)
            path = marks_path(self._folder, token)
            end = End(host, pid, LOST)
            if token in self._mine:
                if not expired:
                    continue
                # This process slept or was stopped: it is treated like any other.
                found = _sum(found, self._bury(tx, runner, marks_of_the_living(path), end))
                self._leave(tx, self._mine[token])
                continue
            with left_by(path) as left:
                if left is not None:
                    end = End(host, pid, DIED)
                elif expired:
                    left = marks_of_the_living(path)
                if left is not None:
                    found = _sum(found, self._bury(tx, runner, left, end))
                    tx.afterwards.append(partial(path.unlink, missing_ok=True))
        for runner in tx.rows("orphaned_runners"):
            found = _sum(found, self._bury(tx, runner, LeftMarks(b""), End("", 0, LOST)))
        unstick(tx)
        return [found] * len(calls)

    def _is_over(self, boot: str, renewed: int, lease: int) -> bool:
        """Say whether a lease is over. One renewed in the future, or without an end, is damaged."""
        return boot != self._boot or lease > LATEST or not renewed <= self._clock.boot() <= renewed + lease

    def lead(self, tx: Transaction, calls: Sequence[LeadCall]) -> list[bool]:
        """Say of each whether it leads."""
        return [self._lead(tx, *call) for call in calls]

    def _lead(self, tx: Transaction, runner: int, duty: str, seconds: float) -> bool:
        now, length = self._clock.boot(), round(seconds * SECOND)
        leader, until = self._leader(tx, duty, now)
        if leader is not None and leader != runner:
            return False
        if length <= 0:
            tx.run("let_go_of_lead", duty, runner)
            return False
        if leader == runner and until - now > length // 2:
            return True  # a write for each time that it asks would have all processes look what has changed
        tx.run("take_lead", duty, runner, now + length)
        return tx.db.changes() == 1

    def _leader(self, tx: Transaction, duty: str, now: int) -> tuple[int | None, int]:
        """Return who leads a duty, and until when; None: nobody does."""
        found = tx.value("lead", duty)
        if found is not None:
            leader, until, boot, renewed, lease, token = from_json(found)
            lapsed = type(until) is not int or now >= until or self._is_over(boot, renewed, lease)
            if not lapsed and not is_dead(marks_path(self._folder, token)):
                return leader, until
        return None, now

    def _ensure_marks(self) -> None:
        """Have the files of this process's runners where others look for them."""
        for marks in self._mine.values():
            try:
                if marks.ensure():
                    self._events.emit(MarksRemoved(marks.path))
            except OSError as error:
                self._events.emit(MarksRemoved(marks.path, error))

    def _leave(self, tx: Transaction, marks: MarksFile) -> None:
        """Remove a file of marks, once the burial that it was read for is written."""

        def remove() -> None:
            if self._mine.pop(marks.token, None) is not None:
                self.marks = {number: kept for number, kept in self.marks.items() if kept is not marks}
                marks.remove()

        tx.afterwards.append(remove)

    def _bury(self, tx: Transaction, runner: int, left: LeftMarks, end: End) -> Buried:
        """Judge a runner's death over the jobs that it held, and note it with those that it ran."""
        held = tx.rows("held_by", runner)
        tasks = {row[0]: row[1] for row in held}
        ran = left.started
        started = [
            Started(seq, bool(suspect), deaths)
            for seq, _, suspect, deaths, once, _, _ in held
            if seq in ran and not once
        ]
        for seq in tasks.keys() & ran.keys():
            tx.run("add_log", seq, 1, json.dumps([end.note(ran[seq], tx.now)]))
            tx.run("note_start", seq, ran[seq])
        verdicts = judge(started, draining=left.draining)
        for verdict in verdicts:
            tx.run("charge", verdict.seq, verdict.suspect, verdict.deaths)
        ended = {verdict.seq: Reason.KILLED for verdict in verdicts if verdict.killed}
        ended |= {row[0]: Reason.MAY_HAVE_RUN for row in held if row[4]}
        followed = {row[0] for row in held if row[5]}
        for seq, reason in ended.items():
            tx.run("condemn", seq, tx.now, reason)
            tx.count(tasks[seq], Stored.RUNNING, Stored.FAILED)
        for seq in followed & (ended.keys() | {verdict.seq for verdict in verdicts}):
            free_follower(tx, seq)  # its first attempt has ended, if not well
        refill(
            tx,
            {
                (task, concurrency_key)
                for seq, task, *_, concurrency_key in held
                if seq in ended and concurrency_key is not None
            },
        )
        released, cancelled = release_rows(
            tx, [(seq, task) for seq, task in tasks.items() if seq not in ended]
        )
        tx.run("forget_runner", runner)
        return Buried(released, len(ended), cancelled)

    def close(self) -> None:
        """Give up the files of runners that were not retired, as their death would."""
        for marks in self._mine.values():
            marks.let_go()
        self._mine.clear()
        self.marks.clear()


def _sum(found: Reaped, buried: Buried) -> Reaped:
    return Reaped(found.runners + 1, found.released + buried.released, found.ended + buried.failed)
