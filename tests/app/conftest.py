"""Journals for the tests of `Postlude` objects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import work
from tests.journals import LOCATIONS, located

Location = str


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be where a new journal harms nobody, and where no variable decides."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    return tmp_path


@pytest.fixture(params=LOCATIONS)
def location(request: pytest.FixtureRequest) -> Location:
    """Where a journal is: each of the kinds."""
    return located(request)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What the tasks of these tests have done, in order."""
    work.LOG.clear()
    yield work.LOG
    work.LOG.clear()
