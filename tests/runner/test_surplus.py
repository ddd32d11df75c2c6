"""What a runner gives back because it cannot start it, and of which tasks it claims only few."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from postlude.model.job import Few
from postlude.runner.attempt.work import Work
from postlude.runner.executors.pool import ExecutorPool
from postlude.runner.giving_back import GivingBack
from postlude.runner.surplus import HELD_FOR, Surplus

pytestmark = pytest.mark.anyio


class FullExecutor:
    """Has no place until it is told that it has."""

    def __init__(self) -> None:
        self.waiting: deque[Work] = deque()
        self.free = 0
        self.ended_so_far = 0


class Scene:
    """Surplus, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.executor = FullExecutor()
        self.members = (self.executor,)
        self.given: list[Work] = []
        self.surplus = Surplus(cast(GivingBack, self), cast(ExecutorPool, self))
        self.now = 100.0
        monkeypatch.setattr(self.surplus, "_loop", self)

    def time(self) -> float:
        return self.now

    def some(self, which: Callable[[Work], bool]) -> None:
        back = [work for work in self.executor.waiting if which(work)]
        self.given += back
        for work in back:
            self.executor.waiting.remove(work)

    def wait(self, count: int = 1, name: str = "app:f") -> None:
        self.executor.waiting.extend(Work(bytes(16), name, "default", b"", 0) for _ in range(count))

    def look(self, after: float, ended: int = 0) -> list[Few]:
        self.now += after
        self.executor.ended_so_far += ended
        self.surplus.look()
        return self.surplus.few()


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


async def test_what_has_waited_long_enough_goes_back_and_no_sooner(scene: Scene) -> None:
    scene.wait()
    assert scene.look(0) == []
    assert scene.look(HELD_FOR * 0.9) == []
    scene.wait(name="app:g")
    assert scene.given == []
    assert scene.look(HELD_FOR * 0.2) == [Few({"app:f"}, 0)]
    assert [work.name for work in scene.given] == ["app:f"], "the other one has waited for a moment only"


async def test_who_is_waited_for_here_stays(scene: Scene) -> None:
    scene.wait()
    scene.executor.waiting[0].waiter = asyncio.get_running_loop().create_future()
    scene.look(0)
    assert scene.look(10) == []
    assert scene.given == []


async def test_once_there_is_a_place_that_nothing_waits_for_all_is_claimed_again(scene: Scene) -> None:
    scene.wait()
    scene.look(0)
    assert scene.look(1) == [Few({"app:f"}, 0)]
    scene.executor.free = 1
    assert scene.look(1) == []


async def test_as_many_are_claimed_as_it_will_start_in_a_moment(scene: Scene) -> None:
    """A tenth of a second of work, beyond what waits already."""
    scene.wait()
    scene.look(0)
    scene.look(1)
    assert scene.look(1, ended=100) == [Few({"app:f"}, 10)]
    scene.wait(4)
    assert scene.look(0.1, ended=10) == [Few({"app:f"}, 6)]
    scene.wait(20)
    assert cast(Any, scene.look(0.1, ended=10))[0].most == 0
