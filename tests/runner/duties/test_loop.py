"""What housekeeping says in the log."""

import logging
from collections import Counter
from typing import cast

import pytest

from postlude import Config, JournalUnavailable, Postlude
from postlude.clock import SystemClock
from postlude.model.event import Event
from postlude.model.event.runner import DutiesDone, DutyFailed, RunnersBuried
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


class Away(MemoryStore):
    """A store of which some calls fail."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.away: set[str] = set()
        self.tries: Counter[str] = Counter()

    def _ask(self, what: str) -> None:
        self.tries[what] += 1
        if what in self.away:
            raise JournalUnavailable("nobody there")

    def parked(self) -> Reply[list[tuple[str, str]]]:
        self._ask("parked")
        return super().parked()

    def reap(self) -> Reply[Reaped]:
        self._ask("reap")
        return super().reap()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_outage_has_an_end_that_is_told_once() -> None:
    store = Away(SystemClock())
    told: list[Event] = []
    config = Config(tune_gc=False, poll_every=0.01, reap_every=0.01)
    postlude = Postlude(store=cast(Store, store), config=config)

    async def again(what: str) -> bool:
        """Wait until something has been asked for twice more: what was asked before that, has been told."""
        until = store.tries[what] + 2

        async def asked() -> bool | None:
            return store.tries[what] >= until or None

        return await eventually(asked)

    async with serving(postlude):
        postlude.components.store.events.listen(told.append, DutiesDone, DutyFailed)
        store.away = {"parked", "reap"}
        await again("parked")
        await again("reap")
        store.away = {"reap"}
        for _ in range(5):
            await again("reap")
            await again("parked")
        assert {type(event) for event in told} == {DutyFailed}, "not all is well yet"
        store.away = set()

        async def ended() -> bool | None:
            return isinstance(told[-1], DutiesDone) or None

        await eventually(ended)
        for _ in range(5):
            await again("reap")
        failures = sum(isinstance(event, DutyFailed) for event in told)
        assert [event for event in told if isinstance(event, DutiesDone)] == [DutiesDone(failures)]
