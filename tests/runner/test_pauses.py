"""What a runner does about pauses, and about claims that have crossed them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from postlude.errors import JournalUnavailable
from postlude.model.job import Claim
from postlude.runner.attempt.work import Work
from postlude.runner.executors.pool import ExecutorPool
from postlude.runner.giving_back import GivingBack
from postlude.runner.pauses import Pauses
from postlude.stores.protocol import Pause
from postlude.stores.reply import Reply

pytestmark = pytest.mark.anyio
MAIL = Pause("queue", "mail")


class Scene:
    def __init__(self) -> None:
        self.given: list[Work] = []
        self.asked: list[Callable[[Work], bool]] = []
        self.keeps_back: Callable[[Work], bool] | None = None
        self.claiming = self.refuses = False
        self.pauses = Pauses(cast(GivingBack, self), cast(ExecutorPool, self), lambda: self.claiming)

    def some(self, which: Callable[[Work], bool]) -> Reply[int]:
        self.asked.append(which)
        return Reply.failed(JournalUnavailable("not now")) if self.refuses else Reply.of(0)

    def these(self, works: Sequence[Work]) -> None:
        self.given += works

    def may_start(self, work: Work) -> bool:
        return self.keeps_back is None or not self.keeps_back(work)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


def work(queue: str = "mail", name: str = "app:send") -> Work:
    return Work(bytes(16), name, queue, b"", 0)


def claim(queue: str = "mail") -> Claim:
    return Claim(1, bytes(16), 1, "app:send", queue, b"", 0, False, False, 0)


async def turn() -> None:
    await asyncio.sleep(0)


async def test_while_nothing_is_paused_nobody_is_asked(scene: Scene) -> None:
    assert scene.keeps_back is None
    await scene.pauses.told([MAIL], paused=True)
    assert scene.keeps_back is not None
    await scene.pauses.told([MAIL], paused=False)
    assert cast(Any, scene.keeps_back) is None


async def test_what_could_not_be_given_back_does_not_start_either(scene: Scene) -> None:
    scene.refuses = True
    await scene.pauses.told([MAIL], paused=True)
    assert not scene.may_start(work())


@pytest.mark.parametrize("what", [MAIL, Pause("task", "app:send")])
async def test_what_would_start_goes_back(scene: Scene, what: Pause) -> None:
    await scene.pauses.told([what], paused=True)
    paused, other = work(), work("other", "app:other")
    assert [which(paused) for which in scene.asked] == [True]
    assert [which(other) for which in scene.asked] == [False]
    assert (scene.may_start(paused), scene.may_start(other)) == (False, True)
    await turn()
    assert scene.given == [paused]


async def test_what_is_known_is_not_given_back_again(scene: Scene) -> None:
    scene.pauses.know([MAIL])
    scene.pauses.know([MAIL])
    assert len(scene.asked) == 1


async def test_a_claim_that_has_crossed_the_pause_goes_back(scene: Scene) -> None:
    scene.claiming = True
    scene.pauses.know([MAIL])
    scene.pauses.trust([claim()])
    assert not scene.may_start(work())


async def test_what_is_claimed_later_has_been_resumed(scene: Scene) -> None:
    """By another process, of which this one has not heard so far."""
    scene.pauses.know([MAIL, Pause("queue", "other")])
    scene.pauses.trust([claim()])
    assert scene.may_start(work())
    assert not scene.may_start(work("other"))


async def test_what_was_read_before_is_out_of_date(scene: Scene) -> None:
    before = scene.pauses.changes
    await scene.pauses.told([MAIL], paused=True)
    assert scene.pauses.changes != before
