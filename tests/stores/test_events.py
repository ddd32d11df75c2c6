"""What a store tells of itself reaches who listens to it, and the log where nobody has been asked to."""

from collections.abc import Iterator
from pathlib import Path
from types import MethodType
from typing import Any

import pytest

from postlude import Postlude
from postlude.model.event import Event
from postlude.model.event.journal import JournalTightened
from postlude.stores.sqlite import SqliteStore
from postlude.telemetry.events import Events
from tests.app.serving import serving


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "jobs.db")
    yield made
    made.close()


def dispatchers(root: object) -> set[Events]:
    """Return all that the package's objects hold which can be reached from one."""
    found, waiting, seen = set[Events](), [root], set[int]()
    while waiting:
        here: Any = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here, Events):
            found.add(here)
        elif isinstance(here, (list, tuple, set, frozenset)):
            waiting += here
        elif isinstance(here, dict):
            waiting += [*here, *here.values()]
        elif isinstance(here, MethodType):
            waiting.append(here.__self__)
        elif type(here).__module__.split(".")[:1] == ["postlude"]:
            waiting += vars(here).values() if hasattr(here, "__dict__") else ()
    return found


@pytest.mark.disk
def test_all_parts_of_an_open_store_tell_the_same(store: SqliteStore) -> None:
    store.open()
    assert dispatchers(store) == {store.events}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_so_do_those_that_work_with_it() -> None:
    async with serving(postlude := Postlude(store="memory")):
        runner = postlude.components.producer.runners[0]
        assert dispatchers(postlude.components) == {postlude.components.store.events}
        for member in runner.executors.members:
            assert dispatchers(member) == {postlude.components.store.events}


@pytest.mark.disk
def test_a_store_that_is_used_alone_is_heard_and_logs(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = list[Event]()
    store.events.listen(heard.append, Event)
    store.open()
    store.close()
    (tmp_path / "jobs.db").chmod(0o644)
    store.open()
    assert heard == [JournalTightened(tmp_path / "jobs.db")]
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().endswith("jobs.db was readable by others; it is now mode 0600")
