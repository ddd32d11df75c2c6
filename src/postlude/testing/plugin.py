"""The pytest plug-in: a journal in memory for all tests, and the fixture `postlude_jobs`.

It comes with the package and needs no configuration. Under pytest the journal is in memory, so that
tests never write a developer's. A test that wants another journal sets the variable `POSTLUDE_STORE`
itself, before the application is imported or in the process it starts, or gives `Postlude(store=...)`
a store instead of a text.
"""

import os
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from postlude.stores.open import VARIABLE

if TYPE_CHECKING:
    from postlude.testing.jobs import PostludeJobs

FIXTURE: Final = "postlude_jobs"
MARKER: Final = "postlude"
SCHEDULES: Final = "POSTLUDE_SCHEDULES"
"""`off`: what a lifespan starts in a test adds no jobs at times of its own."""
INI: Final = "postlude_leftovers"
_LEFTOVERS: Final = ("ignore", "fail")
_JOBS: Final = pytest.StashKey["PostludeJobs"]()


class Settings(NamedTuple):
    """What a test has asked for."""

    leftovers: str
    now: datetime | None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which option there is."""
    parser.addini(INI, "fail: tests with postlude_jobs fail if jobs wait at their end", default="ignore")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the journal in memory, and no schedules, unless the environment has chosen."""
    os.environ.setdefault(VARIABLE, "memory")
    os.environ.setdefault(SCHEDULES, "off")
    config.addinivalue_line(
        "markers",
        f'{MARKER}(leftovers="ignore", now=None): hold jobs, as the fixture {FIXTURE} does; '
        'leftovers="fail": fail if jobs wait at the end; now: what its clock says at first',
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the marker ask for the fixture."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is not None and FIXTURE not in names and item.get_closest_marker(MARKER) is not None:
        names.append(FIXTURE)


@pytest.fixture
def postlude_jobs(request: pytest.FixtureRequest) -> Iterator["PostludeJobs"]:
    """The jobs that the test adds: held until it runs them, with a clock that it turns."""
    from postlude.testing.jobs import PostludeJobs

    with PostludeJobs(settings_of(request.node).now) as jobs:
        request.node.stash[_JOBS] = jobs
        yield jobs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a test fail that leaves jobs behind, if that was asked for."""
    result = yield
    jobs = item.stash.get(_JOBS, None)
    if jobs is not None and settings_of(item).leftovers == "fail":
        waiting = jobs.waiting
        if waiting:
            lines = "\n".join(f"  {job}" for job in waiting)
            pytest.fail(f"jobs wait at the end of the test:\n{lines}", pytrace=False)
    return result


def settings_of(item: pytest.Item) -> Settings:
    """Return what a test's markers and the configuration ask for; the nearest marker decides."""
    settings: dict[str, Any] = {"leftovers": item.config.getini(INI), "now": None}
    for marker in reversed(list(item.iter_markers(MARKER))):
        unknown = marker.kwargs.keys() - settings.keys()
        if unknown or marker.args:
            raise pytest.UsageError(f"pytest.mark.{MARKER} takes leftovers= and now= only")
        settings.update(marker.kwargs)
    if settings["leftovers"] not in _LEFTOVERS:
        raise pytest.UsageError(f'leftovers is "ignore" or "fail", not {settings["leftovers"]!r}')
    return Settings(**settings)
