"""A job's first attempt has the trace of its request, and nothing else of it."""

import asyncio
import gc
import logging
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient
from opentelemetry import context, trace
from starlette.background import BackgroundTask
from starlette.types import ASGIApp, Receive, Scope, Send

from postlude import Limit, Postlude, Retry
from postlude.telemetry import tracing
from postlude.telemetry.tracing import Observed, Tracers
from tests.app import traced, work
from tests.app.serving import EAGER

Add = Callable[[BackgroundTasks, Postlude], None]


class InTrace:
    """A middleware that traces, as an instrumentation's does; and one that sets a variable of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        token = context.attach(context.set_value("request", scope["path"]))
        traced.LEFT.set("the request's")
        try:
            await self.app(scope, receive, send)
        finally:
            context.detach(token)


def ask(
    add: Add, location: str, *, lifespan: bool = True, lines: int = 1, app: FastAPI | None = None
) -> list[str]:
    """Send one request, and return what its tasks have said."""
    app = app or FastAPI()
    postlude = Postlude(app, store=location, config=EAGER)
    app.add_middleware(InTrace)

    @app.get("/r1")
    async def endpoint(tasks: BackgroundTasks) -> None:
        add(tasks, postlude)

    client = TestClient(app, raise_server_exceptions=False)
    if not lifespan:
        assert client.get("/r1").status_code == 200
        return work.until(lines)
    with client:
        assert client.get("/r1").status_code == 200
        return work.until(lines)


def plainly(function: Callable[..., Any]) -> Add:
    return lambda tasks, postlude: tasks.add_task(function)


def declared(function: Callable[..., Any], **options: Any) -> Add:
    return lambda tasks, postlude: tasks.add_task(postlude.task(**options)(function))


@pytest.mark.parametrize("lifespan", [True, False])
@pytest.mark.parametrize(
    ("add", "who"),
    [
        (plainly(traced.async_task), "async"),
        (plainly(traced.sync_task), "sync"),
        (plainly(traced.failing_task), "failing"),
        (plainly(traced.failing_sync_task), "failing sync"),
        (declared(traced.async_task), "async"),
        (declared(traced.sync_task), "sync"),
        (declared(traced.filled_task), "filled"),
        (declared(traced.filled_sync_task), "filled sync"),
        (declared(traced.async_task, delivery="at_most_once"), "async"),
        (declared(traced.sync_task, limit=Limit(1)), "sync"),
    ],
)
def test_the_first_attempt_has_it(add: Add, who: str, lifespan: bool, location: str, log: list[str]) -> None:
    assert ask(add, location, lifespan=lifespan) == [f"{who}: /r1 -"]


def test_each_job_of_a_request_has_it(location: str, log: list[str]) -> None:
    def add(tasks: BackgroundTasks, postlude: Postlude) -> None:
        tasks.add_task(traced.async_task)
        tasks.add_task(traced.sync_task)
        tasks.add_task(traced.async_task)

    assert ask(add, location, lines=3) == ["async: /r1 -", "sync: /r1 -", "async: /r1 -"]


def test_a_task_in_memory_has_all_of_its_request(location: str, log: list[str]) -> None:
    assert ask(plainly(lambda: traced.tell("memory")), location) == ["memory: /r1 the request's"]


@pytest.mark.parametrize("task", [traced.failing_task, traced.failing_sync_task])
def test_a_second_attempt_has_none(task: Any, location: str, log: list[str]) -> None:
    add = declared(task, retry=Retry(attempts=2, backoff=lambda attempt: 0.01))
    first, second = (line.partition(": ")[2] for line in ask(add, location, lines=2))
    assert (first, second) == ("/r1 -", "- -")


def test_a_delayed_job_has_none(location: str, log: list[str]) -> None:
    def add(tasks: BackgroundTasks, postlude: Postlude) -> None:
        tasks.add_task(postlude.task(traced.async_task).using(delay=0.01))

    assert ask(add, location) == ["async: - -"]


def test_a_failure_is_logged_in_it(location: str, log: list[str]) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(context.get_value("request"))

    seen: list[Any] = []
    handler = Handler(logging.ERROR)
    logging.getLogger("postlude.jobs").addHandler(handler)
    try:
        for task in (traced.failing_task, traced.failing_sync_task):
            ask(plainly(task), location)
            work.LOG.clear()
    finally:
        logging.getLogger("postlude.jobs").removeHandler(handler)
    assert seen == ["/r1", "/r1"]


# -- who else keeps traces ----------------------------------------------------------------------


class SentryScope:
    """A scope of Sentry's, as far as it matters: it is written to, and can be forked."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fork(self) -> "SentryScope":
        return SentryScope(f"fork of {self.name}")


