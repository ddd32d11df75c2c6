"""Ends on their way to the journal: gathered, offered again, forgotten."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from postlude.errors import JournalUnavailable
from postlude.model.outcome import SUCCEEDED, Failed, Finish, LogLine
from postlude.runner import finisher as ends
from postlude.runner.attempt.work import Work
from postlude.runner.finisher import Finisher
from postlude.stores.reply import Reply
from postlude.telemetry.logging import logged

pytestmark = pytest.mark.anyio


class Journal:
    """Remembers what it was offered; answers when it is told to."""

    def __init__(self) -> None:
        self.events = logged()
        self.offered: list[int] = []
        self.replies: list[Reply[list[bool]]] = []
        self.last: Finish

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        self.offered.append(len(finishes))
        self.last = finishes[-1]
        self.replies.append(Reply.here())
        return self.replies[-1]

    async def refuse(self, why: BaseException | None = None) -> None:
        reply = self.replies.pop(0)
        error = JournalUnavailable("it is closed")
        error.__cause__ = why
        reply.resolve(None, error)
        reply.deliver()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture
def journal() -> Journal:
    return Journal()


def end(to: Finisher) -> None:
    to.add(Work(b"0" * 16, "app:f", "default", b"", 0), Finish(1, 1, "app:f", 0, 1, SUCCEEDED))


def made(journal: Journal) -> Finisher:
    return Finisher(cast(Any, journal), lambda ended, urgent: None, lambda settled: None)


async def test_many_are_offered_at_once(journal: Journal) -> None:
    """In the same turn: the journal can write them while more end."""
    some = made(journal)
    for _ in range(ends.MANY + 1):
        end(some)
    assert journal.offered == [ends.MANY]
    some.offer()
    assert journal.offered == [ends.MANY, 1]


async def test_what_is_refused_is_offered_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "AGAIN_AFTER", 0.001)
    some = made(journal)
    end(some)
    some.offer()
    await journal.refuse()
    assert not some.settled
    async with asyncio.timeout(5):
        while journal.offered != [1, 1]:
            await asyncio.sleep(0.001)


async def test_what_is_forgotten_is_not(journal: Journal) -> None:
    some = made(journal)
    end(some)
    some.offer()
    end(some)
    some.forget()
    end(some)
    await journal.refuse()
    some.offer()
    assert (journal.offered, some.settled, some.failed) == ([1], True, False)


async def test_an_end_that_no_journal_can_take_gives_way(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, so that no other waits for it; then without its lines; then as a failure that says why."""
    monkeypatch.setattr(ends, "AGAIN_AFTER", 0.001)
    some = made(journal)
    end(some)
    lines = (LogLine(1, 20, "shop", "x"),)
    some.add(Work(b"1" * 16, "app:f", "default", b"", 0), Finish(2, 1, "app:f", 0, 1, SUCCEEDED, lines))
    some.offer()
    await journal.refuse(OverflowError("too large"))
    assert journal.offered == [2, 1, 1]
    journal.replies.pop(0)
    for offers in (4, 5):
        await journal.refuse(OverflowError("too large"))
        async with asyncio.timeout(5):
            while len(journal.offered) < offers:
                await asyncio.sleep(0.001)
        assert journal.last.logs == ()
    assert isinstance(journal.last.outcome, Failed)
    assert journal.last.outcome.error.endswith("could not be written: OverflowError: too large")


def urgent_end(to: Finisher, seq: int = 1) -> None:
    work = Work(b"2" * 16, "app:f", "default", b"", 0)
    work.urgent = True
    to.add(work, Finish(seq, 1, "app:f", 0, 1, SUCCEEDED))


async def test_one_that_jobs_in_the_journal_wait_for_does_not_wait_for_company(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "GATHER", 60.0)
    some = made(journal)
    end(some)
    urgent_end(some)
    async with asyncio.timeout(5):
        while journal.offered != [2]:
            await asyncio.sleep(0)


@pytest.mark.parametrize("why", [None, OverflowError("too large")])
async def test_it_is_as_urgent_when_it_is_offered_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, why: BaseException | None
) -> None:
    """All together a moment later; or each alone at once, since the other one may be at fault."""
    monkeypatch.setattr(ends, "AGAIN_AFTER", 0.001)
    told: list[tuple[int, bool]] = []
    some = Finisher(cast(Any, journal), lambda *offered: told.append(offered), lambda settled: None)
    end(some)
    urgent_end(some, 2)
    some.offer()
    await journal.refuse(why)
    again = [(2, True)] if why is None else [(1, False), (1, True)]
    async with asyncio.timeout(5):
        while len(told) < 1 + len(again):
            await asyncio.sleep(0.001)
    assert told == [(2, True), *again]
