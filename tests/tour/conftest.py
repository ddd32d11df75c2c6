"""The tour's modules, each with a new journal: in memory and in SQLite."""

import importlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from postlude.runner.attempt import progress as reports
from tests.app.serving import serving
from tests.journals import LOCATIONS, located
from tests.tour import preamble

Visiting = Callable[[ModuleType], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(params=LOCATIONS)
def journal(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let each Postlude made from now on have a journal of this kind, as an operator would."""
    monkeypatch.chdir(tmp_path)
    location = located(request)
    monkeypatch.setenv("POSTLUDE_STORE", location)
    monkeypatch.setattr(reports, "EVERY", 0.02)  # progress is read soon after it is told
    return location


def imported(name: str) -> ModuleType:
    """Import a module of the tour anew: its application has no past."""
    sys.modules.pop(name, None)
    preamble.SESSIONS.clear()
    return importlib.import_module(name)


@pytest.fixture
def mail(journal: str) -> ModuleType:
    return imported("tests.tour.mail")


@pytest.fixture
def invoices(journal: str) -> ModuleType:
    return imported("tests.tour.invoices")


@pytest.fixture
def orders(journal: str) -> ModuleType:
    return imported("tests.tour.orders")


@pytest.fixture
def visiting() -> Visiting:
    """Run a module's application, and talk to it on the same event loop."""

    @asynccontextmanager
    async def visit(module: ModuleType) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(module.app)
        async with (
            serving(module.postlude),
            httpx.AsyncClient(transport=transport, base_url="http://tour") as client,
        ):
            yield client

    return visit
