"""What a task sees of the job that it runs for."""

import asyncio
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from postlude.messages.quoting import quoted
from postlude.model.ids import id_text
from postlude.model.job import DEFAULT_QUEUE, Progress
from postlude.model.outcome import LogLine
from postlude.model.overrides import read_opts


class Noted:
    """What `progress` returns: async tasks await it, sync ones need not."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield  # makes this a generator: there is nothing to wait for


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOTED: Final = Noted()
_NO_ID: Final = bytes(16)
"""The nil UUID, which no job has."""


class CurrentJob:
    """The job whose attempt runs here.

    Attributes:
        task: the name of its task; empty if it is `detached`.
        queue: the queue that it waited under.
        attempt: the number of this attempt, from 1.
        schedule: the name of the schedule that the job comes from; None: from none.
        scheduled_for: the due time of it that the job stands for; None also if it was run by hand.
    """

    __slots__ = (
        "_id", "_report", "attempt", "cancelled", "last_progress", "late", "lines", "queue", "schedule",
        "scheduled_for", "task", "until", "waits",
    )  # fmt: skip

    def __init__(
        self,
        id: bytes,
        task: str,
        queue: str,
        attempt: int,
        report: Callable[["CurrentJob"], None] | None = None,
        opts: str | None = None,
    ) -> None:
        self._id = id
        self.schedule: str | None = None
        self.scheduled_for: datetime | None = None
        if opts is not None:
            read = read_opts(opts)
            self.schedule = read.schedule
            if read.scheduled_for is not None:
                self.scheduled_for = _EPOCH + timedelta(microseconds=read.scheduled_for)
        self.task = task
        self.queue = queue
        self.attempt = attempt
        self.cancelled = False
        """Whether somebody has asked it to stop."""
        self.late = False
        """Whether it was told that the time of this attempt is over."""
        self.until: float | None = None
        """When that is, by the monotonic clock."""
        self.lines: list[LogLine] | None = None
        """What it has logged, as far as that is kept; None: nothing yet."""
        self.last_progress: Progress | None = None
        self.waits: tuple[bytes, ...] = ()
        """The jobs whose ends it waits for now."""
        self._report = report

    @property
    def raw_id(self) -> bytes:
        """Its id, as the journal keeps it."""
        return self._id

    @property
    def id(self) -> str:
        """Its id, as text; of a stand-in all zeros."""
        return id_text(self._id)

    @property
    def detached(self) -> bool:
        """Whether no job runs here, and this stands in for one: in a direct call, or a task in memory."""
        return self._id == _NO_ID

    @property
    def is_late(self) -> bool:
        """Whether the time of this attempt is over: what it does from now on does not count."""
        return self.late or (self.until is not None and time.monotonic() > self.until)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> Noted:
        """Say how far it is. In async tasks, await it; in sync ones, just call it.

        It costs nearly nothing: the journal is told at most twice a second.

        Args:
            done: how much is done.
            total: of how much, if that is known.
            message: what is being done, in a few words.

        Raises:
            ValueError: one of the numbers is infinite or no number.
        """
        done, total = _number(done), None if total is None else _number(total)
        short = None
        if message is not None:  # as UTF-8 can write it
            short = str(message)[:200].encode("utf-8", "replace").decode("utf-8")
        self.last_progress = Progress(done, total, short, time.time_ns() // 1000)
        if self._report is not None:
            self._report(self)
        return _NOTED

    def raise_if_cancelled(self) -> None:
        """Stop here, if somebody has asked for it.

        Raises:
            asyncio.CancelledError: the job was asked to stop; let it pass.
        """
        if self.cancelled:
            raise asyncio.CancelledError("the job was asked to stop")


def _number(given: Any) -> float:
    """Return a number as the journal keeps it, whoever made it: numpy, say, or `decimal`."""
    try:
        number = math.nan if isinstance(given, str | bytes | bytearray) else float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"progress() was given {quoted(given)}: give finite numbers")
    return number


CURRENT: Final[ContextVar[CurrentJob | None]] = ContextVar("postlude_current_job", default=None)


def current_job() -> CurrentJob:
    """Return the job whose attempt runs here; outside of jobs a stand-in, for direct calls of tasks.

    What is said to a stand-in (it is `detached`) is heard by nobody, and nobody asks it to stop.
    """
    return CURRENT.get() or CurrentJob(_NO_ID, "", DEFAULT_QUEUE, 1)


@contextmanager
def waiting_for(id: bytes) -> Iterator[None]:
    """Note that the job that runs here, if one does, waits for another."""
    current = CURRENT.get()
    if current is None:
        yield
        return
    current.waits += (id,)
    try:
        yield
    finally:
        left = list(current.waits)
        left.remove(id)
        current.waits = tuple(left)


def raise_if_cancelled() -> None:
    """Stop the running job here, if somebody has asked for it; does nothing outside of jobs.

    Raises:
        asyncio.CancelledError: the job was asked to stop; let it pass.
    """
    job = CURRENT.get()
    if job is not None:
        job.raise_if_cancelled()
