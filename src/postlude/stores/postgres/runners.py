"""Runners in a PostgreSQL journal: their rows, their leases by the server's time, their locks."""

import json
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Final

import psycopg

from postlude.clock import SECOND
from postlude.model.crash import DIED, LOST, STOPPED, End
from postlude.stores.grouped.backend import LeadCall, RenewCall, RetireCall
from postlude.stores.postgres.connection import is_pooled
from postlude.stores.postgres.held import HeldTransactions
from postlude.stores.postgres.marks import AFTER, Left, PostgresMarks
from postlude.stores.postgres.transaction import Connection, PostgresTransaction
from postlude.stores.protocol import Enlisted, NewRunner, Reaped
from postlude.stores.relational.burial import Dead, bury
from postlude.stores.relational.concurrency import unstick

FREE_FOR: Final = 0.5
"""Seconds for which a runner's lock has to be seen free before that is taken for its death: the locks of the
living are free for a moment, too, when the server has ended their connection, or has started again."""

SLOW: Final = 1.0
"""Seconds for a group beyond which others may have been held up for too long to renew their leases."""

SUSPECTS: Final = 8
"""Jobs of a dead process that are suspected where nothing is known of what it had started."""

_NONE: Final = ""
"""In a token's place: this process has no session of its own, and so no lock. Its lease says if it lives."""

LOCKED: Final = "SELECT pg_try_advisory_lock($1::integer, $2::integer)"
PROBE: Final = "SELECT pg_try_advisory_xact_lock($1::integer, $2::integer)"
LET_GO: Final = "SELECT pg_advisory_unlock($1::integer, $2::integer)"
STARTED: Final = "SELECT extract(epoch FROM pg_postmaster_start_time())::float8"


