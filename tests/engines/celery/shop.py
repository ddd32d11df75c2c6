"""An application of which Celery's workers run a queue; what its jobs do is written to a file."""

import asyncio
import ctypes
import os
import select
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI

from postlude import CeleryEngine, Config, Postlude, Retry, current_job
from postlude.clock import Clock
from postlude.model.retry import Fixed
from tests.engines.celery.deaths import Deaths
from tests.engines.celery.memory import join_and_starve

QUEUE = "reports"


def told(name: str, otherwise: float) -> float:
    """Return a number that the environment says."""
    return float(os.environ.get(f"SHOP_{name}", otherwise))


def visibility(seconds: float) -> dict[str, float]:
    """Return how Redis hands out again what is not acknowledged: looked at each second, not each 100."""
    return {"visibility_timeout": seconds, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}


class Shop:
    """The application.

    Args:
        folder: where it notes what happens.
        store: its journal.
        broker: of its queue.
        starts_for: seconds that its start takes.
        clock: the time; the machine's by default.
    """

    def __init__(
        self, folder: Path, store: str, broker: str, starts_for: float = 0.0, clock: Clock | None = None
    ) -> None:
        self._said = folder / "said"
        self.deaths = Deaths(folder)
        self._starts_for = starts_for
        self.engine = CeleryEngine(broker)
        if visible := told("VISIBLE", 0):
            self.engine.app.conf.broker_transport_options = visibility(visible)
        self.app = FastAPI(lifespan=self._lifespan)
        self.postlude = Postlude(
            self.app,
            store=store,
            config=Config(
                reap_every=told("REAP_EVERY", 0.3), poll_every=0.1, grace=5.0, lease=told("LEASE", 6.0)
            ),
            queues={QUEUE: self.engine},
            clock=clock,
        )
        task = self.postlude.task
        self.note = task(self._note, name="note", queue=QUEUE)
        self.takes = task(self._takes, name="takes", queue=QUEUE)
        self.lasts = task(self._lasts, name="lasts", queue=QUEUE)
        self.sleeps = task(self._sleeps, name="sleeps", queue=QUEUE)
        self.on_loop = task(self._on_loop(), name="on_loop", queue=QUEUE)
        self.flaky = task(self._flaky, name="flaky", queue=QUEUE, retry=Retry(3, Fixed(0.1)))
        self.poison = task(self._poison, name="poison", queue=QUEUE)
        self.hungry = task(self._hungry, name="hungry", queue=QUEUE)
        self.doomed = task(self._doomed, name="doomed", queue=QUEUE)
        self.loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        await asyncio.sleep(self._starts_for)
        self.loop = asyncio.get_running_loop()
        yield
        self.say("closed", 0)

    def say(self, what: str, number: int) -> None:
        """Note something: a whole line, of many processes."""
        line = f"{time.monotonic():.6f} {os.getpid()} {threading.get_ident()} {what} {number}\n"
        with self._said.open("a") as file:
            file.write(line)

    def _note(self, number: int) -> int:
        self.say("begins", number)
        self.say("ends", number)
        return 2 * number

    def _takes(self, number: int, seconds: float) -> int:
        self.say("begins", number)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pause()
        self.say("ends", number)
        return number

    async def _sleeps(self, number: int, seconds: float) -> int:
        self.say("begins", number)
        await asyncio.sleep(seconds)
        self.say("ends", number)
        return number

    def _lasts(self, number: int, seconds: float) -> int:
        """Take so long by the clock of its process, which can be turned."""
        self.say("begins", number)
        until = time.time() + seconds
        while time.time() < until:
            pause()
        self.say("ends", number)
        return number

    def _on_loop(self) -> Any:
        shop = self

        async def session() -> AsyncIterator[Any]:
            """A resource of the loop that the lifespan has."""
            async with asyncio.Lock():
                yield shop.loop

        async def on_loop(number: int, loop: Any = Depends(session)) -> int:
            assert loop is asyncio.get_running_loop(), "another loop"
            shop.say("begins", number)
            await asyncio.sleep(0)
            await current_job().progress(1, 1, "done")
            shop.say("ends", number)
            return number

        return on_loop

    async def _flaky(self, number: int) -> int:
        self.say("begins", number)
        if current_job().attempt < 2:
            raise ValueError(number)
        self.say("ends", number)
        return number

    def _poison(self, number: int) -> None:
        self.say("begins", number)
        ctypes.string_at(0)

    def _hungry(self, number: int, processes: str) -> None:
        """Ends as one that the system has no memory for: in this control group."""
        self.say("begins", number)
        join_and_starve(processes)

    def _doomed(self, number: int) -> int:
        self.say("begins", number)
        self.deaths.meet(current_job().id, "during")
        self.say("ends", number)
        return number


def pause() -> None:
    """Sleep for a moment, also where a library has turned the clock: with it, `time.sleep` raises."""
    select.select([], [], [], 0.02)


def from_environment() -> Shop:
    """Return the one that a worker was started for."""
    told = os.environ
    starts_for = float(told.get("SHOP_STARTS_FOR", "0"))
    shop = Shop(Path(told["SHOP_FOLDER"]), told["SHOP_STORE"], told["SHOP_BROKER"], starts_for)
    shop.deaths.watch(shop.postlude.components.store)
    return shop
