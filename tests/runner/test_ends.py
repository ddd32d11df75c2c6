"""Ends on their way to the journal: gathered, offered again, forgotten."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from postlude.errors import JournalUnavailable
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.runner import ends
from postlude.runner.ends import Ends
from postlude.runner.work import Work
from postlude.stores.reply import Reply

pytestmark = pytest.mark.anyio


class Journal:
    """Remembers what it was offered; answers when it is told to."""

    def __init__(self) -> None:
        self.offered: list[int] = []
        self.replies: list[Reply[list[bool]]] = []

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        self.offered.append(len(finishes))
        self.replies.append(Reply.here())
        return self.replies[-1]

    async def refuse(self) -> None:
        reply = self.replies.pop(0)
        reply.resolve(None, JournalUnavailable("it is closed"))
        reply.deliver()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture
def journal() -> Journal:
    return Journal()


def end(to: Ends) -> None:
    to.add(Work(b"0" * 16, "app:f", "default", b"", 0), Finish(1, 1, "app:f", 0, 1, SUCCEEDED))


def made(journal: Journal) -> Ends:
    return Ends(cast(Any, journal), lambda ended, limited: None)


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
