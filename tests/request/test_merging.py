"""One object for all parameters of a request, in FastAPI's order; and who waits for its jobs."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI
from starlette.background import BackgroundTasks as StarletteTasks

import postlude.fastapi
from postlude.request.background import BackgroundTasks as OwnTasks
from tests.request.asgi import call
from tests.request.calls import note, note_sync
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import simple

pytestmark = pytest.mark.anyio


class TestMerging:
    """One object for all parameters of a request, in FastAPI's order."""

    async def test_all_levels_and_annotations_share_one_object(
        self, install: Install, port: Recorder, log: list[str]
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
        assert port.stored == ["app", "sub", "dependency", "endpoint"]
        assert port.commits == 1

    async def test_add_task_gives_a_job(self, install: Install, log: list[str]) -> None:
        app = simple(install)

        @app.get("/x")
        async def endpoint(tasks: postlude.fastapi.BackgroundTasks) -> str:
            return tasks.add_task(note, "a").id

        sent = await call(app, "/x", log=log)
        assert len(sent[1]["body"]) == 38
