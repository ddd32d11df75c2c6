"""The canary: what it notices, and that nobody notices it."""

import asyncio
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, routing
from fastapi.dependencies import utils
from opentelemetry import context, trace
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import Receive, Scope, Send

from postlude.errors import UnsupportedFramework
from postlude.frameworks.fastapi import canary as fastapi_canary
from postlude.frameworks.fastapi import hook as fastapi_hook
from postlude.frameworks.fastapi import internals
from postlude.frameworks.fastapi import routes as fastapi_routes

pytestmark = pytest.mark.usefixtures("never_installed")


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture
def records() -> Iterator[list[str]]:
    root, handler = logging.getLogger(), Records()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.seen
    root.removeHandler(handler)
    root.setLevel(level)


def test_it_logs_nothing_and_warns_of_nothing(records: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastapi_hook.install()
    assert records == []


@pytest.mark.parametrize("debug", ["", "1"])
def test_it_is_as_quiet_under_asyncio_debug(
    debug: str, records: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", debug)
    fastapi_hook.install()
    assert records == []


@pytest.mark.parametrize(
    ("holder", "name"),
    [
        (FastAPI, "__init__"),
        (Starlette, "__init__"),
        (Starlette, "__call__"),
        (Starlette, "build_middleware_stack"),
        (ServerErrorMiddleware, "__call__"),
        (ExceptionMiddleware, "__call__"),
        (BackgroundTask, "__call__"),
        (routing, "serialize_response"),
        (asyncio, "new_event_loop"),
    ],
)
def test_what_watches_applications_does_not_see_it(
    holder: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = getattr(holder, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return original(*args, **kwargs)

    watched.__module__ = "watching"
    monkeypatch.setattr(holder, name, watched)
    fastapi_hook.install()
    assert seen == []


def test_its_error_is_reported_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: reported.append(args))
    monkeypatch.setattr(threading, "excepthook", reported.append)
    fastapi_hook.install()
    assert reported == []


def test_it_leaves_the_context_alone_and_takes_nothing_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a thread begins with the context of the one that started it, as instrumentations have it."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("the application's")
    seen: list[Any] = []
    original = fastapi_canary.Canary._prove_all

    def look(self: Any) -> None:
        seen.append(variable.get())
        original(self)
        seen.append(context.get_value("suppress_instrumentation"))
        seen.append(trace.get_current_span().get_span_context().trace_flags.sampled)

    monkeypatch.setattr(fastapi_canary.Canary, "_prove_all", look)
    before = context.get_current()
    fastapi_hook.install()
    assert seen == ["unset", True, False]
    assert context.get_current() == before


def test_it_works_where_no_opentelemetry_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.context")
    fastapi_hook.install()
    assert "opentelemetry.context" not in sys.modules


def test_it_works_inside_a_running_loop() -> None:
    async def main() -> None:
        fastapi_hook.install()
        assert asyncio.get_running_loop().is_running()

    asyncio.run(main())


def ignore_included(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi_routes, "INCLUDED", ())


def ignore_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi_routes, "Mount", ())


def ignore_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi_hook, "answer_session", lambda function: function)


def ignore_injected(monkeypatch: pytest.MonkeyPatch) -> None:
    replace, native = internals.replace, internals.replaceable().background_tasks
    monkeypatch.setattr(internals, "replace", lambda names: replace(names._replace(background_tasks=native)))


def lose_late_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    add = APIRouter.add_api_route

    def forgetful(self: Any, path: str, *args: Any, **kwargs: Any) -> None:
        if not path.startswith("/added"):
            add(self, path, *args, **kwargs)

    monkeypatch.setattr(APIRouter, "add_api_route", forgetful)


def wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: Any, error: Exception) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(fastapi_canary, "_answer", answer)
    monkeypatch.setattr(fastapi_canary, "_PATIENCE", 0.05)


@pytest.mark.parametrize(
    ("break_it", "what"),
    [
        # Before 0.137 their routes were copied.
        *([(ignore_included, "/included/")] if hasattr(routing, "_IncludedRouter") else []),
        (ignore_mounts, "/mounted/"),
        (ignore_sessions, "/socket"),
        (ignore_injected, "/own"),
        (lose_late_routes, "404"),
        (wait_for_ever, "waited"),
    ],
)
def test_it_notices(
    break_it: Callable[[pytest.MonkeyPatch], None], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (utils.BackgroundTasks, routing.request_response, routing.websocket_session)  # type: ignore[attr-defined]
    break_it(monkeypatch)
    with pytest.raises(UnsupportedFramework, match=what):
        fastapi_hook.install()
    assert names == (utils.BackgroundTasks, routing.request_response, routing.websocket_session)  # type: ignore[attr-defined]


def test_what_uses_a_thread_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an instrumentation may, which has put itself around what it calls."""

    handle = routing.APIRoute.handle

    async def threaded(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(int)
        await handle(self, scope, receive, send)

    monkeypatch.setattr(routing.APIRoute, "handle", threaded)
    fastapi_hook.install()