ISOLATION: ContextVar[Any] = ContextVar("isolation", default=None)
CURRENT: ContextVar[Any] = ContextVar("current", default=None)


async def tell_scopes() -> None:
    work.say(", ".join(scope.get().name for scope in (ISOLATION, CURRENT)))


def test_sentrys_scopes_are_forked(monkeypatch: pytest.MonkeyPatch, location: str, log: list[str]) -> None:
    module = SimpleNamespace(_isolation_scope=ISOLATION, _current_scope=CURRENT)
    monkeypatch.setitem(sys.modules, "sentry_sdk.scope", module)

    def add(tasks: BackgroundTasks, postlude: Postlude) -> None:
        ISOLATION.set(SentryScope("isolation"))
        CURRENT.set(SentryScope("current"))
        tasks.add_task(tell_scopes)

    assert ask(add, location) == ["fork of isolation, fork of current"]


@pytest.mark.parametrize(
    ("module", "made"),
    [
        ("ddtrace.internal.native._native", SimpleNamespace(DD_CONTEXTVAR=CURRENT)),
        (
            "elasticapm.context.contextvars",
            SimpleNamespace(ContextVarsContext=SimpleNamespace(elasticapm_transaction_var=CURRENT)),
        ),
        ("sentry_sdk.scope", SimpleNamespace()),  # another version, with other names
    ],
)
def test_whoever_is_loaded_is_asked(module: str, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sentry_sdk.scope", raising=False)
    monkeypatch.setitem(sys.modules, module, made)
    tracers = Tracers()
    assert tracers.capture() is None
    CURRENT.set("a span")
    found = tracers.capture()
    CURRENT.set(None)
    if module == "sentry_sdk.scope":
        assert found is None
        return
    assert found is not None
    into = Context()
    found.enter(into)
    assert into[CURRENT] == "a span"


def test_who_is_loaded_later_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sentry_sdk.scope", raising=False)
    tracers = Tracers()
    assert tracers.capture() is None
    monkeypatch.setitem(sys.modules, "sentry_sdk.scope", SimpleNamespace(_current_scope=CURRENT))
    CURRENT.set(SentryScope("current"))
    assert tracers.capture() is not None
    CURRENT.set(None)


def test_where_nobody_traces_nobody_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "sentry_sdk"))]:
        monkeypatch.delitem(sys.modules, name)
    assert Tracers().capture() is None
    assert not [name for name in sys.modules if name.startswith(("opentelemetry", "sentry_sdk"))]


def test_only_so_many_traces_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_WAITING", 2)
    tracers = Tracers()
    token = context.attach(context.set_value("request", "r"))
    kept = tracers.capture()
    context.detach(token)
    jobs: list[Any] = [SimpleNamespace(id=bytes([n]), fence=0, started=0, trace=kept) for n in range(3)]
    claimed_at_once = SimpleNamespace(id=bytes([8]), fence=1, started=0, trace=kept)
    without = SimpleNamespace(id=bytes([9]), fence=0, started=0, trace=None)
    tracers.keep([*jobs, claimed_at_once, without])  # these two need no place
    claimed: list[Any] = [SimpleNamespace(id=bytes([n]), fence=1, started=0, trace=None) for n in range(3)]
    tracers.give(claimed)
    assert [job.trace for job in claimed] == [None, kept, kept]


# -- who watches background tasks ---------------------------------------------------------------


