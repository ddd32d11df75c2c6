"""Claiming ahead: when the journal is asked, and for how much."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

import anyio
import pytest

from postlude.clock import SECOND, ManualClock
from postlude.errors import JournalUnavailable
from postlude.model.event import Event
from postlude.model.event.jobs import JobsClaimed
from postlude.model.job import Claim, Claimed, Few, FreeSlots
from postlude.model.queues import ALL, Queues
from postlude.runner.claimer import Claimer
from postlude.runner.lease import Lease
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.telemetry.logging import logged

pytestmark = pytest.mark.anyio
NOTHING = Claimed([])


def claims(count: int) -> list[Claim]:
    return [
        Claim(n, bytes([n]) * 16, 1, "app:f", "default", b"", 0, False, False, 0) for n in range(1, count + 1)
    ]


class Journal:
    """Answers when it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.events = logged()
        self.asked: list[tuple[int, int, bool, FreeSlots]] = []
        self.replies: list[Reply[Claimed]] = []

    def claim(
        self, runner: int, limit: int, *, suspect: bool, free: FreeSlots, behind: int, few: Sequence[Few],
        queues: Queues,
    ) -> Reply[Claimed]:  # fmt: skip
        assert queues is ALL
        self.few = few
        self.asked.append((runner, limit, suspect, free))
        self.replies.append(Reply.here())
        return self.replies[-1]

    async def answer(self, value: Claimed | BaseException) -> None:
        reply = self.replies.pop(0)
        error = value if isinstance(value, BaseException) else None
        reply.resolve(None if error else value, error)
        reply.deliver()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class FakePace:
    low, limit = 4, 10


class Taker:
    """A runner that may hold ten jobs, and wants more when it holds four."""

    def __init__(self) -> None:
        self.pace = cast(Any, FakePace())
        self.load = 0
        self.free = FreeSlots(2, 1, 0)
        self.wants_suspect = True
        self.groups: Sequence[Few] = ()
        self.taken: list[Claim] = []

    def few(self) -> Sequence[Few]:
        return self.groups

    def accept(self, claims: Sequence[Claim]) -> None:
        self.taken += claims
        self.load += len(claims)


class FakeMembership:
    runner = 7


class Scene:
    def __init__(self) -> None:
        self.journal, self.taker, self.clock = Journal(), Taker(), ManualClock()
        self.claimer = Claimer(
            cast(Store, self.journal),
            cast(Lease, FakeMembership()),
            self.taker,
            self.clock,
        )

    @property
    def times(self) -> int:
        return len(self.journal.asked)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_it_asks_for_what_the_runner_may_hold_beyond_what_it_holds(scene: Scene) -> None:
    scene.taker.load = 3
    scene.claimer.pump()
    assert scene.journal.asked == [(7, 7, True, FreeSlots(2, 1, 0))]
    scene.taker.wants_suspect, scene.taker.load, scene.taker.free = False, 0, FreeSlots(0, 0, 5)
    await scene.journal.answer(Claimed([], more=True))
    assert scene.journal.asked[1:] == [(7, 10, False, FreeSlots(0, 0, 5))]


async def test_one_request_at_a_time(scene: Scene) -> None:
    scene.claimer.pump()
    scene.claimer.notify()
    scene.claimer.pump()
    assert (scene.times, scene.claimer.busy) == (1, True)
    await scene.journal.answer(NOTHING)
    assert scene.times == 2, "it was told of work while it asked"
    await scene.journal.answer(NOTHING)
    assert (scene.times, scene.claimer.busy) == (2, False)


async def test_an_empty_journal_is_asked_again_only_when_it_may_have_work(scene: Scene) -> None:
    scene.claimer.pump()
    await scene.journal.answer(NOTHING)
    scene.claimer.pump()
    assert scene.times == 1
    scene.claimer.notify()
    assert scene.times == 2


async def test_a_journal_that_gave_all_it_had_is_not_asked_again(scene: Scene) -> None:
    scene.claimer.pump()
    await scene.journal.answer(Claimed(claims(2)))
    assert scene.taker.taken == claims(2)
    scene.taker.load = 0
    scene.claimer.pump()
    assert scene.times == 1


async def test_more_is_asked_for_when_the_runner_holds_little(scene: Scene) -> None:
    scene.claimer.pump()
    await scene.journal.answer(Claimed(claims(5), more=True))
    assert (scene.times, scene.taker.load) == (1, 5)
    scene.claimer.pump()
    assert scene.times == 1
    scene.taker.load = FakePace.low
    scene.claimer.pump()
    assert scene.journal.asked[1][1] == 6


async def test_more_is_asked_for_at_once_if_it_holds_little_still(scene: Scene) -> None:
    scene.claimer.pump()
    await scene.journal.answer(Claimed(claims(4), more=True))
    assert scene.times == 2


async def test_without_room_what_was_held_back_is_not_asked_for(scene: Scene) -> None:
    """It ends this claim of its queue, and the next one would end there too."""
    scene.taker.free = FreeSlots(0, 0, 0)
    scene.claimer.pump()
    assert scene.times == 1, "there may be jobs that need no room"
    await scene.journal.answer(Claimed([], more=True))
    scene.claimer.pump()
    assert scene.times == 1
    scene.taker.free = FreeSlots(0, 1, 0)
    scene.claimer.pump()
    assert scene.times == 2


