"""The heartbeat watches the loop, and takes nothing else for its standstill."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from postlude.clock import ManualClock
from postlude.config import Config
from postlude.model.event.runner import JobName, LoopStalled
from postlude.runner.lease import Lease
from postlude.stores.protocol import NewRunner, Store
from postlude.telemetry.events import Events

pytestmark = pytest.mark.anyio


class Watched:
    """A runner on the running loop, with one job that has not started."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.given_back = 0

    def give_back(self) -> int:
        self.given_back += 1
        return 1

    def on_loop(self) -> JobName | None:
        return None


class Heart:
    """A lease whose beats a test makes."""

    def __init__(self) -> None:
        self.told: list[LoopStalled] = []
        events, self._clock = Events(), ManualClock()
        events.listen(self.told.append, LoopStalled)
        store: Any = SimpleNamespace(events=events)
        self._config = Config(lease=1.0, renew_every=0.5)
        self._lease = Lease(cast(Store, store), self._config, self._clock, NewRunner("", 1.0))
        self.watched = Watched()
        self._lease._watched = self.watched

    def beat(self, renewed_after: float) -> None:
        """Renew, which takes so many seconds, and look at the loop."""
        self._clock.advance(renewed_after)
        self._lease._look_at_loop()


async def test_a_loop_that_turns_has_not_stalled_however_long_a_renewal_takes() -> None:
    heart = Heart()
    for _ in range(4):
        heart.beat(5.0)
        await asyncio.sleep(0)
    assert (heart.told, heart.watched.given_back) == ([], 0)


async def test_a_loop_that_does_not_turn_has_stalled_once() -> None:
    heart = Heart()
    for _ in range(4):
        heart.beat(0.6)
    assert [round(told.seconds, 1) for told in heart.told] == [1.2]
    assert heart.watched.given_back == 1
    await asyncio.sleep(0)
    for _ in range(3):
        heart.beat(0.6)
    assert len(heart.told) == 2, "and again, when it has turned meanwhile"