class Runners:
    """The verbs about runners.

    Args:
        space: the first number of the journal's locks; the second is a runner's.
        held: looks at others' transactions when the dead are looked for.
        free_for: seconds for which a lock has to be seen free.
        by_server: leases are in the server's time.
    """

    def __init__(
        self, space: int, held: HeldTransactions, free_for: float = FREE_FOR, *, by_server: bool = True
    ) -> None:
        self._held = held
        self.host = socket.gethostname()
        self.token = secrets.token_hex(6)
        """Names the sessions of this process: as long as there is one, it lives."""
        self.marks: dict[int, PostgresMarks] = {}
        """Of this process's runners, by number."""
        self._space = space
        self._db: Connection | None = None
        """The connection that holds the locks."""
        self._is_pooled = False
        self._unlocked: set[int] = set()
        """Runners of this process that have no lock, since the connection is a new one."""
        self._free_for = free_for
        self._by_server = by_server
        self._is_held_up = False
        self._writable_since: float | None = None
        """When the journal could be written again; None: nothing was in the way yet."""
        self._free: dict[int, tuple[float, int, float]] = {}
        """Runners whose locks were seen free: since when, their last renewal, the server's start."""

    def hold(self, db: Connection) -> None:
        """Hold the locks of this process's runners, on a connection that was made anew."""
        self._db = db
        self._is_pooled = is_pooled(db)
        self._unlocked = set() if self._is_pooled else set(self.marks)
        self.lock(db)

    def lock(self, db: Connection) -> None:
        """Take the locks that could not be had on this connection yet.

        One that is looked at by others, or that the server has not taken from a lost session, is not free.
        """
        for runner in list(self._unlocked):
            if db.execute(LOCKED, [self._space, runner]).fetchone() == (True,):
                self._unlocked.discard(runner)

    @property
    def is_locked(self) -> bool:
        """Whether every runner of this process has its lock."""
        return not self._unlocked

    def enlist(self, tx: PostgresTransaction, calls: Sequence[NewRunner]) -> list[Enlisted]:
        """Give each a row and a lock."""
        return [self._enlist(tx, call) for call in calls]

    def _enlist(self, tx: PostgresTransaction, new: NewRunner) -> Enlisted:
        number: int = tx.value(
            "enlist", _NONE if self._is_pooled else self.token, self.host, os.getpid(), tx.now, tx.now,
            round(new.lease * SECOND), new.release, str(new.kind), new.queues.text(), new.slots, new.parent,
        )  # fmt: skip
        if not self._is_pooled:
            tx.pg.execute(LOCKED, [self._space, number])
        self.marks[number] = marks = PostgresMarks(number)
        return Enlisted(number, marks)

    def renew(self, tx: PostgresTransaction, calls: Sequence[RenewCall]) -> list[bool]:
        """Start leases afresh."""
        return [
            tx.run("renew", runner, tx.now, None if hears is None else int(hears)) == 1
            for runner, hears in calls
        ]

    def write_starts(self, tx: PostgresTransaction, after: float = AFTER) -> None:
        """Write what has run for so many seconds, and who is shutting down; take locks that are missing."""
        self.lock(tx.pg)
        for marks in self.marks.values():
            rows = marks.to_write(after)
            if rows:
                tx.run_for("note_starts", rows)
                tx.afterwards.append(partial(marks.written, rows))
            if marks.is_draining:
                tx.run("drain", marks.runner)

    def retire(self, tx: PostgresTransaction, calls: Sequence[RetireCall]) -> list[int]:
        """End runners of this process."""
        dead: list[Dead] = []
        for runner, draining in calls:
            marks = self.marks.get(runner)
            started = {} if marks is None else dict[int, int | None](marks.starts)
            left = Left(started, draining or (marks is not None and marks.is_draining))
            dead.append(Dead(runner, left, End(self.host, os.getpid(), STOPPED)))
        return [sum(buried) for buried in self._bury(tx, dead)]

    def reap(self, tx: PostgresTransaction, calls: Sequence[None]) -> list[Reaped]:
        """Bury every runner that has died or whose lease has run out, and those without a row."""
        since = self._server_start(tx)
        dead: list[tuple[int, str, int, bool, str]] = []
        for runner, token, host, pid, renewed, lease, draining in tx.rows("runners"):
            # While the server was down, nobody could renew.
            lapsed = tx.now > max(renewed, round(since * SECOND)) + lease
            if lapsed and self._could_renew(lease):
                dead.append((runner, host, pid, draining, LOST))
            elif runner not in self.marks and self._has_died(tx, runner, token, renewed, since):
                dead.append((runner, host, pid, draining, DIED))
        dead += [(runner, "", 0, True, LOST) for runner in tx.rows("orphaned_runners")]
        buried = self._bury(tx, [self._dead(tx, *one) for one in dead])
        unstick(tx)
        tx.run("fold_tally")
        self._held.look(tx)
        released, failed = sum(one.released for one in buried), sum(one.failed for one in buried)
        return [Reaped(len(dead), released, failed)] * len(calls)

    def held_up(self) -> None:
        """The journal cannot be written: leases cannot be renewed now."""
        self._is_held_up = True

    def written(self, took: float) -> None:
        """The journal can be written, or was.

        Args:
            took: seconds since the group was begun, with the wait for its turn.
        """
        if self._is_held_up or took > SLOW:
            self._is_held_up = False
            self._writable_since = monotonic()

    def _could_renew(self, lease: int) -> bool:
        """Say whether a runner had a lease's time to renew it, since the journal can be written again.

        Else the first look after others were held up (by a process that was stopped in its turn, a disk, a
        standby) would bury all that live, and their jobs would start twice.
        """
        if not self._by_server:
            return True
        since = self._writable_since
        return not self._is_held_up and (since is None or monotonic() > since + lease / SECOND)

    def _has_died(self, tx: PostgresTransaction, runner: int, token: str, renewed: int, since: float) -> bool:
        """Say whether a runner's lock is free, and has been for long enough.

        One that has not renewed its lease since the server has started may not have its lock again yet.
        """
        if token == _NONE or renewed < since * SECOND:
            return False
        found = tx.pg.execute(PROBE, [self._space, runner]).fetchone()
        seen = self._free.get(runner)
        if found is None or not found[0]:
            self._free.pop(runner, None)
            return False
        now = monotonic()
        if seen is None or seen[1:] != (renewed, since):
            self._free[runner] = seen = now, renewed, since
        return now - seen[0] >= self._free_for and not tx.value("has_sessions", token)

    def _is_gone(self, tx: PostgresTransaction, runner: int) -> bool:
        for number, token, _, _, renewed, _, _ in tx.rows("runners"):
            if number == runner:
                return self._has_died(tx, runner, token, renewed, self._server_start(tx))
        return True

    def _server_start(self, tx: PostgresTransaction) -> float:
        """Return when the server has started (seconds, UTC); by a test's time, that was always before."""
        found = tx.pg.execute(STARTED).fetchone() if self._by_server else None
        return 0.0 if found is None else float(found[0])

    def _dead(
        self, tx: PostgresTransaction, runner: int, host: str, pid: int, draining: bool, how: str
    ) -> Dead:
        marks = self.marks.get(runner)
        started: dict[int, int | None]
        if marks is not None:
            started, draining = dict(marks.starts), draining or marks.is_draining
        else:
            started = dict(tx.rows("starts_of", f"[{runner}]"))
            if not started and not draining:
                # If it died of a job, it had just started that: one of the first that it had.
                started = dict.fromkeys(seq for seq, _ in sorted(tx.rows("holds", runner))[:SUSPECTS])
        return Dead(runner, Left(started, draining), End(host, pid, how))

    def _bury(self, tx: PostgresTransaction, dead: Sequence[Dead]) -> list[Any]:
        buried = bury(tx, dead)
        gone = [one.runner for one in dead if one.runner is not None]
        if gone:
            tx.run("forget_starts", json.dumps(gone))
            tx.afterwards.append(partial(self._forget, gone))
        return list(buried)

    def _forget(self, gone: Sequence[int]) -> None:
        for runner in gone:
            self._free.pop(runner, None)
            self._unlocked.discard(runner)
            if self.marks.pop(runner, None) is not None and self._db is not None and not self._is_pooled:
                with suppress(psycopg.Error):  # then the server has taken it back
                    self._db.execute(LET_GO, [self._space, runner])

    def lead(self, tx: PostgresTransaction, calls: Sequence[LeadCall]) -> list[bool]:
        """Say of each whether it leads."""
        return [self._lead(tx, *call) for call in calls]

    def _lead(self, tx: PostgresTransaction, runner: int, duty: str, seconds: float) -> bool:
        length = round(seconds * SECOND)
        leader, until, lapses = tx.value("lead", duty) or (None, 0, 0)
        lapsed = tx.now >= until or tx.now > lapses
        if leader is not None and (lapsed or (leader not in self.marks and self._is_gone(tx, leader))):
            leader = None
        if leader is not None and leader != runner:
            return False
        if length <= 0:
            tx.run("let_go_of_lead", duty, runner)
            return False
        if leader == runner and until - tx.now > length // 2:
            return True
        return tx.run("take_lead", duty, runner, tx.now + length) == 1
