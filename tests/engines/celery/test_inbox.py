"""How long a call of Celery's lasts that brings a job."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from uuid import UUID

import pytest

from postlude import JournalUnavailable
from postlude.engines.celery import inbox as module
from postlude.engines.celery.inbox import Inbox
from postlude.engines.protocol import Hands
from postlude.model.refusal import Over, Refusal, Refused

NAMES = [str(UUID(int=number)) for number in range(9)]


class Fake:
    """Takes jobs, and ends them when it is told to."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.came = threading.Semaphore(0)
        self.overs: list[Over] = []

    async def __call__(self, ids: Sequence[bytes]) -> list[Refused]:
        raise AssertionError

    def hand(self, id: bytes, over: Over) -> None:
        self.overs.append(over)
        self.came.release()


@pytest.fixture(autouse=True)
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told."""
    monkeypatch.setattr(module, "LOOK_EVERY", 60.0)
    monkeypatch.setattr(module, "PLACE_FOR", 60.0)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def calls() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def opened(hands: Fake, loop: asyncio.AbstractEventLoop, *, exact: bool = False) -> Inbox:
    assert isinstance(hands, Hands)
    inbox = Inbox()
    inbox.open(hands, loop, exact=exact)
    return inbox


def test_a_call_returns_at_once_while_no_more_are_under_way_than_end_in_a_moment(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor
) -> None:
    hands = Fake(ahead=2)
    inbox = opened(hands, loop)
    inbox.take(NAMES[0])
    inbox.take(NAMES[1])
    third = calls.submit(inbox.take, NAMES[2])
    for _ in range(3):
        assert hands.came.acquire(timeout=9)
    assert not third.done()
    hands.overs[0](None)
    third.result(9)  # another has ended: there is room again
    inbox.idle(0.0)
    assert inbox._held == 2
    hands.overs[1](Refusal.RUNNING)
    hands.overs[2](None)
    inbox.idle(9)
    assert inbox._held == 0


@pytest.mark.parametrize(("ahead", "exact"), [(0, False), (9, True)])
def test_it_lasts_as_long_as_its_job_where_jobs_are_long_or_it_is_to_be_exact(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor, ahead: int, exact: bool
) -> None:
    hands = Fake(ahead)
    inbox = opened(hands, loop, exact=exact)
    first, second = (calls.submit(inbox.take, name) for name in NAMES[:2])
    for _ in range(2):
        assert hands.came.acquire(timeout=9)
    hands.overs[1](None)
    done, left = wait([first, second], 9, FIRST_COMPLETED)
    assert (len(done), len(left)) == (1, 1)
    hands.overs[0](None)
    for call in left:
        call.result(9)


def test_while_one_is_long_whose_call_has_returned_another_call_lasts_in_its_place(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor
) -> None:
    hands = Fake(ahead=1)
    inbox = opened(hands, loop)
    inbox.take(NAMES[0])
    hands.ahead = 0
    second, third = (calls.submit(inbox.take, name) for name in NAMES[1:3])
    for _ in range(3):
        assert hands.came.acquire(timeout=9)
    hands.overs[1](None)
    hands.overs[2](None)  # one of them may return, and the other stands for the first
    done, _ = wait([second, third], 9, FIRST_COMPLETED)
    assert len(done) == 1
    assert inbox._held == inbox._waiting == 1
    hands.overs[0](None)
    second.result(9)
    third.result(9)
    assert inbox._held == inbox._waiting == 0


def test_a_call_does_not_last_for_ever_in_place_of_another(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLACE_FOR", 0.01)
    hands = Fake(ahead=1)
    inbox = opened(hands, loop)
    inbox.take(NAMES[0])
    hands.ahead = 0
    second = calls.submit(inbox.take, NAMES[1])
    for _ in range(2):
        assert hands.came.acquire(timeout=9)
    hands.overs[1](Refusal.FULL)
    second.result(9)  # the message that has come for this process by then goes to another
    assert inbox._held == 1


def test_a_call_that_is_cut_short_is_not_counted(loop: asyncio.AbstractEventLoop) -> None:
    class Cut(Fake):
        def hand(self, id: bytes, over: Over) -> None:
            raise TimeoutError

    inbox = opened(Cut(ahead=0), loop)
    with pytest.raises(TimeoutError):
        inbox.take(NAMES[0])
    assert inbox._waiting == 0


def test_what_was_handed_over_is_not_waited_for_when_that_is_in_vain(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    inbox = opened(Fake(ahead=1), loop)
    inbox.take(NAMES[0])
    looks = iter([False, False, True])
    inbox.idle(in_vain=lambda: next(looks))
    assert inbox._held == 1


def test_a_worker_can_ask_that_calls_last_as_long_as_their_jobs(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor
) -> None:
    inbox, hands = Inbox(), Fake(ahead=9)
    inbox.exact = True
    inbox.open(hands, loop)
    call = calls.submit(inbox.take, NAMES[0])
    assert hands.came.acquire(timeout=9)
    assert inbox._waiting == 1
    hands.overs[0](None)
    call.result(9)


def test_while_the_journal_cannot_be_written_it_is_handed_over_again(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.0)
    monkeypatch.setattr(module, "LATEST", 0.0)
    hands = Fake(ahead=0)
    inbox = opened(hands, loop)
    call = calls.submit(inbox.take, NAMES[0])
    for _ in range(3):
        assert hands.came.acquire(timeout=9)
        loop.call_soon_threadsafe(hands.overs[-1], JournalUnavailable("full"))
    assert hands.came.acquire(timeout=9)
    assert not call.done()
    hands.overs[-1](None)
    call.result(9)
    assert inbox._held == 0


def test_when_it_closes_nothing_is_handed_over_again(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor
) -> None:
    hands = Fake(ahead=1)
    inbox = opened(hands, loop)
    inbox.take(NAMES[0])
    closed = asyncio.run_coroutine_threadsafe(inbox.close(9), loop)
    while not inbox.is_closed():
        pass
    inbox.take(NAMES[1])  # nobody runs it: the journal has it published again
    assert len(hands.overs) == 1
    hands.overs[0](JournalUnavailable("full"))
    closed.result(9)


def test_a_call_that_waits_for_the_journal_while_it_closes_returns(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor
) -> None:
    hands = Fake(ahead=0)
    inbox = opened(hands, loop)
    call = calls.submit(inbox.take, NAMES[0])
    assert hands.came.acquire(timeout=9)
    inbox.shut()
    hands.overs[0](JournalUnavailable("full"))
    call.result(9)  # and raises nothing: Celery would log it as a failure
    assert inbox._held == 0


def test_what_is_wrong_with_a_claim_is_raised_in_the_call(
    loop: asyncio.AbstractEventLoop, calls: ThreadPoolExecutor
) -> None:
    hands = Fake(ahead=0)
    inbox = opened(hands, loop)
    call = calls.submit(inbox.take, NAMES[0])
    assert hands.came.acquire(timeout=9)
    hands.overs[0](KeyError("a fault"))
    with pytest.raises(KeyError):
        call.result(9)


def test_a_call_ends_when_the_loop_has_closed(
    calls: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    hands, loop = Fake(ahead=0), asyncio.new_event_loop()
    inbox = opened(hands, loop)
    call = calls.submit(inbox.take, NAMES[0])
    assert hands.came.acquire(timeout=9)
    loop.close()
    call.result(9)
    with pytest.raises(ValueError):
        inbox.take("no id")
    inbox.idle()  # it does not wait for what can never be said


def test_a_run_that_takes_no_jobs_over_is_called_for_each(loop: asyncio.AbstractEventLoop) -> None:
    ran: list[bytes] = []

    async def run(ids: object) -> list[Refused]:
        assert isinstance(ids, list)
        ran.extend(ids)
        if len(ran) == 2:
            raise KeyError("a fault")
        return []

    inbox = Inbox()
    inbox.open(run, loop)
    inbox.take(NAMES[3])
    assert ran == [UUID(NAMES[3]).bytes]
    with pytest.raises(KeyError):
        inbox.take(NAMES[4])
    assert inbox._held == 0
