"""Frontends: the jobs of their dependencies."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI

from tests.request.asgi import call, status
from tests.request.calls import note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("newly_installed")]


@pytest.mark.skipif(not hasattr(APIRouter, "frontend"), reason="no frontends in this FastAPI")
@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("before", [True, False])
class TestFrontend:
    def app(self, tmp_path: Path, install: Install, included: bool, before: bool) -> FastAPI:
        (tmp_path / "index.html").write_text("hello")

        async def dependency(tasks: BackgroundTasks) -> AsyncIterator[None]:
            tasks.add_task(note, "a")
            tasks.add_task(note_object, object())
            yield
            tasks.add_task(note, "late")

        router = APIRouter(dependencies=[Depends(dependency)])
        app = FastAPI(dependencies=[] if included else [Depends(dependency)])
        if before:
            install(app)
        if included:
            router.frontend("/", directory=tmp_path)
            app.include_router(router, prefix="/f")
        else:
            app.frontend("/f", directory=tmp_path)
        if not before:
            for route in app.routes:
                getattr(route, "effective_low_priority_routes", list)()
            install(app)
        return app

    async def test_jobs_of_dependencies(
        self, tmp_path: Path, before: bool, included: bool, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = self.app(tmp_path, install, included, before)
        assert status(await call(app, "/f/index.html", log=log)) == 200
        assert port.stored == ["a", "late"]
        happened = ["commit a", "start", "start a", "ran a", "ran in memory"]
        assert [entry for entry in log if entry in happened] == happened

    async def test_unavailable(
        self, tmp_path: Path, before: bool, included: bool, install: Install, port: Recorder, log: list[str]
    ) -> None:
        app = self.app(tmp_path, install, included, before)
        port.unavailable = True
        assert status(await call(app, "/f/index.html", log=log)) == 503
        assert not [entry for entry in log if entry.startswith("ran")]
