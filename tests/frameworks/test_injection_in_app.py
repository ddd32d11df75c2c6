"""Tasks with dependencies in an application: requests, attempts, overrides, the state of the lifespan."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import fastapi
import pytest
import starlette
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.background import BackgroundTask

import postlude
from postlude import Config, Postlude, injected
from postlude.errors import TaskDefinitionError
from postlude.model.retry import Fixed, Retry
from postlude.model.state import State
from tests.app.serving import EVERY_STORE, becomes, serving
from tests.app.work import LOG, say, until

QUICK = Config(poll_every=0.005, tune_gc=False)
TWICE = Retry(attempts=2, backoff=Fixed(0.01))

NOT_THE_APPLICATION = [str(Path(module.__file__ or "").parent) for module in (postlude, starlette, fastapi)]
"""Folders. The project's own may have any name, also that of a package."""

SCOPED = "scope" in Depends.__code__.co_varnames
"""Before that, what a dependency is told of another one's failure begins in itself."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    say("start")
    yield {"pool": "pool"}
    say("stop")


async def get_session(request: Request) -> AsyncIterator[str]:
    say(f"open {request.state.pool} {request.app.title}")
    try:
        yield "session"
        say("commit")
    except BaseException as error:
        say(f"rollback {type(error).__name__}")
        raise
    finally:
        say("close")


def get_upper(session: Annotated[str, Depends(get_session)]) -> str:
    return session.upper()


async def plain(value: int, session: str = Depends(get_session)) -> None:
    say(f"plain {value} {session}")


@pytest.fixture
def app() -> FastAPI:
    return FastAPI(title="shop", lifespan=lifespan)


@EVERY_STORE
def test_a_session_for_each_attempt(app: FastAPI, location: str, log: list[str]) -> None:
    postlude = Postlude(app, store=location, config=QUICK)

    @postlude.task(retry=TWICE)
    async def imports(
        value: int, session: str = Depends(get_session), upper: str = Depends(get_upper)
    ) -> None:
        say(f"imports {value} {session} {upper}")
        if LOG.count("rollback HTTPException") == 0:
            raise HTTPException(503)

    @app.post("/")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(imports, 7)

    with TestClient(app) as client:
        assert client.post("/").status_code == 200
        until(9)
    opened, work = "open pool shop", "imports 7 session SESSION"
    assert log == [
        "start", opened, work, "rollback HTTPException", "close", opened, work, "commit", "close", "stop"
    ]  # fmt: skip


def test_a_plain_function(app: FastAPI, location: str, log: list[str]) -> None:
    Postlude(app, store=location, packages=["tests"], config=QUICK)

    @app.post("/")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(plain, 7)

    with TestClient(app) as client:
        client.post("/")
        until(5)
    assert log[1:5] == ["open pool shop", "plain 7 session", "commit", "close"]


def test_a_sync_function(app: FastAPI, location: str, log: list[str]) -> None:
    postlude = Postlude(app, store=location, config=QUICK)

    @postlude.task
    def imports(value: int, upper: str = Depends(get_upper)) -> None:
        say(f"imports {value} {upper}")

    @app.post("/")
    def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(imports, value=7)

    with TestClient(app) as client:
        client.post("/")
        until(5)
    assert log[1:5] == ["open pool shop", "imports 7 SESSION", "commit", "close"]


def test_one_that_stands_in_the_annotation_and_may_be_left_out(
    app: FastAPI, location: str, log: list[str]
) -> None:
    postlude = Postlude(app, store=location, config=QUICK)

    @postlude.task
    async def imports(
        value: int, upper: Annotated[str, Depends(get_upper)] = injected, *, more: int = 2
    ) -> None:
        say(f"imports {value} {upper} {more}")

    @app.post("/")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(imports, 7, more=3)

    with TestClient(app) as client:
        client.post("/")
        until(5)
    assert log[1:5] == ["open pool shop", "imports 7 SESSION 3", "commit", "close"]


def test_overrides(app: FastAPI, location: str, log: list[str]) -> None:
    postlude = Postlude(app, store=location, config=QUICK)

    @postlude.task
    async def imports(value: int, upper: str = Depends(get_upper)) -> None:
        say(f"imports {value} {upper}")

    @app.post("/")
    async def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(imports, 7)

    app.dependency_overrides[get_session] = lambda: "fake"
    with TestClient(app) as client:
        client.post("/")
        until(2)
    assert log == ["start", "imports 7 FAKE", "stop"]


@EVERY_STORE
@pytest.mark.anyio
async def test_an_http_exception_is_a_failure(location: str, log: list[str]) -> None:
    postlude = Postlude(FastAPI(), store=location, config=QUICK)

    def refuses() -> None:
        raise HTTPException(403, "no")

    @postlude.task(retry=Retry(attempts=1))
    async def imports(nothing: None = Depends(refuses)) -> None:
        say("never")

    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(imports), State.FAILED)
    assert ("403: no" in (status.error or ""), log) == (True, [])


@pytest.mark.anyio
@pytest.mark.parametrize("make", [lambda: None, Starlette], ids=["none", "Starlette"])
async def test_without_fastapis_application(
    location: str, make: Callable[[], Starlette | None], log: list[str]
) -> None:
    postlude = Postlude(make(), store=location, config=QUICK)

    @postlude.task(retry=Retry(attempts=1))
    async def imports(upper: str = Depends(get_upper)) -> None:
        say("never")

    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(imports), State.FAILED)
    assert ("needs a FastAPI application" in (status.error or ""), log) == (True, [])


def test_what_came_later_is_checked_at_start_up(app: FastAPI, location: str) -> None:
    postlude = Postlude(app, store=location, config=QUICK)
    name = "test_depends_in_app_later"

    def dependency(wanted: name) -> None: ...  # type: ignore[valid-type]

    dependency.__annotations__["wanted"] = name

    @postlude.task
    async def imports(nothing: None = Depends(dependency)) -> None: ...

    with pytest.raises(TaskDefinitionError, match="'nothing -> wanted'"), TestClient(app):
        pass


@EVERY_STORE
@pytest.mark.anyio
async def test_what_ends_after_its_time_commits_nothing(location: str, log: list[str]) -> None:
    """Its attempt has failed, and another one may have run meanwhile."""
    batching = threading.Event()

    def slow(session: str = Depends(get_late_session)) -> None:
        batching.wait(20)

    async def stubborn(session: str = Depends(get_late_session)) -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            say("swallowed")

    postlude = Postlude(FastAPI(), store=location, config=QUICK)
    once = Retry(attempts=1)
    async with serving(postlude):
        job = await postlude.add_task(postlude.task(slow, name="slow", timeout=0.05, retry=once))
        await becomes(postlude, job, State.FAILED)
        batching.set()
        await asyncio.to_thread(until, 1)
        job = await postlude.add_task(postlude.task(stubborn, name="stubborn", timeout=0.05, retry=once))
        await becomes(postlude, job, State.FAILED)
        await asyncio.to_thread(until, 3)
    assert log == ["late rollback", "swallowed", "late rollback"]


async def get_late_session() -> AsyncIterator[str]:
    try:
        yield "session"
    except TimeoutError:
        say("late rollback")
        raise
    else:
        say("late commit")


def breaks() -> None:
    raise ValueError("broken")


async def breaks_async() -> None:
    breaks()


async def breaks_first() -> AsyncIterator[None]:
    breaks()
    yield


def breaks_last() -> Iterator[None]:
    yield
    breaks()


async def translates() -> AsyncIterator[None]:
    try:
        yield
    except ValueError as error:
        raise KeyError("translated") from error


def needs_breaking(before: None = Depends(translates), breaking: None = Depends(breaks_async)) -> None: ...


def asks(request: Request) -> None:
    request.headers["authorization"]


async def async_value() -> None: ...


def plain_value() -> None: ...


Make = Callable[[Any], Callable[..., Any]]


def depends_on(dependency: Any) -> Callable[..., Any]:
    async def depends(filled: None = Depends(dependency)) -> None: ...

    return depends


def raises_with(dependency: Any) -> Callable[..., Any]:
    async def raises(filled: None = Depends(dependency)) -> None:
        breaks()

    return raises


def raises_in_a_thread_with(dependency: Any) -> Callable[..., Any]:
    def raises(filled: None = Depends(dependency)) -> None:
        breaks()

    return raises


def sleeps_with(dependency: Any) -> Callable[..., Any]:
    async def sleeps(filled: None = Depends(dependency)) -> None:
        await asyncio.sleep(20)

    return sleeps


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("make", "dependency", "begins"),
    [
        (depends_on, breaks, ["breaks"]),
        (depends_on, breaks_async, ["breaks_async"]),
        (depends_on, breaks_first, ["breaks_first"]),
        (depends_on, breaks_last, ["breaks_last"]),
        (depends_on, needs_breaking, ["breaks_async" if SCOPED else "translates", "translates"]),
        (depends_on, asks, ["asks"]),
        (raises_with, translates, ["raises"]),
        (raises_in_a_thread_with, translates, ["raises"]),
        (sleeps_with, async_value, ["sleeps"]),  # no thread: that may come when its time is over
    ],
)
async def test_tracebacks_begin_in_the_code_of_the_application(
    make: Make, dependency: Any, begins: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Each of the chain does, in the journal and in the log."""
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    timeout = 0.05 if make is sleeps_with else 10.0
    task = postlude.task(make(dependency), retry=Retry(attempts=1), timeout=timeout)
    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(task), State.FAILED)
    (record,) = [record for record in caplog.records if "failed, attempt 1" in record.getMessage()]
    assert record.exc_info is not None
    for told in (status.attempts[0].traceback, logging.Formatter().formatException(record.exc_info)):
        components = told.split("Traceback (most recent call last):\n")[1:]
        assert [part.splitlines()[0].rpartition(" in ")[2] for part in components] == begins, told


