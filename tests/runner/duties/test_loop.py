"""What housekeeping says in the log."""

import logging
from typing import cast

import pytest

from postlude import Config, Postlude
from postlude.clock import SystemClock
from postlude.runner.duties.loop import told
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.stores.values import Reaped
from tests.app.serving import eventually, serving


@pytest.mark.parametrize(
    ("reaped", "said"),
    [
        (Reaped(1, 0, 0), "1 process of the journal has died"),
        (
            Reaped(2, 3, 0),
            "2 processes of the journal have died; "
            "3 of their jobs run again, those that had started one at a time",
        ),
        (
            Reaped(1, 0, 1),
            "1 process of the journal has died; 1 of its jobs has failed: `postlude jobs --state failed`",
        ),
        (
            Reaped(1, 1, 2),
            "1 process of the journal has died; 1 of its jobs runs again; "
            "2 of its jobs have failed: `postlude jobs --state failed`",
        ),
    ],
)
def test_what_a_death_has_meant(reaped: Reaped, said: str) -> None:
    assert told(reaped) == said


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
        assert await eventually(look) == {(level, told(found))}


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

    def changed(self) -> bool:
        if self.reaped == 1:
            raise SystemExit  # of the application: a module that is imported to find a task, say
        return super().changed()


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
