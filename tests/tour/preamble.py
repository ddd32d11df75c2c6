"""The names that the tour's blocks leave open: what an application has around its tasks.

What is stood in for is small and keeps account, so that a test can tell what a task has done.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from smtplib import SMTPException
from typing import Annotated

from pydantic import AfterValidator, BaseModel

from postlude import Config
from postlude.clock import ManualClock, SystemClock

__all__ = [
    "AsyncSession",
    "Calendar",
    "EmailStr",
    "ImportReport",
    "Invoice",
    "PostOffice",
    "QUICK",
    "SMTPException",
    "get_session",
    "many",
    "read",
]

QUICK = Config(poll_every=0.005, reap_every=0.005, grace=0.1, tune_gc=False)


class Calendar(ManualClock):
    """A wall clock that is turned by hand. Leases go by the machine's: nobody is taken for dead."""

    def boot(self) -> int:
        return SystemClock().boot()


def _address(text: str) -> str:
    if text.count("@") != 1:
        raise ValueError("an address has one @")
    return text


EmailStr = Annotated[str, AfterValidator(_address)]
"""Stands for pydantic's, which needs another package."""

many = [(number, f"{number}@example.org", f"tenant-{number % 7}") for number in range(1, 1002)]
"""More than two groups of `add_tasks`."""


class PostOffice:
    """Where receipts are sent: what was sent, what was tried, how many were on their way at once."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str, str]] = []
        self.tries = 0
        self.left = 0
        """How often somebody stopped while a letter was on its way."""
        self.errors: list[Exception] = []
        """Raised by the next tries, one each."""
        self.busy: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._closed: dict[str, asyncio.Event] = {}

    async def send(self, order: int, to: str, tenant: str) -> None:
        self.tries += 1
        self.busy[tenant] += 1
        self.most[tenant] = max(self.most[tenant], self.busy[tenant])
        try:
            closed = self._closed.get(tenant) or self._closed.get("")
            if closed is not None:
                await closed.wait()
            if self.errors:
                raise self.errors.pop(0)
            self.sent.append((order, to, tenant))
        except asyncio.CancelledError:
            self.left += 1
            raise
        finally:
            self.busy[tenant] -= 1

    @contextmanager
    def closed(self, tenant: str = "") -> Iterator[asyncio.Event]:
        """Keep what is sent (for one tenant) on its way, until the event is set or the block ends."""
        self._closed[tenant] = event = asyncio.Event()
        try:
            yield event
        finally:
            event.set()
            del self._closed[tenant]

    @property
    def orders(self) -> list[int]:
        return [order for order, _, _ in self.sent]


class ImportReport(BaseModel):
    """What an import has done."""

    orders: int


class Invoice(BaseModel):
    """An argument that only its annotation brings back."""

    number: int
    total: Decimal
    due: datetime


class AsyncSession:
    """Stands for SQLAlchemy's: notes what is written, and knows whether it was closed."""

    def __init__(self, source: str = "database") -> None:
        self.source = source
        self.rows: list[str] = []
        self.closed = False
        self.error: BaseException | None = None

    async def write(self, row: str) -> None:
        assert not self.closed
        self.rows.append(row)


SESSIONS: list[AsyncSession] = []
"""All that `get_session` has made."""


async def get_session() -> AsyncIterator[AsyncSession]:
    session = AsyncSession()
    SESSIONS.append(session)
    try:
        yield session
    except BaseException as error:
        session.error = error
        raise
    finally:
        session.closed = True


def read(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()
