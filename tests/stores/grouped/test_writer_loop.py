"""What a loop sees of the writer: few wake-ups, cancelled waits, and other loops beside it."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from postlude.stores.grouped import batching as batching
from postlude.stores.grouped.backend import Verb
from postlude.stores.grouped.writer import Writer
from postlude.stores.reply import Reply
from tests.stores.scripted import PATIENCE, Door, ScriptedBackend, answered, reached, turns

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def turns_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests count in turns of the loop does not come earlier because the machine is busy."""
    for name in ("GATHER", "LINGER"):
        monkeypatch.setattr(batching, name, 60.0)


@pytest.fixture
def wakes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the writer's thread called on the loop."""
    seen: list[Any] = []
    inner = asyncio.BaseEventLoop.call_soon_threadsafe

    def counted(self: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.current_thread().name == "writer-under-test":
            seen.append(callback)
        return inner(self, callback, *args, **kwargs)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_soon_threadsafe", counted)
    return seen


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, asyncio.TimerHandle]]:
    """What was asked of the loop for later: the delay, and the timer."""
    seen: list[tuple[float, asyncio.TimerHandle]] = []
    inner = asyncio.BaseEventLoop.call_later

    def noted(self: Any, delay: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        seen.append((delay, inner(self, delay, *args, **kwargs)))
        return seen[-1][1]

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", noted)
    return seen


async def test_what_one_turn_asks_is_one_group_and_one_wake_up(
    writer: Writer, backend: ScriptedBackend, wakes: list[Any]
) -> None:
    answers = await asyncio.gather(*(writer.submit(Verb.ADD, number) for number in range(50)))
    assert [number for _, number in answers] == list(range(50))
    assert len(backend.groups) == 1
    assert len(wakes) == 1


async def test_what_is_asked_during_a_commit_goes_together(
    writer: Writer, backend: ScriptedBackend, wakes: list[Any]
) -> None:
    backend.at_commit.close()
    replies = [writer.submit(Verb.ADD, 0)]
    await reached(backend.at_commit)
    for number in range(1, 10):
        replies.append(writer.submit(Verb.ADD, number))
        await turns(1)
    backend.at_commit.open()
    await asyncio.gather(*replies)
    assert [group[0][1] for group in backend.groups] == [[0], list(range(1, 10))]
    assert len(wakes) == 2


async def test_a_lazy_request_waits_for_company(writer: Writer, backend: ScriptedBackend) -> None:
    lazy = writer.submit(Verb.FINISH, "lazy", lazy=True)
    await turns()
    assert backend.groups == []
    await writer.submit(Verb.ADD, "company")
    assert lazy.done
    assert backend.groups == [[(Verb.FINISH, ["lazy"]), (Verb.ADD, ["company"])]]


async def test_a_lazy_request_does_not_wait_for_long(
    writer: Writer, timers: list[tuple[float, asyncio.TimerHandle]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LINGER", 0.002)
    answers = await asyncio.gather(*(writer.submit(Verb.FINISH, n, lazy=True) for n in range(3)))
    assert answers == [("done", n) for n in range(3)]
    assert [delay for delay, _ in timers] == [batching.LINGER], "one timer for all of them"


async def test_a_cancelled_wait_can_be_withdrawn_while_nobody_has_begun(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_begin.close()
    reply = writer.submit(Verb.ADD, "a")
    await turns()
    assert reply.future is not None
    reply.future.cancel()
    assert reply.withdraw() is True
    await answered(writer, backend)
    assert backend.stored == ["last"]


async def test_a_cancelled_wait_for_what_is_being_committed_is_an_orphan(
    writer: Writer, backend: ScriptedBackend
) -> None:
    backend.at_commit.close()
    reply = writer.submit(Verb.ADD, "a")
    await reached(backend.at_commit)
    assert reply.future is not None
    reply.future.cancel()
    assert reply.withdraw() is False
    heard: list[Any] = []
    reply.then(lambda reply: heard.append(reply.result()))
    await answered(writer, backend)
    assert heard == [("done", "a")]


async def test_cancelled_in_the_turn_that_brings_the_answer_it_is_an_orphan(writer: Writer) -> None:
    heard: list[Any] = []

    def cancel(_: object) -> None:
        asking.cancel()

    async def ask() -> None:
        reply = writer.submit(Verb.ADD, "a")
        assert reply.future is not None
        reply.future.add_done_callback(cancel)
        try:
            await reply
        except asyncio.CancelledError:
            assert reply.withdraw() is False
            reply.then(lambda reply: heard.append(reply.result()))
            raise

    asking = asyncio.create_task(ask())
    with pytest.raises(asyncio.CancelledError):
        await asking
    await turns()
    assert heard == [("done", "a")]


async def test_an_error_reaches_who_only_listens(writer: Writer, backend: ScriptedBackend) -> None:
    backend.breaks = ["commit"]
    heard: asyncio.Future[Reply[Any]] = asyncio.get_running_loop().create_future()
    reply = writer.submit(Verb.ADD, "a")
    reply.then(heard.set_result)
    assert await asyncio.wait_for(heard, PATIENCE) is reply
    assert reply.error is not None


async def test_a_loop_is_not_blocked_by_wait(writer: Writer) -> None:
    reply = writer.submit(Verb.ADD, "a")
    with pytest.raises(RuntimeError, match="await"):
        reply.wait()
    await reply


def test_a_thread_is_told_to_wait(writer: Writer) -> None:
    reply = writer.submit(Verb.ADD, "a")
    with pytest.raises(RuntimeError, match="wait"):
        reply.__await__()
    assert reply.wait(PATIENCE) == ("done", "a")


def test_two_loops_share_a_writer(writer: Writer, backend: ScriptedBackend) -> None:
    both = threading.Barrier(2)
    answers: dict[str, list[Any]] = {}

    async def ask(name: str) -> None:
        both.wait(PATIENCE)
        asked = [await writer.submit(Verb.ADD, f"{name}{number}", budget=PATIENCE) for number in range(20)]
        answers[name] = [argument for _, argument in asked]

    threads = [threading.Thread(target=asyncio.run, args=(ask(name),)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == {name: [f"{name}{number}" for number in range(20)] for name in "ab"}
    assert len(backend.stored) == 40


@pytest.mark.parametrize("where", ["at_begin", "at_commit"])
def test_a_loop_that_has_closed_stops_nobody(
    writer: Writer, backend: ScriptedBackend, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    door: Door = getattr(backend, where)

    async def leave() -> None:
        writer.submit(Verb.ADD, "a")
        await reached(door)

    door.close()
    asyncio.run(leave())
    reply = writer.submit(Verb.ADD, "b")
    door.open()
    assert reply.wait(PATIENCE) == ("done", "b")
    assert backend.stored == ["a", "b"]
    assert len(backend.groups) == {"at_begin": 1, "at_commit": 2}[where], "none was tried again"
    assert caplog.text == ""


@pytest.mark.parametrize(("rows", "handed_over"), [(batching.ENOUGH, True), (batching.ENOUGH - 1, False)])
async def test_what_is_worth_a_commit_waits_for_nobody(
    writer: Writer, backend: ScriptedBackend, rows: int, handed_over: bool
) -> None:
    """The writer goes on with it, whatever the answers that it has just given set going on the loop."""
    backend.at_commit.close()
    first = writer.submit(Verb.ADD, "first")
    await reached(backend.at_commit)
    second = writer.submit(Verb.ADD, "second", rows=rows)
    for _ in range(2 * batching.QUIET):
        await asyncio.sleep(0)
    assert _handed_over(writer, second) == handed_over
    backend.at_commit.open()
    assert await second == ("done", "second")
    assert await first == ("done", "first")


@pytest.mark.usefixtures("young_only")
def test_loops_that_have_closed_are_forgotten(writer: Writer) -> None:
    """Each call of a test client without `with` has a loop of its own."""

    async def ask() -> weakref.ref[asyncio.AbstractEventLoop]:
        assert await writer.submit(Verb.ADD, "a") == ("done", "a")
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(ask()) for _ in range(5)]
    gc.collect()
    assert sum(loop() is not None for loop in loops) <= 1


async def test_requests_of_several_turns_are_one_group(writer: Writer, backend: ScriptedBackend) -> None:
    """Requests come over many sockets, and few of them in one turn of the loop."""
    asked: list[Reply[Any]] = []
    for number in range(5):
        for _ in range(batching.QUIET - 1):
            await asyncio.sleep(0)
        assert not any(_handed_over(writer, request) for request in asked)
        asked.append(writer.submit(Verb.ADD, number))
    for request in asked:
        await request
    assert backend.groups == [[(Verb.ADD, [0, 1, 2, 3, 4])]]


async def test_no_stream_of_requests_keeps_the_first_waiting(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "GATHER", 0.004)
    first = writer.submit(Verb.ADD, "first")
    until = time.monotonic() + PATIENCE
    while not first.done:
        assert time.monotonic() < until
        writer.submit(Verb.ADD, "another", rows=0)
        await asyncio.sleep(0)


async def test_a_lazy_request_waits_for_company_and_comes_alone_in_the_end(
    writer: Writer, backend: ScriptedBackend
) -> None:
    lazy = writer.submit(Verb.PROGRESS, "lazy", lazy=True)
    for _ in range(2 * batching.QUIET):
        await asyncio.sleep(0)
    assert not _handed_over(writer, lazy)
    writer._gate_of(asyncio.get_running_loop())._lingered()
    assert await lazy == ("done", "lazy")


def _handed_over(writer: Writer, request: Any) -> bool:
    return request not in writer._gate_of(asyncio.get_running_loop())._open.requests


class Cargo:
    """An argument that tells how long it is kept."""

    def __init__(self, alive: weakref.WeakSet["Cargo"]) -> None:
        alive.add(self)


@contextmanager
def no_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_what_was_answered_leaves_nothing_for_the_garbage_collector(
    writer: Writer, backend: ScriptedBackend
) -> None:
    """A request knows its batch: a cycle would keep it, and the arguments of its jobs, for a while."""
    alive = weakref.WeakSet[Cargo]()
    with no_collector():
        await asyncio.gather(*(writer.submit(Verb.ADD, Cargo(alive), budget=60.0) for _ in range(3)))
        await asyncio.to_thread(lambda: writer.submit(Verb.ADD, Cargo(alive)).wait(PATIENCE) and None)
        assert writer.stop(PATIENCE)
        backend.forget()
        assert not alive


async def test_after_all_was_called_off_what_comes_next_is_handed_over(writer: Writer) -> None:
    replies = [writer.submit(Verb.ADD, number) for number in range(2)]
    for reply in replies:
        assert reply.withdraw()
    await turns(2 * batching.QUIET)
    assert await asyncio.wait_for(writer.submit(Verb.ADD, "next"), PATIENCE) == ("done", "next")


async def test_an_orphan_leaves_nothing_for_the_garbage_collector(
    writer: Writer, backend: ScriptedBackend
) -> None:
    alive = weakref.WeakSet[Cargo]()
    with no_collector():
        backend.at_commit.close()
        reply = writer.submit(Verb.ADD, Cargo(alive))
        await reached(backend.at_commit)
        heard: list[Any] = []
        assert reply.future is not None
        reply.future.cancel()
        reply.then(lambda reply: heard.append(reply.result()[0]))
        del reply
        await answered(writer, backend)
        await turns()
        assert heard == ["done"]
        assert writer.stop(PATIENCE)
        backend.forget()
        assert not alive
