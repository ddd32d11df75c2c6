"""FastAPI's `Depends` in tasks: resolved for one attempt, and closed after it."""

import asyncio
import contextlib
import inspect
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Annotated, Any

import fastapi
import pytest
import starlette
from fastapi import Depends, FastAPI, HTTPException, Request
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from postlude.errors import PostludeError, Snooze, TaskDefinitionError
from postlude.frameworks.fastapi.injection import FastAPIInjection
from postlude.frameworks.injection import ApplicationInjection
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task

pytestmark = pytest.mark.anyio

FRAMEWORKS = [Path(inspect.getfile(package)).parent for package in (fastapi, starlette)]
SCOPED = "scope" in Depends.__code__.co_varnames
USER: ContextVar[str] = ContextVar("user", default="nobody")

SAID: list[str] = []


class Session:
    """Counts itself, and says what becomes of it."""

    made = 0

    def __init__(self) -> None:
        Session.made += 1
        self.number = Session.made


async def get_session() -> AsyncIterator[Session]:
    session = Session()
    SAID.append(f"open {session.number}")
    try:
        yield session
        SAID.append(f"commit {session.number}")
    except BaseException as error:
        SAID.append(f"rollback {session.number} {type(error).__name__}")
        raise
    finally:
        SAID.append(f"close {session.number}")


def get_file() -> Iterator[str]:
    SAID.append("open file")
    try:
        yield "file"
    finally:
        SAID.append("close file")


class Settings:
    def __init__(self, session: Annotated[Session, Depends(get_session)]) -> None:
        self.session = session


def same(session: Session = Depends(get_session)) -> Session:
    return session


async def in_thread(call: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, copy_context().run, call)


@pytest.fixture(autouse=True)
def said() -> list[str]:
    SAID.clear()
    Session.made = 0
    return SAID


@pytest.fixture
def app() -> FastAPI:
    return FastAPI()


Run = Callable[..., Awaitable[Any]]


@pytest.fixture
def run(app: FastAPI) -> Run:
    """Declare a function as a task and run it once, with its arguments by name."""
    registry = Registry()
    injection = FastAPIInjection(app)
    tasks: dict[Any, Task[..., Any]] = {}

    async def run(function: Callable[..., Any], **kwargs: Any) -> Any:
        if function not in tasks:
            tasks[function] = registry.task(function, name=f"task {len(tasks)}")
        task = tasks[function]
        payload = task.encode((), kwargs).payload
        return await injection.run(task, *task.decode(payload), in_thread)

    return run


async def test_a_session_is_opened_and_closed_once_for_each_attempt(run: Run, said: list[str]) -> None:
    async def work(value: int, session: Session = Depends(get_session)) -> tuple[int, int]:
        said.append("work")
        return value, session.number

    assert await run(work, value=7) == (7, 1)
    assert said == ["open 1", "work", "commit 1", "close 1"]
    assert await run(work, value=8) == (8, 2)
    assert said[4:] == ["open 2", "work", "commit 2", "close 2"]


async def test_it_is_rolled_back_by_what_the_task_raises(run: Run, said: list[str]) -> None:
    raised = ValueError("no")

    async def fails(session: Session = Depends(get_session)) -> None:
        raise raised

    with pytest.raises(ValueError, match="no") as caught:
        await run(fails)
    assert caught.value is raised
    assert said == ["open 1", "rollback 1 ValueError", "close 1"]
    files = {Path(frame.filename) for frame in traceback.extract_tb(raised.__traceback__)}
    assert not [file for file in files for package in FRAMEWORKS if file.is_relative_to(package)]


@pytest.mark.parametrize(
    "error", [HTTPException(404), Snooze(60), KeyError("x"), RuntimeError("x")], ids=repr
)
async def test_the_attempt_ends_with_what_the_task_raised(
    run: Run, error: Exception, said: list[str]
) -> None:
    async def fails(session: Session = Depends(get_session), file: str = Depends(get_file)) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await run(fails)
    assert caught.value is error
    assert said[2:] == ["close file", f"rollback 1 {type(error).__name__}", "close 1"]


async def test_an_http_exception_of_a_dependency_is_raised(run: Run, said: list[str]) -> None:
    def refuses(session: Session = Depends(get_session)) -> None:
        raise HTTPException(403, "no")

    async def work(session: Session = Depends(get_session), nothing: None = Depends(refuses)) -> None:
        said.append("work")

    with pytest.raises(HTTPException) as caught:
        await run(work)
    assert caught.value.status_code == 403
    assert said == ["open 1", "rollback 1 HTTPException", "close 1"]


async def test_a_dependency_that_swallows_the_error_does_not_save_the_attempt(run: Run) -> None:
    async def swallows() -> AsyncIterator[None]:
        with contextlib.suppress(ValueError):
            yield

    async def fails(nothing: None = Depends(swallows)) -> None:
        raise ValueError("kept")

    with pytest.raises(ValueError, match="kept"):
        await run(fails)


