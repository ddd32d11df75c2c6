"""Guests of the gate: they gather on their own, and hand in when the next write is put together."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from postlude.errors import JournalUnavailable
from postlude.stores.grouped import batching as batching
from postlude.stores.grouped.backend import Verb
from postlude.stores.grouped.writer import Writer
from postlude.stores.reply import Reply
from postlude.stores.sqlite.store import SqliteStore
from tests.stores.scripted import PATIENCE, ScriptedBackend, reached, turns

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Party:
    """A guest that asks for all that came as one."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.came: list[str] = []
        self.replies: list[Reply[Any]] = []
        self.handed_in = 0
        self.silent = False

    def __len__(self) -> int:
        return len(self.came)

    def come(self, *names: str) -> None:
        if not self.came:
            self.writer.gather(self)
        self.came += names

    def hand_in(self) -> None:
        self.handed_in += 1
        came, self.came = self.came, []
        if came and not self.silent:
            self.replies.append(self.writer.submit(Verb.ADD, "+".join(came), rows=len(came)))

    async def answers(self) -> list[Any]:
        return [await asyncio.wait_for(reply, PATIENCE) for reply in self.replies]


def groups(backend: ScriptedBackend) -> list[list[str]]:
    return [[argument for _, arguments in group for argument in arguments] for group in backend.groups]


async def test_a_guest_goes_with_what_others_ask(writer: Writer, backend: ScriptedBackend) -> None:
    party = Party(writer)
    party.come("a", "b")
    other = writer.submit(Verb.ADD, "c")
    await other
    assert await party.answers() == [("done", "a+b")]
    assert groups(backend) == [["c", "a+b"]]


async def test_a_guest_that_goes_on_gathering_is_waited_for(writer: Writer, backend: ScriptedBackend) -> None:
    party = Party(writer)
    party.come("a")
    for name in "bcd":
        await turns(batching.QUIET)
        assert party.handed_in == 0
        party.come(name)
    await turns(batching.QUIET + 2)
    assert party.handed_in == 1
    assert await party.answers() == [("done", "a+b+c+d")]


async def test_a_guest_does_not_hand_in_while_others_are_written(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_commit.close()
    first = writer.submit(Verb.ADD, "first")
    await reached(backend.at_commit)
    party = Party(writer)
    party.come("a")
    await turns(3 * batching.QUIET)
    assert party.handed_in == 0
    backend.at_commit.open()
    await first
    await turns(batching.QUIET + 3)
    assert await party.answers() == [("done", "a")]
    assert groups(backend) == [["first"], ["a"]]


async def test_a_guest_that_asks_twice_hands_in_once(writer: Writer) -> None:
    party = Party(writer)
    writer.gather(party)
    party.come("a")
    await turns(batching.QUIET + 3)
    assert party.handed_in == 1
    await party.answers()


async def test_two_guests_are_gathered_for_once(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    parties = [Party(writer), Party(writer)]
    first, second = parties
    first.come("a")
    monkeypatch.setattr(batching.Batching, "_gather", lambda self: pytest.fail("it gathers already"))
    second.come("b")
    await turns(batching.QUIET + 2)
    assert [party.handed_in for party in parties] == [1, 1]
    monkeypatch.undo()
    for party in parties:
        await party.answers()


async def test_a_guest_goes_with_a_full_batch(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_commit.close()
    first = writer.submit(Verb.ADD, "first")
    await reached(backend.at_commit)
    party = Party(writer)
    party.come("a")
    full = writer.submit(Verb.ADD, "full", rows=batching.ENOUGH)
    assert party.handed_in == 1
    backend.at_commit.open()
    await asyncio.gather(first, full)
    assert await party.answers() == [("done", "a")]


async def test_what_can_wait_does_not_wait_for_a_guest_that_asks_for_nothing(writer: Writer) -> None:
    party = Party(writer)
    party.silent = True
    called: list[str] = []
    party.come("a")
    writer.meanwhile(lambda: called.append("a"))
    await turns(batching.QUIET + 3)
    assert called == ["a"]


async def test_a_guest_of_a_journal_that_is_not_open_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.db")
    replies: list[Reply[Any]] = []

    class Late:
        def __len__(self) -> int:
            return 1

        def hand_in(self) -> None:
            replies.append(store.add([]))

    store.gather(Late())
    assert replies == []
    await turns(1)
    with pytest.raises(JournalUnavailable, match="not open"):
        await replies[0]
