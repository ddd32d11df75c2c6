"""Budgets: what a caller is told who could not wait longer, and what is stored then."""

import asyncio
import threading
from typing import Any

import pytest

from postlude.errors import JournalUnavailable
from postlude.stores.grouped import batching as batching
from postlude.stores.grouped.backend import Busy, Verb
from postlude.stores.grouped.batching import Batch, Batching
from postlude.stores.grouped.writer import Writer
from postlude.stores.reply import Reply
from tests.stores.scripted import ScriptedBackend, answered, reached, told

pytestmark = pytest.mark.anyio

SHORT = 0.02
"""A budget, in seconds, that runs out while a door is closed."""

LONG = 60.0
"""One that ends when the test says so."""


def run_out(writer: Writer, reply: Reply[Any]) -> None:
    """Let the budget of a reply end now, when the writer is where the test wants it."""
    assert isinstance(reply, batching.Request)
    reply.due = 0.0
    writer._gate_of(asyncio.get_running_loop())._look()


async def test_a_budget_that_runs_out_before_the_writer_begins(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_begin.close()
    late, patient = writer.submit(Verb.ADD, "late", budget=SHORT), writer.submit(Verb.ADD, "patient")
    assert "budget" in str(await told(late))
    await answered(writer, backend)
    await patient
    assert backend.stored == ["patient", "last"], "certainly not stored, not even afterwards"
    assert backend.disowned == []


async def test_a_budget_that_runs_out_while_the_database_is_locked(
    writer: Writer, backend: ScriptedBackend
) -> None:
    inner = backend.begin
    given = threading.Event()

    def begin(jobs: int = 0) -> None:
        if not given.wait(0.001):  # as SQLite does, which waits a while itself
            raise Busy
        inner()

    backend.begin = begin  # type: ignore[method-assign]
    assert "budget" in str(await told(writer.submit(Verb.ADD, "late", budget=SHORT)))
    given.set()
    await answered(writer, backend)
    assert backend.stored == ["last"]


async def test_a_budget_that_runs_out_while_it_waits_behind_a_commit(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_commit.close()
    first = writer.submit(Verb.ADD, "first")
    await reached(backend.at_commit)
    await told(writer.submit(Verb.ADD, "late", budget=SHORT))
    await answered(writer, backend)
    await first
    assert backend.stored == ["first", "last"]


async def test_a_budget_that_runs_out_during_the_commit_is_disowned_under_the_lock(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_commit.close()
    late, patient = writer.submit(Verb.ADD, "late", budget=LONG), writer.submit(Verb.ADD, "patient")
    await reached(backend.at_commit)
    run_out(writer, late)
    await told(late)
    await answered(writer, backend)
    assert await patient == ("done", "patient")
    assert backend.disowned == [("done", "late")]
    assert backend.disowned_under_lock


async def test_jobs_that_cannot_be_disowned_do_not_stop_the_writer(
    writer: Writer, backend: ScriptedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(results: Any) -> None:
        raise OSError("no space")

    backend.disown = fail  # type: ignore[method-assign]
    backend.at_commit.close()
    late = writer.submit(Verb.ADD, "late", budget=LONG)
    await reached(backend.at_commit)
    run_out(writer, late)
    await told(late)
    await answered(writer, backend)
    assert "could not be cancelled" in caplog.text


async def test_a_commit_that_failed_has_nothing_to_disown(writer: Writer, backend: ScriptedBackend) -> None:
    backend.at_commit.close()
    backend.breaks = ["commit"]
    late = writer.submit(Verb.ADD, "late", budget=LONG)
    await reached(backend.at_commit)
    run_out(writer, late)
    await told(late)
    await answered(writer, backend)
    assert backend.disowned == []


@pytest.mark.parametrize("breaks", [[], ["commit"]], ids=["stored", "failed"])
async def test_an_outcome_that_was_certain_first_is_told(
    writer: Writer, backend: ScriptedBackend, breaks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.breaks = list(breaks)
    door, answered_as_ever = backend.at_answer, Batching.answered

    def answered_late(batching: Batching, batch: Batch) -> None:
        door.pass_through()
        answered_as_ever(batching, batch)

    monkeypatch.setattr(Batching, "answered", answered_late)
    door.close()
    reply = writer.submit(Verb.ADD, "a", budget=LONG)
    await reached(door)
    run_out(writer, reply)
    assert reply.future is not None
    assert not reply.future.done(), "nothing is said against an outcome that is on its way"
    await answered(writer, backend)
    if breaks:
        assert "at commit" in str(await told(reply))
    else:
        assert await reply == ("done", "a")
    assert backend.disowned == []


@pytest.mark.parametrize("begun", [True, False])
async def test_who_was_told_503_has_no_other_answer(
    writer: Writer, backend: ScriptedBackend, begun: bool
) -> None:
    """A caller that was cancelled in the very turn in which its budget ran out asks once more."""
    door = backend.at_commit if begun else backend.at_lock
    door.close()
    reply = writer.submit(Verb.ADD, "a", budget=LONG)
    await reached(door)
    run_out(writer, reply)
    assert "within its budget" in str(await told(reply))
    heard: list[JournalUnavailable] = []

    def ask(reply: Reply[Any]) -> None:
        with pytest.raises(JournalUnavailable) as caught:
            reply.result()
        heard.append(caught.value)

    reply.then(ask)
    door.open()
    await answered(writer, backend)
    await asyncio.sleep(0)
    assert len(heard) == 1


async def test_who_only_listens_hears_that_the_budget_has_run_out(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_lock.close()
    reply = writer.submit(Verb.ADD, "a", budget=LONG)
    heard: list[Reply[Any]] = []
    reply.then(heard.append)
    await reached(backend.at_lock)
    run_out(writer, reply)
    await asyncio.sleep(0)
    assert heard == [reply]
    with pytest.raises(JournalUnavailable, match="within its budget"):
        reply.result()
    backend.at_lock.open()
    await answered(writer, backend)
    assert heard == [reply], "once"


def _taken() -> tuple[batching.Batch, batching.Request]:
    request = batching.Request(Verb.ADD, "a", None)
    batch = batching.Batch.of(request, 1, threading.Lock())
    batch.standing = batching.Standing.TAKEN
    return batch, request


def test_settled_or_abandoned_never_both(writer: Writer) -> None:
    batch, certain = _taken()
    assert writer._settle([batch]) == []
    assert not certain.abandon()
    batch, given_up = _taken()
    assert given_up.abandon()
    assert not given_up.withdraw()
    assert writer._settle([batch]) == [given_up]


def test_what_nobody_has_begun_with_is_not_begun_once_it_is_given_up(writer: Writer) -> None:
    batch, request = _taken()
    batch.standing = batching.Standing.WAITING
    assert request.abandon()
    assert batch.requests == []
    assert not request.withdraw(), "who was told that it takes too long has withdrawn nothing"
    assert not request.abandon()
    assert writer._settle([batch]) == []


async def test_each_of_two_batches_that_are_being_written_has_its_budgets(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_commit.close()
    first = writer.submit(Verb.ADD, "first", budget=LONG)
    await reached(backend.at_commit)
    second = writer.submit(Verb.ADD, "second", rows=batching.ENOUGH, budget=LONG)
    third = writer.submit(Verb.ADD, "third", rows=batching.ENOUGH, budget=LONG)
    for late in (first, second):
        run_out(writer, late)
        assert "budget" in str(await told(late))
    backend.at_commit.open()
    assert await third == ("done", "third")
