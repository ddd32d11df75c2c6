"""An arena for each test; its processes end with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.arena import Arena


@pytest.fixture
def arena(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arena]:
    """A journal and witnesses of their own: a file, or with the parameter `server` in PostgreSQL."""
    on_server = getattr(request, "param", "file") == "server"
    arena = Arena(tmp_path, request.getfixturevalue("database") if on_server else None)
    yield arena
    arena.clean_up()
