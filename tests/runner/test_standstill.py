"""Jobs that wait for jobs and take all places: when that is told, and when not."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from postlude.model.event.runner import SlotsTaken
from postlude.model.job import JobRecord
from postlude.model.state import Reason, Stored
from postlude.runner.attempt.work import Work
from postlude.runner.executors.pool import ExecutorPool
from postlude.runner.standstill import AFTER, Standstill
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.telemetry.events import Events

pytestmark = pytest.mark.anyio


class FullExecutor:
    """Has no place, unless it is told so."""

    def __init__(self) -> None:
        self.free = 0
        self.running: list[Work] = []


class Scene:
    """An executor whose works all wait for one job, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events = Events()
        self.told: list[SlotsTaken] = []
        self.events.listen(self.told.append, SlotsTaken)
        self.executor = FullExecutor()
        self.settings = {self.executor: "slots=1"}
        self.job: Any = SimpleNamespace(task="app:child", stored=Stored.READY, reason=None, started=None)
        self.full = False
        self.now = 0.0
        self.standstill = Standstill(cast(ExecutorPool, self), cast(Store, self), lambda: self.full)
        monkeypatch.setattr(self.standstill, "_loop", self)

    def time(self) -> float:
        return self.now

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        return Reply.of(cast(JobRecord, self.job))

    def run(self) -> None:
        work = Work(bytes(16), "app:parent", "default", b"", 0)
        work.current = cast(Any, SimpleNamespace(waits=(bytes(16),)))
        self.executor.running = [work]

    async def look(self, after: float) -> int:
        self.now += after
        await self.standstill.look()
        return len(self.told)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(monkeypatch)
    scene.run()
    return scene


async def test_it_is_told_once_when_it_has_lasted(scene: Scene) -> None:
    assert await scene.look(0) == 0
    assert await scene.look(AFTER - 1) == 0
    assert await scene.look(1) == 1
    assert await scene.look(AFTER) == 1
    assert scene.told[0] == SlotsTaken("slots=1", ["app:parent"], ["app:child"])


async def test_others_that_wait_are_a_standstill_of_their_own(scene: Scene) -> None:
    await scene.look(0)
    await scene.look(AFTER)
    scene.run()
    assert await scene.look(AFTER) == 1, "these have waited for no time yet"
    assert await scene.look(AFTER - 1) == 1
    assert await scene.look(1) == 2


@pytest.mark.parametrize(
    ("stored", "reason", "started", "is_told"),
    [
        (Stored.READY, None, None, True),
        (Stored.BLOCKED, None, None, True),
        (Stored.BLOCKED, Reason.RATE, None, False),
        (Stored.BLOCKED, Reason.PAUSED, None, False),
        (Stored.SCHEDULED, None, None, False),
        (Stored.RUNNING, None, None, True),  # claimed, and not started
        (Stored.RUNNING, None, 1, False),
        (Stored.SUCCEEDED, None, 1, False),
    ],
)
async def test_it_is_told_where_what_they_wait_for_could_start_and_has_not(
    scene: Scene, stored: Stored, reason: Reason | None, started: int | None, is_told: bool
) -> None:
    scene.job.stored, scene.job.reason, scene.job.started = stored, reason, started
    await scene.look(0)
    assert await scene.look(AFTER) == is_told


async def test_free_places_help_nobody_where_no_more_may_be_held(scene: Scene) -> None:
    scene.executor.free = 1
    await scene.look(0)
    assert await scene.look(AFTER) == 0
    scene.full = True
    await scene.look(0)
    assert await scene.look(AFTER) == 1
    assert scene.told[0].setting == "ahead"
