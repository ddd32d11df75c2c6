"""How an application of these tests gets its Postlude: a real one, on each of the stores."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, routing
from fastapi.dependencies import utils

from postlude.clock import SystemClock
from postlude.frameworks.fastapi import hook, internals
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from tests.journals import LOCATIONS, SERVER, drop, located, on_server
from tests.request import calls
from tests.request.recorder import Recorder, RecordingPostlude

Install = Callable[..., RecordingPostlude]
MakeDesk = Callable[[], Recorder]


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Everything that happens in a test, in order: handlers, dependencies, commits, messages, runs."""
    calls.LOG.clear()
    yield calls.LOG
    calls.LOG.clear()


@pytest.fixture(params=LOCATIONS)
def make_desk(request: pytest.FixtureRequest, tmp_path: Path, log: list[str]) -> Iterator[MakeDesk]:
    """Make a desk with a journal of its own. After the test, its books must be in order."""
    made: list[Recorder] = []
    location = located(request)

    def make() -> Recorder:
        clock = SystemClock()

        def make_store() -> Store:
            if location == "memory":
                return MemoryStore(clock)
            if request.param == SERVER:
                return on_server(location, schema=f"jobs{len(made)}")
            return SqliteStore(tmp_path / f"jobs{len(made)}.db", clock=clock)

        made.append(Recorder(log, make_store))
        return made[-1]

    yield make
    for number, port in enumerate(made):
        port.close_the_books()
        if request.param == SERVER:
            drop(location, f"jobs{number}")


@pytest.fixture
def port(make_desk: MakeDesk) -> Recorder:
    return make_desk()


@pytest.fixture
def install(port: Recorder) -> Install:
    """Give an application a Postlude."""

    def give(app: Any, *, port: Recorder = port) -> RecordingPostlude:
        port.host.install(app)
        return port.host

    return give


@pytest.fixture
def never_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes are made with FastAPI's own names, as in a process whose Postlude comes later.

    What stayed would be wrapped once more by each test, until the stack is too deep for those that come late.
    """
    for name in ("request_response", "websocket_session", "get_request_handler"):
        now = getattr(routing, name)
        monkeypatch.setattr(routing, name, getattr(now, "__wrapped__", now))
    monkeypatch.setattr(utils, "BackgroundTasks", BackgroundTasks)
    assert not [name for name in internals.replaceable() if hasattr(name, "__wrapped__")]


@pytest.fixture
def newly_installed(never_installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is, but what proves that the hook works is left to its own tests: it takes longer than these."""
    monkeypatch.setattr(hook, "Canary", ReadyCanary)


class ReadyCanary:
    """Proves nothing."""

    def __init__(self) -> None:
        self.app = APIRouter()

    def add_late(self) -> None: ...

    def prove(self) -> None: ...
