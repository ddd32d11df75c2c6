"""Kinds of routes and of responses, to cross everything with."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.background import BackgroundTasks as StarletteTasks
from starlette.middleware.gzip import GZipMiddleware

import postlude.fastapi
from postlude.request.background import BackgroundTasks as OwnTasks
from tests.request.calls import note
from tests.request.conftest import Install

SCOPED = "scope" in Depends.__code__.co_varnames
"""Whether this FastAPI has function-scoped dependencies (0.121)."""

Router = FastAPI | APIRouter

PARAMETERS: list[Any] = [BackgroundTasks, postlude.fastapi.BackgroundTasks, StarletteTasks, OwnTasks]
ORDER = ["commit a", "start", "body", "start a"]


def happened(log: list[str]) -> list[str]:
    """What happened in a request itself: routes are verified at the first one, jobs run beside it."""
    return [entry for entry in log if entry != "verify" and not entry.startswith("ran")]


def ran(log: list[str]) -> list[str]:
    return [entry for entry in log if entry.startswith("ran")]


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


KINDS: list[Any] = [
    on_app, on_app_after, on_router_before, on_router_after, on_nested_router, on_mount, on_wrapped_mount,
]  # fmt: skip


def answering(response: Callable[[], Any], parameter: Any, is_async: bool = True) -> Callable[[Router], None]:
    """Return what adds a route whose endpoint adds a task and gives a response."""

    def add(router: Router) -> None:
        if is_async:

            @router.get("/x")
            async def endpoint(tasks: parameter) -> Any:
                tasks.add_task(note, "a")
                return response()
        else:

            @router.get("/x")
            def endpoint_sync(tasks: parameter) -> Any:
                tasks.add_task(note, "a")
                return response()

    return add


def plain() -> Any:
    return {"ok": "yes"}


def returned() -> Any:
    return JSONResponse({"ok": "yes"})


def streaming() -> Any:
    return StreamingResponse(iter([b"ok"]))


def file() -> Any:
    return FileResponse(__file__)


RESPONSES: list[Any] = [plain, returned, streaming, file]


def simple(install: Install) -> FastAPI:
    app = FastAPI()
    install(app)
    return app
