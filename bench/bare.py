"""The floor: a commit before the response and a job after it, and nothing else that Postlude promises.

One table, one thread that commits what has gathered, one task for each job. No validation, no names,
no lease, no other process, no cancellation, no limit, no retry, no order, no shutdown: what is left is
about the least that a durable answer costs in this interpreter on this disk: what to compare with.
"""

import asyncio
import gc
import itertools
import os
import queue
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import apsw

QUIET = 3
"""Turns of the loop without a new job after which they are handed over, as in Postlude's gate."""

_TABLE = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE job (
    seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, task TEXT, queue TEXT, state INTEGER, fence INTEGER,
    runner INTEGER, created INTEGER, started INTEGER, finished INTEGER, args BLOB
);
CREATE INDEX job_running ON job (runner) WHERE state = 3;
"""
_ADD = """
INSERT INTO job (id, task, queue, state, fence, runner, created, args) VALUES (?, ?, 'default', 3, 1, 1, ?, ?)
"""
_FINISH = "UPDATE job SET state = 8, started = ?, finished = ? WHERE seq = ? AND fence = 1 AND state = 3"


class Bare:
    """Stores calls in groups and runs them.

    Args:
        path: the database, which must not exist.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._ids = itertools.count()
        self._adds: list[tuple[bytes, str, int, bytes]] = []
        self._waiting: list[asyncio.Future[int]] = []
        self._finisher: list[tuple[int, int, int]] = []
        self._handed: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._busy = self._gathering = False
        self._running: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def store(self, name: str) -> int:
        """Store a call without arguments; returns its place in the order."""
        loop = self._loop or self._start()
        now = time.time_ns()
        id = (now // 1_000_000).to_bytes(6) + next(self._ids).to_bytes(4) + os.urandom(6)
        self._adds.append((id, name, now // 1000, b'{"a":[],"k":{}}'))
        stored: asyncio.Future[int] = loop.create_future()
        self._waiting.append(stored)
        self._gather()
        return await stored

    async def run(self, seq: int, function: Callable[[], Awaitable[None]]) -> None:
        """Start a stored call. For Starlette's background tasks, so that it comes after the response."""
        self._running[seq] = asyncio.get_running_loop().create_task(self._attempt(seq, function))

    async def _attempt(self, seq: int, function: Callable[[], Awaitable[None]]) -> None:
        started = time.time_ns()
        try:
            await function()
        finally:
            self._finisher.append((started // 1000, time.time_ns() // 1000, seq))
            del self._running[seq]
            self._gather()

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.get_running_loop()
        # As Postlude sets them: with Python's own, requests that wait together are searched for garbage.
        gc.freeze()
        gc.set_threshold(10_000, *gc.get_threshold()[1:])
        sys.setswitchinterval(0.001)
        threading.Thread(target=self._write, args=[loop], daemon=True).start()
        return loop

    def _gather(self) -> None:
        if not (self._busy or self._gathering):
            self._gathering = True
            asyncio.get_running_loop().call_soon(self._turn, len(self._adds), QUIET)

    def _turn(self, before: int, quiet: int) -> None:
        now = len(self._adds)
        quiet = QUIET if now != before else quiet - 1
        if quiet:
            asyncio.get_running_loop().call_soon(self._turn, now, quiet)
            return
        self._gathering, self._busy = False, True
        self._handed.put((self._adds, self._waiting, self._finisher))
        self._adds, self._waiting, self._finisher = [], [], []

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        writes = self._open()
        while True:
            adds, waiting, ends = self._handed.get()
            seqs = writes.commit(adds, ends)
            loop.call_soon_threadsafe(self._answer, waiting, seqs)
            writes.tidy()

    def _open(self) -> "Writes":
        return SqliteWrites(self._path)

    def _answer(self, waiting: list[asyncio.Future[int]], seqs: Sequence[int]) -> None:
        self._busy = False
        for seq, stored in zip(seqs, waiting, strict=True):
            if not stored.done():
                stored.set_result(seq)
        if self._adds or self._finisher:
            self._gather()


class Writes(Protocol):
    """A database that groups are written to, by one thread."""

    def commit(self, adds: Sequence[Any], ends: Sequence[Any]) -> Sequence[int]:
        """Store both; returns the places of those added."""
        ...

    def tidy(self) -> None:
        """Do what can wait until those who asked have been answered."""
        ...


class SqliteWrites:
    """SQLite.

    Args:
        path: the database, which must not exist.
    """

    def __init__(self, path: str) -> None:
        self._db = apsw.Connection(path)
        self._db.execute(_TABLE).fetchall()
        self._db.wal_autocheckpoint(0)

    def commit(self, adds: Sequence[Any], ends: Sequence[Any]) -> Sequence[int]:
        """Store both."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        db.executemany(_FINISH, ends)
        db.executemany(_ADD, adds)
        last = db.last_insert_rowid()
        db.execute("COMMIT")
        return range(last - len(adds) + 1, last + 1)

    def tidy(self) -> None:
        """Fold the log, not within the commit, where somebody waits for it."""
        db = self._db
        if db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)[0] >= 1000:
            db.wal_checkpoint("main")
