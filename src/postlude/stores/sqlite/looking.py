"""Looking into a SQLite journal: the verbs that write nothing, for the store and for whoever only looks."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from postlude.errors import JournalUnavailable
from postlude.messages.quoting import cut
from postlude.model.job import Hold, JobFilter, JobRecord
from postlude.stores.protocol import Counts, Pause
from postlude.stores.reply import Reply
from postlude.stores.sqlite.reader import JournalReader

T = TypeVar("T")

CLOSE_WITHIN: Final = 10.0
"""Seconds that closing waits for the last answer."""

_LONGEST_PATH: Final = 1000
"""Characters of a path that are repeated."""


class Lookups:
    """The verbs that write nothing, by a reader."""

    def _look(self, look: Callable[[JournalReader], T]) -> Reply[T]:
        raise NotImplementedError

    def holds(self, runner: int) -> Reply[list[Hold]]:
        """Return a runner's claims."""
        return self._look(lambda reader: reader.holds(runner))

    def parked(self) -> Reply[list[tuple[str, str]]]:
        """Return what is parked."""
        return self._look(lambda reader: reader.parked())

    def asked(self, runner: int) -> Reply[list[int]]:
        """Return the jobs of a runner that were asked to stop."""
        return self._look(lambda reader: reader.asked(runner))

    def paused(self) -> Reply[list[Pause]]:
        """Return what is paused."""
        return self._look(lambda reader: reader.paused())

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        """Return a job."""
        return self._look(lambda reader: reader.get(id))

    def page(self, wanted: JobFilter) -> Reply[list[JobRecord]]:
        """Return jobs, newest first."""
        return self._look(lambda reader: reader.page(wanted))

    def counts(self) -> Reply[list[Counts]]:
        """Return how many jobs there are."""
        return self._look(lambda reader: reader.counts())

    def living(self) -> Reply[list[str]]:
        """Return the `release` of each runner that lives."""
        return self._look(lambda reader: reader.living())

    def ids_beginning(self, digits: str) -> Reply[list[bytes]]:
        """Return the ids of jobs that begin so; two at most."""
        return self._look(lambda reader: reader.beginning_with(digits))


class SqliteReading(Lookups):
    """A journal that exists, opened to look at it, in one thread that may wait for the disk.

    Args:
        path: the database.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: no journal is there, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        shown = cut(str(path), _LONGEST_PATH)
        try:
            if path.is_dir():
                raise JournalUnavailable(f"{shown} is a directory; give the path of the journal in it")
            if not path.is_file():
                raise JournalUnavailable(
                    f"no journal at {shown}; give its path with --store or in POSTLUDE_STORE"
                )
        except OSError as error:
            raise JournalUnavailable(f"cannot look at {shown}: {error.strerror}") from error
        self._reader = JournalReader(path)

    @property
    def location(self) -> str:
        """The database's absolute path."""
        return str(self._reader.path)

    def close(self) -> None:
        """Close it."""
        self._reader.close()

    def _look(self, look: Callable[[JournalReader], T]) -> Reply[T]:
        try:
            return Reply.of(look(self._reader))
        except JournalUnavailable as error:
            return Reply.failed(error)


class ReaderThread:
    """Looks into the journal from a thread of its own, so that no event loop waits for the disk."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        self._inbox: queue.SimpleQueue[tuple[Callable[[JournalReader], Any], Reply[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run, name="postlude-reader", daemon=True)
        self._thread.start()

    def ask(self, look: Callable[[JournalReader], T]) -> Reply[T]:
        """Have a look done."""
        reply: Reply[T] = Reply.here()
        self._inbox.put((look, reply))
        return reply

    def stop(self) -> None:
        """End the thread after what was asked."""
        self._inbox.put(None)
        self._thread.join(CLOSE_WITHIN)

    def _run(self) -> None:
        while (item := self._inbox.get()) is not None:
            look, reply = item
            try:
                reply.resolve(look(self._reader), None)
            except BaseException as error:
                reply.resolve(None, error)
            if reply.loop is not None and not reply.loop.is_closed():
                reply.loop.call_soon_threadsafe(reply.deliver)
            del item, look, reply
        self._reader.close()
