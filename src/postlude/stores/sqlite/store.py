"""The SQLite store: the store's verbs, handed to the writer or to the reader."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from postlude.clock import Clock, SystemClock
from postlude.config import Keep
from postlude.errors import JournalRefused, JournalUnavailable
from postlude.model.job import (
    Added,
    Cancel,
    Claimed,
    Few,
    FreeSlots,
    Hold,
    NewJob,
    ProgressNote,
)
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Finish
from postlude.stores.grouped.backend import Verb
from postlude.stores.grouped.writer import Writer
from postlude.stores.protocol import BatchSource, Enlisted, NewRunner, Pause, Promoted, Reaped
from postlude.stores.reply import Reply
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.stores.sqlite.claiming import ClaimCall
from postlude.stores.sqlite.claims import ReleaseCall
from postlude.stores.sqlite.connection import check_library
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.looking import CLOSE_WITHIN, Lookups, ReaderThread
from postlude.stores.sqlite.reader import JournalReader
from postlude.stores.sqlite.runners import RetireCall

T = TypeVar("T")


class SqliteStore(Lookups):
    """The journal in a file beside the application.

    Args:
        path: the database file; made if it is missing.
        clock: the time; the machine's by default.
        application: whose journal it is; a warning tells when another one opens it.
    """

    def __init__(self, path: Path | str, *, clock: Clock | None = None, application: str = "") -> None:
        self._files = JournalFiles(Path(path))
        self._clock = clock or SystemClock()
        self._application = application
        self._writer: Writer | None = None
        self._reader: ReaderThread | None = None
        self._watch: JournalReader | None = None

    @property
    def location(self) -> str:
        """The database's absolute path."""
        return str(self._files.database)

    def open(self) -> None:
        """Open, migrate and check the journal."""
        if self._writer is not None:
            return
        check_library()
        readers: list[JournalReader] = []
        backend = SqliteBackend(self._files, self._clock, readers, self._application)
        try:
            backend.open()
        except apsw.CorruptError as error:
            raise JournalRefused(f"the journal {self.location} is damaged: {error}") from error
        except (apsw.Error, OSError) as error:
            raise JournalUnavailable(f"cannot open the journal {self.location}: {error}") from error
        self._watch = JournalReader(self._files.database, self._clock)
        reader = JournalReader(self._files.database, self._clock)
        readers += self._watch, reader
        self._reader = ReaderThread(reader)
        self._writer = Writer(backend, "postlude-writer")

    def close(self) -> None:
        """Write what was asked for and close."""
        writer, self._writer = self._writer, None
        if self._reader is not None:
            self._reader.stop()
            self._reader = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if writer is not None:
            # Last: the last connection that can write folds the WAL into the database.
            writer.stop(CLOSE_WITHIN)

    def gather(self, guest: BatchSource) -> None:
        """Let it hand in when the next write is put together."""
        if self._writer is None:
            asyncio.get_running_loop().call_soon(guest.hand_in)
        else:
            self._writer.gather(guest)

    def meanwhile(self, call: Callable[[], None]) -> None:
        """Make a call while the disk writes, if it is about to; or soon."""
        if self._writer is None:
            asyncio.get_running_loop().call_soon(call)
        else:
            self._writer.meanwhile(call)

    def add(
        self, jobs: Sequence[NewJob], *, claim_for: int | None = None, budget: float | None = None
    ) -> Reply[list[Added]]:
        """Store jobs, all or none."""
        if self._writer is None:
            return Reply.failed(JournalUnavailable("the journal is not open"))
        return self._writer.submit(Verb.ADD, (jobs, claim_for), rows=len(jobs), budget=budget)

    def free(self, seqs: Sequence[int]) -> Reply[int]:
        """Make held jobs ready."""
        return self._ask(Verb.FREE, seqs, rows=len(seqs))

    def cancel(self, ids: Sequence[bytes]) -> Reply[list[Cancel]]:
        """Cancel queued or parked jobs."""
        return self._ask(Verb.CANCEL, ids, rows=len(ids))

    def retry(self, ids: Sequence[bytes]) -> Reply[list[bool]]:
        """Make ended jobs ready."""
        return self._ask(Verb.RETRY, ids, rows=len(ids))

    def pause(self, what: Pause) -> Reply[bool]:
        """Let none of it be claimed."""
        return self._ask(Verb.PAUSE, what)

    def resume(self, what: Pause) -> Reply[bool]:
        """Undo that."""
        return self._ask(Verb.RESUME, what)

    def declare(self, bounds: Sequence[DeclaredLimits]) -> Reply[None]:
        """Take over a release's bounds."""
        return self._ask(Verb.DECLARE, bounds)

    def progress(self, notes: Sequence[ProgressNote]) -> Reply[None]:
        """Note how far jobs are; may wait a moment for company."""
        return self._ask(Verb.PROGRESS, notes, rows=len(notes), lazy=True)

    def enlist(self, runner: NewRunner) -> Reply[Enlisted]:
        """Register a runner."""
        return self._ask(Verb.ENLIST, runner)

    def claim(
        self, runner: int, limit: int, *, suspect: bool, free: FreeSlots | None = None, behind: int = 0,
        few: Sequence[Few] = (),
    ) -> Reply[Claimed]:  # fmt: skip
        """Claim ready jobs."""
        return self._ask(Verb.CLAIM, ClaimCall(runner, limit, suspect, free, behind, few), rows=limit)

    def renew(self, runner: int) -> Reply[bool]:
        """Start the runner's lease afresh."""
        return self._ask(Verb.RENEW, runner)

    def release(self, runner: int, holds: Sequence[Hold]) -> Reply[int]:
        """Give back claims that have not started."""
        return self._ask(Verb.RELEASE, ReleaseCall(runner, holds), rows=len(holds))

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        """Write how attempts ended; may wait a moment for company."""
        return self._ask(Verb.FINISH, finishes, rows=len(finishes), lazy=True)

    def retire(self, runner: int, *, draining: bool) -> Reply[int]:
        """End a runner."""
        return self._ask(Verb.RETIRE, RetireCall(runner, draining))

    def reap(self) -> Reply[Reaped]:
        """Bury dead runners."""
        return self._ask(Verb.REAP, None)

    def promote(self) -> Reply[Promoted]:
        """Make ready what is due."""
        return self._ask(Verb.PROMOTE, None)

    def unpark(self, pairs: Collection[tuple[str, str]]) -> Reply[int]:
        """Make parked jobs ready."""
        return self._ask(Verb.UNPARK, pairs)

    def prune(self, keep: Keep) -> Reply[int]:
        """Delete finished jobs that are kept no longer."""
        return self._ask(Verb.PRUNE, keep)

    def changed(self) -> bool:
        """Say whether anybody may have written."""
        return self._watch is not None and self._watch.changed()

    def _ask(
        self, verb: Verb, argument: Any, *, rows: int = 1, budget: float | None = None, lazy: bool = False
    ) -> Reply[Any]:
        if self._writer is None:
            return Reply.failed(JournalUnavailable("the journal is not open"))
        return self._writer.submit(verb, argument, rows=rows, budget=budget, lazy=lazy)

    def _look(self, look: Callable[[JournalReader], T]) -> Reply[T]:
        if self._reader is None or self._writer is None:
            return Reply.failed(JournalUnavailable("the journal is not open"))
        self._writer.refuse_fork()
        return self._reader.ask(look)
