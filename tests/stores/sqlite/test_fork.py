"""A fork of the process that opened the journal must not use it: its commits would vanish."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from postlude.errors import ForkedJournal
from postlude.model.ids import IdSource
from postlude.model.job import Cancel
from postlude.stores.sqlite import SqliteStore
from tests.stores.scripted import PATIENCE

pytestmark = [pytest.mark.disk, pytest.mark.process]


def in_a_fork(call: Callable[[], object]) -> str:
    """Call in a forked child; return the name of what it raised, or `nothing`."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            call()
            said = "nothing"
        except BaseException as error:
            said = type(error).__name__
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


def test_a_fork_is_refused_and_its_parent_goes_on(tmp_path: Path) -> None:
    store, absent = SqliteStore(tmp_path / "journal.db"), IdSource().new(0)
    store.open()
    assert in_a_fork(lambda: store.cancel([absent]).wait(PATIENCE)) == ForkedJournal.__name__
    assert in_a_fork(lambda: store.get(absent).wait(PATIENCE)) == ForkedJournal.__name__
    assert in_a_fork(lambda: asyncio.run(_on_a_loop(store))) == ForkedJournal.__name__
    assert in_a_fork(store.close) == "nothing"
    assert store.cancel([absent]).wait(PATIENCE) == [Cancel.TOO_LATE]
    assert store.get(absent).wait(PATIENCE) is None
    store.close()


async def _on_a_loop(store: SqliteStore) -> None:
    await store.cancel([])
