from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("postlude.testing.conformance", "tests.stores.golden.going_on")

from postlude.stores.grouped.writer import Writer  # noqa: E402
from tests.stores.scripted import ScriptedBackend, written_by  # noqa: E402


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend()


@pytest.fixture
def writer(backend: ScriptedBackend) -> Iterator[Writer]:
    with written_by(backend) as writer:
        yield writer
