"""One place that knows how an application gets a desk: the rest of these tests does not.

`installed` gives an application its Postlude. To run these tests on another desk, change it and
`desk` here.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, routing
from fastapi.dependencies import utils
from starlette.applications import Starlette

from postlude import fastapi_hook, middleware
from tests.request import calls
from tests.request.memory_desk import MemoryDesk, MemoryHost

Install = Callable[..., MemoryHost]


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Everything that happens in a test, in order: handlers, dependencies, commits, messages, runs."""
    calls.LOG.clear()
    yield calls.LOG
    calls.LOG.clear()


@pytest.fixture
def desk(log: list[str]) -> MemoryDesk:
    return MemoryDesk(log)


@pytest.fixture
def install(desk: MemoryDesk) -> Install:
    """Give an application a Postlude."""

    def give(app: Any, *, desk: MemoryDesk = desk) -> MemoryHost:
        check = (lambda: fastapi_hook.cover(app)) if isinstance(app, (FastAPI, Starlette)) else (lambda: None)
        host = MemoryHost(desk, check)
        fastapi_hook.install()
        fastapi_hook.cover(app)
        middleware.join(app, host)
        return host

    return give


@pytest.fixture
def never_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes are made with FastAPI's own names, as in a process whose Postlude comes later."""
    for holder, name in ((routing, "request_response"), (routing, "websocket_session")):
        monkeypatch.setattr(
            holder, name, getattr(getattr(holder, name), "__wrapped__", getattr(holder, name))
        )
    monkeypatch.setattr(utils, "BackgroundTasks", BackgroundTasks)
