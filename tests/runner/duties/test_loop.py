"""What housekeeping says in the log."""

import logging
from typing import cast

import pytest

from postlude import Config, Postlude
from postlude.clock import SystemClock
from postlude.model.event.runner import RunnersBuried
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.stores.values import Reaped
from postlude.telemetry.logging.runner import in_words
from tests.app.serving import eventually, serving


class Mourning(MemoryStore):
    """A store in which a process has died, each time that one looks."""

    found = Reaped(1, 0, 0)

    def reap(self) -> Reply[Reaped]:
        super().reap()
        return Reply.of(self.found)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("found", "level"),
    [
        (Reaped(1, 0, 0), logging.INFO),
        (Reaped(1, 1, 0), logging.WARNING),
        (Reaped(1, 0, 1), logging.WARNING),
    ],
)
async def test_a_death_that_touches_no_job_is_no_warning(
    found: Reaped, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "postlude.runner")
    store = Mourning(SystemClock())
    store.found = found

    async def look() -> set[tuple[int, str]] | None:
        said = {(record.levelno, record.message) for record in caplog.records if "died" in record.message}
        return said or None

    async with serving(Postlude(store=cast(Store, store), config=Config(tune_gc=False))):
        assert await eventually(look) == {(level, in_words(RunnersBuried(*found)))}


class Down(logging.Handler):
    """A handler whose server is down."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ConnectionError


class Restless(MemoryStore):
    """A store in which a process dies again and again, and which is asked to look by others."""

    reaped = 0

    def reap(self) -> Reply[Reaped]:
        super().reap()
        self.reaped += 1
        return Reply.of(Reaped(1, 1, 0))

    def parked(self) -> Reply[list[tuple[str, str]]]:
        if self.reaped == 1:
            raise SystemExit  # of the application: a module that is imported to find a task, say
        return super().parked()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_it_goes_on_whatever_it_meets() -> None:
    store, down = Restless(SystemClock()), Down()

    async def look() -> bool | None:
        return store.reaped > 2 or None

    logging.getLogger("postlude").addHandler(down)
    try:
        config = Config(tune_gc=False, poll_every=0.01, reap_every=0.01)
        async with serving(Postlude(store=cast(Store, store), config=config)):
            assert await eventually(look)
    finally:
        logging.getLogger("postlude").removeHandler(down)
