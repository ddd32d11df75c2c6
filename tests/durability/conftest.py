"""An arena for each test; its processes end with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.arena import Arena


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """A journal and witnesses of their own."""
    arena = Arena(tmp_path)
    yield arena
    arena.clean_up()
