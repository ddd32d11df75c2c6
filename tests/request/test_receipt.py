"""The contract's case table: what is stored when, and what runs when, on every kind of route."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Annotated, Any

import pytest
from anyio import CancelScope
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.background import BackgroundTask as StarletteTask
from starlette.background import BackgroundTasks as StarletteTasks
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

import postlude.fastapi
from postlude.background import BackgroundTask
from postlude.background import BackgroundTasks as OwnTasks
from postlude.errors import NotDurable, RequestOver
from tests.request.asgi import call, header, status
from tests.request.calls import audit, fails, note, note_object, note_sync
from tests.request.conftest import Install
from tests.request.memory_desk import MemoryDesk

pytestmark = pytest.mark.anyio

SCOPED = "scope" in Depends.__code__.co_varnames
"""Whether this FastAPI has function-scoped dependencies (0.121)."""

Router = FastAPI | APIRouter

PARAMETERS: list[Any] = [BackgroundTasks, postlude.fastapi.BackgroundTasks, StarletteTasks, OwnTasks]
ORDER = ["commit a", "start", "body", "start a"]


def function_scoped(dependency: Callable[..., Any]) -> Any:
    return Depends(dependency, scope="function") if SCOPED else Depends(dependency)


def on_app(add: Callable[[Router], None], install: Install) -> tuple[FastAPI, str]:
    app = FastAPI()
    add(app)
    install(app)
    return app, "/x"


def on_app_after(add: Callable[[Router], None], install: Install) -> tuple[FastAPI, str]:
    app = FastAPI()
    install(app)
    add(app)
    return app, "/x"


def on_router_before(add: Callable[[Router], None], install: Install) -> tuple[FastAPI, str]:
    app, router = FastAPI(), APIRouter()
    add(router)
    app.include_router(router, prefix="/r")
    app.openapi()
    install(app)
    return app, "/r/x"


def on_router_after(add: Callable[[Router], None], install: Install) -> tuple[FastAPI, str]:
    app, router = FastAPI(), APIRouter()
    add(router)
    install(app)
    app.include_router(router, prefix="/r")
    return app, "/r/x"


def on_nested_router(add: Callable[[Router], None], install: Install) -> tuple[FastAPI, str]:
    app, outer, inner = FastAPI(), APIRouter(), APIRouter()
    add(inner)
    outer.include_router(inner, prefix="/i")
    app.include_router(outer, prefix="/o")
    install(app)
    return app, "/o/i/x"


def on_mount(add: Callable[[Router], None], install: Install) -> tuple[FastAPI, str]:
    app, sub, router = FastAPI(), FastAPI(), APIRouter()
    add(router)
    sub.include_router(router, prefix="/r")
    app.mount("/m", sub)
    install(app)
    return app, "/m/r/x"


def on_wrapped_mount(add: Callable[[Router], None], install: Install) -> tuple[FastAPI, str]:
    app, sub = FastAPI(), FastAPI()
    add(sub)
    install(app)
    app.mount("/m", GZipMiddleware(sub))
    return app, "/m/x"


KINDS = [
    on_app, on_app_after, on_router_before, on_router_after, on_nested_router, on_mount, on_wrapped_mount,
]  # fmt: skip


def plain(parameter: Any, is_async: bool) -> Callable[[Router], None]:
    def add(router: Router) -> None:
        if is_async:

            @router.get("/x")
            async def endpoint(tasks: parameter) -> dict[str, str]:
                tasks.add_task(note, "a")
                return {"ok": "yes"}
        else:

            @router.get("/x")
            def endpoint_sync(tasks: parameter) -> dict[str, str]:
                tasks.add_task(note, "a")
                return {"ok": "yes"}

    return add


def returned(parameter: Any, is_async: bool) -> Callable[[Router], None]:
    def add(router: Router) -> None:
        @router.get("/x")
        async def endpoint(tasks: parameter) -> Any:
            tasks.add_task(note, "a")
            return JSONResponse({"ok": "yes"})

    return add


def streaming(parameter: Any, is_async: bool) -> Callable[[Router], None]:
    def add(router: Router) -> None:
        @router.get("/x")
        async def endpoint(tasks: parameter) -> Any:
            tasks.add_task(note, "a")
            return StreamingResponse(iter([b"ok"]))

    return add


def file(parameter: Any, is_async: bool) -> Callable[[Router], None]:
    def add(router: Router) -> None:
        @router.get("/x")
        async def endpoint(tasks: parameter) -> Any:
            tasks.add_task(note, "a")
            return FileResponse(__file__)

    return add


@pytest.mark.usefixtures("never_installed")
class TestEveryRoute:
    """Receipt by kind of route, in full."""

    @pytest.mark.parametrize("parameter", PARAMETERS)
    @pytest.mark.parametrize("is_async", [True, False])
    @pytest.mark.parametrize("kind", KINDS)
    async def test_commit_first_start_last(
        self, kind: Any, is_async: bool, parameter: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app, path = kind(plain(parameter, is_async), install)
        desk.serving = True
        assert status(await call(app, path, log=log)) == 200
        assert [entry for entry in log if entry != "verify"] == ORDER
        assert (desk.commits, desk.starts) == (1, 1)

    @pytest.mark.parametrize("response", [returned, streaming, file])
    @pytest.mark.parametrize("kind", KINDS)
    async def test_every_response(
        self, kind: Any, response: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app, path = kind(response(BackgroundTasks, True), install)
        desk.serving = True
        assert status(await call(app, path, log=log)) == 200
        assert [entry for entry in log if entry != "verify"] == ORDER

    @pytest.mark.parametrize("between", [BaseHTTPMiddleware, GZipMiddleware])
    @pytest.mark.parametrize("outside", [True, False])
    @pytest.mark.parametrize("response", [plain, returned, streaming])
    async def test_middleware_in_between(
        self, between: Any, outside: bool, response: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        async def dispatch(request: Request, call_next: Any) -> Any:
            return await call_next(request)

        app = FastAPI()
        options = {"dispatch": dispatch} if between is BaseHTTPMiddleware else {"minimum_size": 1}
        if not outside:
            app.add_middleware(between, **options)
        response(postlude.fastapi.BackgroundTasks, True)(app)
        install(app)
        if outside:
            app.add_middleware(between, **options)
        desk.serving = True
        accepts = ((b"accept-encoding", b"gzip"),)
        assert status(await call(app, "/x", log=log, headers=accepts)) == 200
        log.remove("verify")
        assert log[:2] == ["commit a", "start"]
        assert log[-1] == "start a"

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_failed_handler_stores_only_what_survives_failure(
        self, kind: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        def add(router: Router) -> None:
            @router.get("/x")
            async def endpoint(tasks: BackgroundTasks) -> None:
                tasks.add_task(note, "a")
                tasks.add_task(audit, "b")
                raise HTTPException(418)

        app, path = kind(add, install)
        desk.serving = True
        assert status(await call(app, path, log=log)) == 418
        assert [entry for entry in log if entry != "verify"] == ["commit b", "start", "body", "start b"]


def simple(install: Install, parameter: Any = BackgroundTasks) -> FastAPI:
    app = FastAPI()
    install(app)
    return app


class TestOutcomes:
    """What each end of a request means for its jobs."""

    @pytest.mark.parametrize("parameter", PARAMETERS)
    async def test_unhandled_error(
        self, parameter: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: parameter) -> None:
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await call(app, "/x", log=log)
        assert desk.stored == ["b"]
        assert desk.starts == 1

    @pytest.mark.parametrize("handled", [True, False])
    async def test_response_model_fails(
        self, handled: bool, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        from fastapi.exceptions import ResponseValidationError

        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> int:
            tasks.add_task(note, "a")
            return "no number"  # type: ignore[return-value]

        if handled:

            @app.exception_handler(ResponseValidationError)
            async def handler(request: Request, error: Exception) -> Response:
                return Response(status_code=500)

            assert status(await call(app, "/x", log=log)) == 500
        else:
            with pytest.raises(ResponseValidationError):
                await call(app, "/x", log=log)
        assert desk.stored == []

    @pytest.mark.parametrize("handled", [True, False])
    @pytest.mark.parametrize("parameter", PARAMETERS[:2])
    async def test_function_scoped_dependency_fails_in_its_exit(
        self, parameter: Any, handled: bool, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def commits() -> AsyncIterator[None]:
            yield
            log.append("left")
            raise ZeroDivisionError

        @app.get("/x", dependencies=[function_scoped(commits)])
        async def endpoint(tasks: parameter) -> None:
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")

        if handled:

            @app.exception_handler(ZeroDivisionError)
            async def handler(request: Request, error: Exception) -> Response:
                return Response(status_code=500)

            assert status(await call(app, "/x", log=log)) == 500
        else:
            with pytest.raises(ZeroDivisionError):
                await call(app, "/x", log=log)
        assert desk.stored == ["b"]
        assert log.index("left") < log.index("commit b")

    async def test_commit_after_function_scoped_dependencies_have_left(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def leaves() -> AsyncIterator[None]:
            yield
            log.append("left")

        @app.get("/x", dependencies=[function_scoped(leaves)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")

        desk.serving = True
        await call(app, "/x", log=log)
        assert log == ["verify", "left", *ORDER]

    async def test_request_scoped_dependencies_have_left_before_a_job_starts(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def leaves() -> AsyncIterator[None]:
            yield
            log.append("left")

        @app.get("/x", dependencies=[Depends(leaves)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")

        await call(app, "/x", log=log)
        assert log.index("left") < log.index("start a") < log.index("ran a")

    async def test_journal_unavailable_is_503_that_handlers_and_dependencies_see(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def session() -> AsyncIterator[None]:
            try:
                yield
            except HTTPException as error:
                log.append(f"dependency saw {error.status_code}")
                raise

        @app.exception_handler(HTTPException)
        async def handler(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            return JSONResponse({"mine": True}, error.status_code, dict(error.headers or {}))

        @app.get("/x", dependencies=[Depends(session)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")
            tasks.add_task(note_object, object())

        desk.unavailable = True
        sent = await call(app, "/x", log=log)
        assert (status(sent), header(sent, "retry-after")) == (503, "1")
        assert b"mine" in sent[1]["body"]
        assert "ran in memory" not in log
        if SCOPED:
            assert "dependency saw 503" in log
        desk.unavailable = False
        assert status(await call(app, "/x", log=log)) == 200
        assert desk.stored == ["a"]

    async def test_an_earlier_job_that_fails_does_not_stop_later_ones(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(fails, "a")
            tasks.add_task(note, "b")

        assert status(await call(app, "/x", log=log)) == 200
        assert log[-2:] == ["ran a", "ran b"]

    async def test_no_task_no_commit(self, install: Install, desk: MemoryDesk, log: list[str]) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None: ...

        await call(app, "/x", log=log)
        assert (desk.commits, desk.starts) == (0, 0)


class TestOwnBackground:
    """A handler that returns a response with its own background tasks."""

    @pytest.mark.parametrize("own", [StarletteTask, BackgroundTask, "starlette", "ours", "fastapi"])
    @pytest.mark.parametrize("parameter", [None, *PARAMETERS])
    async def test_both_run_injected_first(
        self, parameter: Any, own: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        def background() -> Any:
            if isinstance(own, type):
                return own(note, "own")
            tasks = {"starlette": StarletteTasks, "ours": OwnTasks, "fastapi": BackgroundTasks}[own]()
            tasks.add_task(note, "own")
            return tasks

        if parameter is None:

            @app.get("/x")
            async def alone() -> Any:
                return JSONResponse({}, background=background())
        else:

            @app.get("/x")
            async def endpoint(tasks: parameter) -> Any:
                tasks.add_task(note, "a")
                return JSONResponse({}, background=background())

        assert status(await call(app, "/x", log=log)) == 200
        expected = ["own"] if parameter is None else ["a", "own"]
        assert desk.stored == expected
        assert [entry for entry in log if entry.startswith("ran")] == [f"ran {name}" for name in expected]
        assert log.index("commit own") < log.index("start")

    async def test_the_injected_object_returned_by_hand_is_not_run_twice(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")
            return JSONResponse({}, background=tasks)

        await call(app, "/x", log=log)
        assert desk.stored == ["a"]
        assert log.count("ran a") == 1

    async def test_an_unknown_callable_runs_in_memory_after_the_response(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def own() -> None:
            log.append("ran own")

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")
            return JSONResponse({}, background=own)  # type: ignore[arg-type]

        await call(app, "/x", log=log)
        assert desk.stored == ["a"]
        assert log.index("body") < log.index("ran own")

    async def test_a_response_object_that_is_returned_twice_keeps_its_background(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)
        shared = JSONResponse({}, background=StarletteTask(note, "own"))

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")
            return shared

        await call(app, "/x", log=log)
        await call(app, "/x", log=log)
        assert desk.stored == ["a", "own", "a", "own"]


class TestLate:
    """What is added when the response is already on its way."""

    @pytest.mark.parametrize("parameter", PARAMETERS)
    @pytest.mark.skipif(not SCOPED, reason="before FastAPI 0.121 dependencies leave before the response")
    async def test_after_yield_in_a_request_scoped_dependency(
        self, parameter: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def dependency(tasks: parameter) -> AsyncIterator[None]:
            yield
            tasks.add_task(note, "late")

        @app.get("/x", dependencies=[Depends(dependency)])
        async def endpoint() -> None: ...

        await call(app, "/x", log=log)
        assert log.index("body") < log.index("commit late") < log.index("start late") < log.index("ran late")

    async def test_while_the_response_streams(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")

            async def body() -> AsyncIterator[bytes]:
                yield b"1"
                tasks.add_task(note, "late")
                yield b"2"

            return StreamingResponse(body())

        await call(app, "/x", log=log)
        assert desk.stored == ["a", "late"]
        assert desk.starts == 2
        assert log.index("ran a") < log.index("ran late")

    async def test_after_yield_of_a_failed_request_nothing_is_stored(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def dependency(tasks: BackgroundTasks) -> AsyncIterator[None]:
            try:
                yield
            finally:
                tasks.add_task(note, "late")
                tasks.add_task(audit, "audit")

        @app.get("/x", dependencies=[Depends(dependency)])
        async def endpoint() -> None:
            raise HTTPException(418)

        assert status(await call(app, "/x", log=log)) == 418
        assert desk.stored == ["audit"]
        assert "start audit" in log

    async def test_when_the_request_is_over(self, install: Install, log: list[str]) -> None:
        app = simple(install)
        kept: list[Any] = []

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            kept.append(tasks)

        await call(app, "/x", log=log)
        with pytest.raises(RequestOver, match="note"):
            kept[0].add_task(note, "a")


class Gone(OSError):
    """The server's `send` on a connection that the client has closed."""


