"""The fixture as users have it, without the plug-in: the project's own tests run without that."""

from collections.abc import Iterator
from weakref import WeakSet

import pytest

from postlude import Postlude
from postlude.app.instances import EVERY_POSTLUDE
from postlude.testing import PostludeJobs
from tests.testing import shop


@pytest.fixture(autouse=True)
def few_postludes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit asks all that are alive: not what other tests have left to the garbage collector."""
    own = [value for value in vars(request.module).values() if isinstance(value, Postlude)]
    monkeypatch.setattr(EVERY_POSTLUDE, "_members", WeakSet([shop.postlude, *own]))


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