async def test_a_dependency_that_raises_another_error_is_heard_of(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks() -> AsyncIterator[None]:
        try:
            yield
        finally:
            raise OSError("connection lost")

    async def fails(nothing: None = Depends(breaks)) -> None:
        raise Snooze(60)

    async def succeeds(nothing: None = Depends(breaks)) -> None: ...

    with pytest.raises(Snooze):
        await run(fails)
    assert "connection lost" in caplog.text
    with pytest.raises(OSError, match="connection lost"):
        await run(succeeds)


async def test_a_commit_that_fails_fails_the_attempt(run: Run) -> None:
    async def commits() -> AsyncIterator[None]:
        yield
        raise HTTPException(500, "not committed")

    async def work(nothing: None = Depends(commits)) -> int:
        return 1

    with pytest.raises(HTTPException):
        await run(work)


async def test_cancelling_closes_it(run: Run, said: list[str]) -> None:
    async def waits(session: Session = Depends(get_session)) -> None:
        said.append("work")
        await asyncio.sleep(60)

    task = asyncio.ensure_future(run(waits))
    while "work" not in said:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == ["open 1", "work", "rollback 1 CancelledError", "close 1"]


async def test_sub_dependencies_share_within_an_attempt_and_not_across(run: Run, said: list[str]) -> None:
    async def work(
        session: Annotated[Session, Depends(get_session)],
        again: Annotated[Session, Depends(same)],
        settings: Annotated[Settings, Depends()],
    ) -> set[int]:
        return {session.number, again.number, settings.session.number}

    assert await run(work) == {1}
    assert await run(work) == {2}
    assert said == ["open 1", "commit 1", "close 1", "open 2", "commit 2", "close 2"]


async def test_use_cache_false(run: Run) -> None:
    async def work(
        session: Session = Depends(get_session), own: Session = Depends(get_session, use_cache=False)
    ) -> tuple[int, int]:
        return session.number, own.number

    assert await run(work) == (1, 2)


async def test_a_class(run: Run) -> None:
    async def work(value: int, settings: Settings = Depends()) -> int:
        assert isinstance(settings, Settings)
        return settings.session.number + value

    assert await run(work, value=1) == 2


async def test_a_sync_generator_and_a_sync_function(run: Run, said: list[str]) -> None:
    loop = threading.get_ident()
    where: list[int] = []

    def place() -> int:
        where.append(threading.get_ident())
        return 5

    def work(value: int, file: str = Depends(get_file), more: int = Depends(place)) -> str:
        where.append(threading.get_ident())
        said.append("work")
        return f"{file} {value + more}"

    assert await run(work, value=1) == "file 6"
    assert said == ["open file", "work", "close file"]
    assert loop not in where


async def test_a_sync_function_that_fails(run: Run, said: list[str]) -> None:
    def fails(session: Session = Depends(get_session)) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run(fails)
    assert said == ["open 1", "rollback 1 ValueError", "close 1"]


async def test_a_sync_function_that_returns_a_coroutine(run: Run) -> None:
    async def inner() -> None: ...
    def work(session: Session = Depends(get_session)) -> Any:
        return inner()

    with pytest.raises(TypeError, match="not async but returned a coroutine"):
        await run(work)


@pytest.mark.parametrize("sync", [False, True])
async def test_context_variables_of_a_dependency_are_seen(run: Run, sync: bool) -> None:
    async def log_in() -> AsyncIterator[None]:
        USER.set("ada")
        yield

    async def work(nothing: None = Depends(log_in)) -> str:
        return USER.get()

    def work_sync(nothing: None = Depends(log_in)) -> str:
        return USER.get()

    assert await run(work_sync if sync else work) == "ada"


async def test_overrides_count_when_it_runs(run: Run, app: FastAPI, said: list[str]) -> None:
    async def get_other() -> AsyncIterator[str]:
        said.append("open other")
        yield "other"
        said.append("close other")

    async def work(session: Session = Depends(get_session), again: Session = Depends(same)) -> Any:
        return session, again

    assert (await run(work))[0].number == 1
    app.dependency_overrides[get_session] = get_other
    said.clear()
    assert await run(work) == ("other", "other")
    assert said == ["open other", "close other"]
    app.dependency_overrides.clear()
    assert (await run(work))[0].number == 2


async def test_an_override_that_asks_for_a_request_is_told_so(run: Run, app: FastAPI) -> None:
    from fastapi import Header

    def by_header(token: Annotated[str, Header()]) -> str:
        return token

    async def work(session: Session = Depends(get_session)) -> None: ...

    app.dependency_overrides[get_session] = by_header
    with pytest.raises(PostludeError, match="headers: a task has no HTTP request"):
        await run(work)


async def test_the_request_has_the_application_and_the_state(app: FastAPI) -> None:
    kept = {"pool": "pool"}
    injection = FastAPIInjection(app, lambda: kept)
    app.state.name = "shop"

    def of_request(request: Request) -> tuple[Any, ...]:
        request.state.mine = 1
        return request.app, request.app.state.name, request.state.pool, request["app"]

    def of_connection(connection: HTTPConnection) -> Any:
        return connection.state.pool

    async def work(a: Any = Depends(of_request), b: Any = Depends(of_connection)) -> Any:
        return a, b

    task = Registry().task(work, name="work")
    assert await injection.run(task, (), {}, in_thread) == ((app, "shop", "pool", app), "pool")
    assert kept == {"pool": "pool"}


UNAVAILABLE: dict[str, Callable[[Request], Any]] = {
    "headers": lambda request: request.headers["x"],
    "headers.get": lambda request: request.headers.get("x"),
    "in headers": lambda request: "x" in request.headers,
    "list of headers": lambda request: list(request.headers),
    "no headers": lambda request: bool(request.headers),
    "query": lambda request: request.query_params["x"],
    "path": lambda request: request.path_params["x"],
    "cookies": lambda request: request.cookies.get("x"),
    "url": lambda request: request.url,
    "method": lambda request: request.method,
    "client": lambda request: request.client,
    "user": lambda request: request.user,
    "session": lambda request: request.session,
    "url_for": lambda request: request.url_for("x"),
    "body": lambda request: request.body(),
    "item": lambda request: request["path"],
    "get": lambda request: request.get("path"),
}


@pytest.mark.parametrize("what", UNAVAILABLE)
async def test_the_request_has_nothing_else(run: Run, what: str) -> None:
    def dependency(request: Request) -> None:
        UNAVAILABLE[what](request)

    async def work(nothing: None = Depends(dependency)) -> None: ...

    with pytest.raises(PostludeError, match=r"a task has no HTTP request.*give the task a parameter"):
        await run(work)


@pytest.mark.skipif(not SCOPED, reason="this FastAPI has no scopes")
@pytest.mark.parametrize("scope", ["function", "request"])
async def test_a_dependency_of_either_scope_is_closed(run: Run, scope: Any, said: list[str]) -> None:
    async def work(session: Session = Depends(get_session, scope=scope)) -> None:
        said.append("work")

    await run(work)
    assert said == ["open 1", "work", "commit 1", "close 1"]


async def test_attempts_at_the_same_time_do_not_meet(run: Run) -> None:
    both = asyncio.Barrier(2)

    async def work(value: int, session: Session = Depends(get_session)) -> tuple[int, int]:
        await both.wait()
        return value, session.number

    assert sorted(await asyncio.gather(run(work, value=1), run(work, value=2))) == [(1, 1), (2, 2)]


async def test_a_copy_of_a_task(app: FastAPI) -> None:
    async def work(value: int, session: Session = Depends(get_session)) -> int:
        return value

    task = Registry().task(work, name="work").using(queue="other")
    assert await FastAPIInjection(app).run(task, (), {"value": 1}, in_thread) == 1


async def test_what_fastapi_takes_from_a_request_is_refused(app: FastAPI) -> None:
    def dependency() -> None: ...

    async def work(nothing: None = Depends(dependency)) -> None: ...

    task = Registry().task(work, name="work")
    dependency.__dict__["__signature__"] = inspect.signature(lambda q: None)
    with pytest.raises(TaskDefinitionError, match=r"work: FastAPI .* takes 'q' of"):
        await FastAPIInjection(app).run(task, (), {}, in_thread)


class TestApplication:
    """The application is known when it is installed, or never."""

    @pytest.fixture
    def task(self) -> Task[..., Any]:
        async def work(session: Session = Depends(get_session)) -> int:
            return session.number

        return Registry().task(work, name="work")

    async def test_one_of_fastapi(self, task: Task[..., Any], app: FastAPI) -> None:
        injection = ApplicationInjection()
        injection.join(app)
        assert await injection.run(task, (), {}, in_thread) == 1

    async def test_its_state_is_the_lifespans(self, app: FastAPI) -> None:
        def get_pool(request: Request) -> Any:
            return request.state.pool

        async def work(pool: Any = Depends(get_pool)) -> Any:
            return pool

        injection = ApplicationInjection()
        injection.join(app)
        state: dict[str, Any] = {}
        injection.keep_state(state)
        state["pool"] = "pool"
        assert await injection.run(Registry().task(work, name="work"), (), {}, in_thread) == "pool"

    async def test_none(self, task: Task[..., Any]) -> None:
        with pytest.raises(TaskDefinitionError, match=r"'session' .*has no application; give it one"):
            await ApplicationInjection().run(task, (), {}, in_thread)

    async def test_one_of_starlette(self, task: Task[..., Any]) -> None:
        injection = ApplicationInjection()
        injection.join(Starlette())
        with pytest.raises(TaskDefinitionError, match=r"needs a FastAPI .*has a Starlette application"):
            await injection.run(task, (), {}, in_thread)