class TestClientGone:
    """A client that goes away has its jobs done all the same."""

    @pytest.mark.parametrize("response", [plain, returned, streaming, file])
    @pytest.mark.parametrize("at", ["http.response.start", "http.response.body"])
    @pytest.mark.parametrize("spec_version", ["2.0", "2.4"])
    async def test_send_raises(
        self, spec_version: str, at: str, response: Any, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)
        response(BackgroundTasks, True)(app)

        def on_send(message: Any) -> None:
            if message["type"] == at:
                raise Gone

        # Whether the server hears of it depends on the version of the protocol.
        with suppress(Exception):
            await call(app, "/x", log=log, on_send=on_send, spec_version=spec_version)
        assert desk.stored == ["a"]
        assert log[-1] == "ran a"

    @pytest.mark.parametrize("gone_after", [0, None])
    async def test_disconnect_while_streaming(
        self, gone_after: int | None, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")

            async def body() -> AsyncIterator[bytes]:
                while True:
                    yield b"x"
                    await asyncio.sleep(0)

            return StreamingResponse(body())

        await call(app, "/x", log=log, spec_version="2.0", gone_after=gone_after)
        assert desk.stored == ["a"]
        assert log[-1] == "ran a"

    async def test_cancelled_while_sending(self, install: Install, desk: MemoryDesk, log: list[str]) -> None:
        app = simple(install)
        reached = asyncio.Event()

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")

            async def body() -> AsyncIterator[bytes]:
                yield b"1"
                tasks.add_task(note, "late")
                reached.set()
                await asyncio.Event().wait()

            return StreamingResponse(body())

        request = asyncio.create_task(call(app, "/x", log=log))
        await reached.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert desk.stored == ["a", "late"]
        assert [call.args for call in desk.waiting] == [("a",), ("late",)]

    async def test_a_cancelled_scope_still_stores_what_came_late(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)
        cancelled = CancelScope()

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            async def body() -> AsyncIterator[bytes]:
                yield b"1"
                tasks.add_task(note, "late")
                cancelled.cancel()
                await asyncio.Event().wait()

            return StreamingResponse(body())

        with cancelled:
            await call(app, "/x", log=log)
        assert desk.stored == ["late"]
        assert "start late" in log

    async def test_what_runs_in_memory_runs_too(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def session() -> AsyncIterator[None]:
            try:
                yield
            finally:
                log.append("left")

        @app.get("/x", dependencies=[Depends(session)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note_object, object())

        def on_send(message: Any) -> None:
            raise Gone

        with pytest.raises(Gone):
            await call(app, "/x", log=log, on_send=on_send)
        assert "ran in memory" in log
        if SCOPED:
            assert log.index("ran in memory") < log.index("left")


class TestWithoutDurableForm:
    """FastAPI's parameter runs it in memory, Postlude's raises on the line."""

    @pytest.mark.parametrize("parameter", [BackgroundTasks, StarletteTasks])
    async def test_lenient(self, parameter: Any, install: Install, desk: MemoryDesk, log: list[str]) -> None:
        app = simple(install)

        async def session() -> AsyncIterator[None]:
            yield
            log.append("left")

        @app.get("/x", dependencies=[Depends(session)])
        async def endpoint(tasks: parameter) -> None:
            tasks.add_task(note_object, object())
            tasks.add_task(note, "a")

        await call(app, "/x", log=log)
        assert desk.in_memory_calls == ["note_object"]
        assert desk.stored == ["a"]
        assert log.index("body") < log.index("ran in memory")
        if SCOPED:
            assert log.index("ran in memory") < log.index("left")

    @pytest.mark.parametrize("where", ["route", "dependency", "annotated"])
    async def test_strict_if_anything_asked_with_ours(
        self, where: str, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)
        ours = postlude.fastapi.BackgroundTasks
        inner: Any = ours if where == "dependency" else BackgroundTasks
        outer: Any = {"route": ours, "dependency": BackgroundTasks, "annotated": Annotated[ours, "x"]}[where]

        async def sub(tasks: inner) -> None: ...

        async def dependency(nothing: Annotated[None, Depends(sub)]) -> None: ...

        @app.get("/x", dependencies=[Depends(dependency)])
        async def endpoint(tasks: outer) -> None:
            with pytest.raises(NotDurable):
                tasks.add_task(note_object, object())
            log.append("raised")

        assert status(await call(app, "/x", log=log)) == 200
        assert "raised" in log
        assert desk.in_memory_calls == []

    async def test_all_run_and_the_first_error_is_raised(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        app = simple(install)

        async def bad(name: str) -> None:
            log.append(f"ran {name}")
            raise ValueError(name)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(bad, "1")
            tasks.add_task(bad, "2")
            tasks.add_task(lambda: log.append("ran 3"))
            tasks.add_task(note, "job")

        with pytest.raises(ValueError, match="1"):
            await call(app, "/x", log=log)
        assert [entry for entry in log if entry.startswith("ran")] == ["ran 1", "ran 2", "ran 3", "ran job"]

    async def test_wrong_arguments_raise_on_the_line(self, install: Install, log: list[str]) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            with pytest.raises(TypeError):
                tasks.add_task(note)  # type: ignore[call-arg]
            log.append("raised")

        await call(app, "/x", log=log)
        assert "raised" in log


class TestMerging:
    """One object for all parameters of a request, in FastAPI's order."""

    async def test_all_levels_and_annotations_share_one_object(
        self, install: Install, desk: MemoryDesk, log: list[str]
    ) -> None:
        seen: list[Any] = []

        async def app_level(tasks: BackgroundTasks) -> None:
            seen.append(tasks)
            tasks.add_task(note, "app")

        async def sub(tasks: StarletteTasks) -> None:
            seen.append(tasks)
            tasks.add_task(note, "sub")

        def dependency(tasks: OwnTasks, nothing: Annotated[None, Depends(sub)]) -> Iterator[None]:
            seen.append(tasks)
            tasks.add_task(note_sync, "dependency")
            yield

        app = FastAPI(dependencies=[Depends(app_level)])
        install(app)
        router = APIRouter()

        @router.get("/x", dependencies=[Depends(dependency)])
        async def endpoint(tasks: postlude.fastapi.BackgroundTasks) -> None:
            seen.append(tasks)
            tasks.add_task(note, "endpoint")

        app.include_router(router)
        await call(app, "/x", log=log)
        assert len({id(tasks) for tasks in seen}) == 1
        assert isinstance(seen[0], (BackgroundTasks, postlude.fastapi.BackgroundTasks))
        assert desk.stored == ["app", "sub", "dependency", "endpoint"]
        assert desk.commits == 1

    async def test_add_task_gives_a_job(self, install: Install, log: list[str]) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: postlude.fastapi.BackgroundTasks) -> str:
            return tasks.add_task(note, "a").id

        sent = await call(app, "/x", log=log)
        assert len(sent[1]["body"]) == 38


class TestWaiting:
    """A request waits for its jobs only where nobody else runs them, or a test client asks."""

    @pytest.mark.parametrize(
        ("serving", "extensions", "waits"),
        [
            (True, {}, False),
            (True, {"http.response.debug": {}}, True),
            (False, {}, True),
            (False, {"http.response.debug": {}}, True),
        ],
    )
    async def test_waits(
        self,
        serving: bool,
        extensions: dict[str, Any],
        waits: bool,
        install: Install,
        desk: MemoryDesk,
        log: list[str],
    ) -> None:
        app = simple(install)
        plain(BackgroundTasks, True)(app)
        desk.serving = serving
        await call(app, "/x", log=log, extensions=extensions)
        assert ("settle" in log) is waits
        assert ("ran a" in log) is waits