@pytest.mark.anyio
async def test_so_does_that_of_a_dependency_that_fails_after_its_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=QUICK)
    task = postlude.task(raises_with(translates), retry=Retry(attempts=1))
    async with serving(postlude):
        await becomes(postlude, await postlude.add_task(task), State.FAILED)
    (record,) = [record for record in caplog.records if "then a dependency did" in record.getMessage()]
    told = record.exc_text or ""  # as it was logged: the error that it came from went on
    assert "translated" in told
    assert not [line for line in told.splitlines() if any(folder in line for folder in NOT_THE_APPLICATION)]


class Peculiar(Exception):
    """An error with ideas of its own."""

    def with_traceback(self, tb: Any) -> Any:
        raise RuntimeError("no")


async def raises_peculiarly(name: str = Depends(lambda: "a name")) -> None:
    raise Peculiar(name)


@pytest.mark.anyio
async def test_an_error_whose_class_does_not_let_itself_be_handled() -> None:
    postlude = Postlude(FastAPI(), store="memory", config=Config(tune_gc=False))
    async with serving(postlude):
        job = await postlude.add_task(postlude.task(raises_peculiarly, retry=Retry(attempts=1)))
        status = await becomes(postlude, job, State.FAILED)
    assert [attempt.error for attempt in status.attempts] == [
        "tests.frameworks.test_injection_in_app.Peculiar: a name"
    ]


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
def test_where_no_job_is_made_of_it_a_declared_task_gets_what_depends_fills(
    app: FastAPI, log: list[str], is_async: bool
) -> None:
    """A middleware's response runs its background in memory, whatever is in it."""
    postlude = Postlude(app, store="memory", config=QUICK)

    @postlude.task(name="async")
    async def later(value: int, session: Annotated[str, Depends(get_session)]) -> None:
        say(f"async {value!r} {session}")

    @postlude.task(name="sync")
    def now(value: int, session: Annotated[str, Depends(get_session)]) -> None:
        say(f"sync {value!r} {session}")

    @app.middleware("http")
    async def add(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        task: Any = later if is_async else now
        response.background = BackgroundTask(task, 7)
        return response

    with TestClient(app) as client:
        client.get("/nowhere")
    kind = "async" if is_async else "sync"
    assert log == ["start", "open pool shop", f"{kind} 7 session", "commit", "close", "stop"]
