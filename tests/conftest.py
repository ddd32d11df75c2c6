"""What every test may use; and each test is in the group that its marks say."""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import settings

from postlude.runner.lease import Lease
from tests.leaving_out import left_out

# The releases of FastAPI are tested without drivers of databases.
pytest_plugins = ["tests.servers.fixtures"] if find_spec("psycopg") else []

settings.register_profile("quick", max_examples=20, deadline=None)  # other work may keep this machine busy

MEMORY = Path("/dev/shm")
TESTS = Path(__file__).parent.resolve()
STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"})
NEEDED: dict[str, str] = {}
"""The marks that the running test must have, and the first thing it did to need each."""


def note_process(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS:
        NEEDED.setdefault("process", f"{event} {arguments[:2]}")


def note_journal(connection: apsw.Connection) -> None:
    if connection.filename:
        NEEDED.setdefault("disk", f"it opened {connection.filename}")


BEATING: list[Lease] = []
"""Heartbeats that the running test has started.

Those of applications without a lifespan go on until their process ends: in the log of another test they
would complain that their journal is closed.
"""
keep_beating = Lease.keep


def note_lease(self: Lease, *args: Any) -> None:
    BEATING.append(self)
    keep_beating(self, *args)


Lease.keep = note_lease  # type: ignore[assignment, method-assign]
sys.addaudithook(note_process)
apsw.connection_hooks.append(note_journal)


def pytest_configure() -> None:
    """Look for garbage less often: among thousands of tests, each look takes half a second."""
    gc.set_threshold(20_000, 20, 50)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file of which nothing is to run, where all are collected: half a second for each worker."""
    all_of_them = all((config.invocation_params.dir / each).resolve() == TESTS for each in config.args)
    return (all_of_them and left_out(config.option.markexpr, collection_path)) or None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for none while tests are collected: all that is made stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def pytest_sessionfinish() -> None:
    """Leave what is there to the end of the process: the last looks for garbage are at a million objects."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Begin to note what the test needs."""
    NEEDED.clear()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Fail what would make `make unit` slow unseen, and stop heartbeats that would go on.

    Hooks, not fixtures of every test: those would take a twentieth of the whole.
    """
    yield
    while BEATING:
        BEATING.pop().stop()
    if NEEDED:
        marks = {mark.name for mark in item.iter_markers()}
        for mark, reason in NEEDED.items():
            if not marks & {mark, "slow"}:
                pytest.fail(f"mark it pytest.mark.{mark}: {reason}", pytrace=False)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Be in memory where that can be had: thousands of commits wait for the disk only where it matters."""
    if request.node.get_closest_marker("slow") or not os.access(MEMORY, os.W_OK):
        yield request.getfixturevalue("tmp_path")
    else:
        with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as folder:
            yield Path(folder)


@pytest.fixture
def young_only() -> Iterator[None]:
    """Let the garbage collector look at what this test makes, not at thousands of other tests."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def anyio_backend() -> str:
    """Async tests are marked `pytest.mark.anyio` and run on asyncio, as the applications do."""
    return "asyncio"