async def test_without_room_it_asks_again_when_it_hears_of_work(scene: Scene) -> None:
    """Of jobs that have no limit, perhaps."""
    scene.taker.free = FreeSlots(0, 0, 0)
    scene.claimer.pump()
    await scene.journal.answer(Claimed([], more=True))
    scene.claimer.notify()
    assert scene.times == 2


async def test_with_room_that_was_not_used_up_something_else_held_it_back(scene: Scene) -> None:
    scene.taker.pace.limit = 2
    scene.claimer.pump()
    scene.taker.free = FreeSlots(0, 0, 0)
    await scene.journal.answer(Claimed(claims(2), more=True))
    scene.taker.load = 0
    scene.claimer.pump()
    assert scene.times == 2


async def test_it_asks_again_when_a_rate_lets_more_start(scene: Scene) -> None:
    scene.claimer.pump()
    await scene.journal.answer(Claimed([], again=scene.clock.now() + SECOND // 50))
    assert scene.times == 1
    with anyio.fail_after(10):
        while scene.times < 2:
            await asyncio.sleep(0.001)


async def test_it_waits_for_that_moment(scene: Scene) -> None:
    scene.claimer.pump()
    await scene.journal.answer(Claimed([], again=scene.clock.now() + 60 * SECOND))
    await asyncio.sleep(0.02)
    assert scene.times == 1


async def test_a_moment_that_has_passed_is_now(scene: Scene) -> None:
    scene.claimer.pump()
    await scene.journal.answer(Claimed([], again=scene.clock.now() - SECOND))
    with anyio.fail_after(10):
        while scene.times < 2:
            await asyncio.sleep(0)


async def test_after_an_error_it_waits_for_who_pumps_next(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at once: the journal would be asked without pause while it cannot answer."""
    scene.claimer.pump()
    await scene.journal.answer(JournalUnavailable("disk full"))
    assert (scene.times, scene.claimer.busy, scene.claimer.failed) == (1, False, True)
    assert "no jobs could be claimed: disk full" in caplog.text
    scene.claimer.pump()
    assert scene.times == 2


async def test_stopped_it_asks_no_more(scene: Scene) -> None:
    scene.claimer.stopped = True
    scene.claimer.notify()
    assert scene.times == 0
    scene.claimer.stopped = False
    scene.claimer.pump()
    scene.claimer.stopped = True
    await scene.journal.answer(Claimed(claims(1), more=True))
    assert (scene.times, scene.taker.taken) == (1, claims(1)), "what it has claimed, it gives"


async def test_who_listens_is_told(scene: Scene) -> None:
    heard = list[Event]()
    scene.journal.events.listen(heard.append, JobsClaimed)
    scene.claimer.pump()
    await scene.journal.answer(Claimed([], more=True))
    assert heard == []
    await scene.journal.answer(Claimed(claims(2)))
    assert heard == [JobsClaimed(7, claims(2))]


class TestOnce:
    async def test_it_asks_also_when_stopped(self, scene: Scene) -> None:
        scene.claimer.stopped = True
        asking = asyncio.create_task(scene.claimer.once())
        await asyncio.sleep(0)
        assert scene.journal.asked[0][1] == 10
        await scene.journal.answer(Claimed(claims(3)))
        assert await asking == 3
        assert scene.taker.taken == claims(3)

    async def test_a_full_runner_asks_for_nothing(self, scene: Scene) -> None:
        scene.taker.load = 10
        assert await scene.claimer.once() == 0
        assert scene.times == 0

    async def test_an_error_is_its_callers(self, scene: Scene) -> None:
        asking = asyncio.create_task(scene.claimer.once())
        await asyncio.sleep(0)
        await scene.journal.answer(JournalUnavailable("no"))
        with pytest.raises(JournalUnavailable):
            await asking

    async def test_who_does_not_wait_any_more_loses_no_claims(self, scene: Scene) -> None:
        asking = asyncio.create_task(scene.claimer.once())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        await scene.journal.answer(Claimed(claims(2)))
        assert scene.taker.taken == claims(2)


@pytest.fixture(autouse=True)
def nothing_is_lost(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An error in a callback reaches nobody but the loop's log."""
    yield
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_what_was_passed_over_is_asked_for_when_it_may_be_taken(scene: Scene) -> None:
    full, other = {"app:full"}, {"app:other"}
    scene.taker.groups = [Few(full, 0), Few(other, 3)]
    scene.claimer.pump()
    assert scene.journal.few == scene.taker.groups
    await scene.journal.answer(Claimed([], passed=(0,)))
    scene.claimer.pump()
    assert scene.times == 1, "of the one that could be taken none was passed over"
    scene.taker.groups = [Few(full, 1), Few(other, 0)]
    scene.claimer.pump()
    assert scene.times == 2
    await scene.journal.answer(Claimed([]))
    scene.claimer.pump()
    assert scene.times == 2, "there were no more of it"


async def test_what_was_passed_over_is_asked_for_when_all_may_be_taken(scene: Scene) -> None:
    scene.taker.groups = [Few({"app:full"}, 0)]
    scene.claimer.pump()
    await scene.journal.answer(Claimed([], passed=(0,)))
    scene.taker.groups = []
    scene.claimer.pump()
    assert scene.times == 2
