"""The fixture as users have it, without the plug-in: the project's own tests run without that."""

from collections.abc import Iterator

import pytest

from postlude.testing import PostludeJobs
from tests.testing import shop


@pytest.fixture
def postlude_jobs() -> Iterator[PostludeJobs]:
    """The jobs that the test adds."""
    with PostludeJobs() as jobs:
        yield jobs


@pytest.fixture
def done() -> Iterator[list[str]]:
    """What the shop's tasks have done, in order."""
    shop.DONE.clear()
    shop.FAILURES.clear()
    yield shop.DONE
    shop.DONE.clear()