class Spans(trace.TracerProvider, trace.Tracer):
    """Writes down each span and its parent, by name."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {0: "-"}
        self.seen: list[str] = []

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self

    def start_span(self, name: str, context: Any = None, **kwargs: Any) -> trace.Span:  # type: ignore[override]
        parent = trace.get_current_span(context).get_span_context()
        number = len(self.names)
        self.names[number] = name
        self.seen.append(f"{name} of {self.names[parent.span_id]}")
        return trace.NonRecordingSpan(trace.SpanContext(1, number, False, trace.TraceFlags(1)))

    @contextmanager
    def start_as_current_span(self, name: str, **kwargs: Any) -> Iterator[trace.Span]:  # type: ignore[override]
        with trace.use_span(self.start_span(name)) as span:
            yield span


def both(tasks: BackgroundTasks, postlude: Postlude) -> None:
    tasks.add_task(traced.async_task)
    tasks.add_task(traced.sync_task)
    tasks.add_task(lambda: work.say("memory"))


def test_fastapis_own_telemetry_sees_each_task(location: str, log: list[str]) -> None:
    spans = Spans()
    app = FastAPI(telemetry={"tracer_provider": spans, "metrics": False, "logs": False})
    ask(both, location, lines=3, app=app)
    assert [seen for seen in spans.seen if "task" in seen] == ["fastapi.background_task of GET"] * 3


def test_an_instrumentation_of_background_tasks_sees_each_by_its_name(
    monkeypatch: pytest.MonkeyPatch, location: str, log: list[str]
) -> None:
    seen: list[str] = []
    original = BackgroundTask.__call__

    async def instrumented(self: BackgroundTask) -> None:
        name = getattr(self.func, "__name__", type(self.func).__name__)
        try:
            await original(self)
        except Exception as error:
            seen.append(f"{name} {context.get_value('request')} {error}")
            raise
        seen.append(f"{name} {context.get_value('request')}")

    monkeypatch.setattr(BackgroundTask, "__call__", instrumented)

    def add(tasks: BackgroundTasks, postlude: Postlude) -> None:
        both(tasks, postlude)
        tasks.add_task(traced.failing_task)
        tasks.add_task(traced.failing_sync_task)

    ask(add, location, lines=5)
    assert sorted(seen) == [
        "<lambda> /r1",
        "async_task /r1",
        "failing_sync_task /r1 broken",
        "failing_task /r1 broken",
        "sync_task /r1",
    ]


Call = Callable[[Callable[[], Any]], Any]


def waiters(call: Callable[[], Any]) -> Any:
    async def inner() -> Any:
        return call()

    return asyncio.run(Observed(call).of(inner))


def in_thread(call: Callable[[], Any]) -> Any:
    return Observed(call).of_sync(call)


def breaks() -> None:
    raise KeyError("its own")


WAYS = pytest.mark.parametrize("way", [waiters, in_thread])


@WAYS
def test_an_error_is_as_if_nobody_watched(way: Call) -> None:
    with pytest.raises(KeyError, match="its own") as caught:
        way(breaks)
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "breaks"
    assert "__call__" not in names


def driven(call: Callable[[], Any]) -> Any:
    """As `awaited`, without asyncio's own cycles."""

    async def inner() -> Any:
        return call()

    Observed(call).of(inner).send(None)


@pytest.mark.parametrize("way", [driven, in_thread])
def test_an_error_keeps_nothing_alive(way: Call) -> None:
    class Large:
        pass

    def breaks() -> None:
        large.append(weakref.ref(held := Large()))
        raise ValueError(held)

    large: list[Any] = []
    gc.disable()
    try:
        with suppress(ValueError):
            way(breaks)
        assert large[0]() is None
    finally:
        gc.enable()


@WAYS
@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_whoever_watches_and_fails_harms_no_job(
    way: Call, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = BackgroundTask.__call__

    async def watching(self: BackgroundTask) -> None:
        if when == "after":
            await original(self)
        if when != "never":
            raise RuntimeError(when)

    monkeypatch.setattr(BackgroundTask, "__call__", watching)
    assert way(lambda: 7) == 7


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_thread_has_no_loop_to_wait_on(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = BackgroundTask.__call__

    async def watching(self: BackgroundTask) -> None:
        if when == "before":
            await asyncio.sleep(0)
        await original(self)
        await asyncio.sleep(0)

    monkeypatch.setattr(BackgroundTask, "__call__", watching)
    calls: list[int] = []
    assert in_thread(lambda: calls.append(1) or 7) == 7  # type: ignore[func-returns-value]
    assert calls == [1]
