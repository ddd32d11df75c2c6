"""What has no durable form: FastAPI's parameter runs it in memory, Postlude's raises on the line."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends
from starlette.background import BackgroundTasks as StarletteTasks

import postlude.fastapi
from postlude.errors import NotDurable
from tests.request.asgi import call, status
from tests.request.calls import note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import SCOPED, simple

pytestmark = pytest.mark.anyio


class TestWithoutDurableForm:
    """FastAPI's parameter runs it in memory, Postlude's raises on the line."""

    @pytest.mark.parametrize("parameter", [BackgroundTasks, StarletteTasks])
    async def test_lenient(self, parameter: Any, install: Install, port: Recorder, log: list[str]) -> None:
        app = simple(install)

        async def session() -> AsyncIterator[None]:
            yield
            log.append("left")

        @app.get("/x", dependencies=[Depends(session)])
        async def endpoint(tasks: parameter) -> None:
            tasks.add_task(note_object, object())
            tasks.add_task(note, "a")

        await call(app, "/x", log=log)
        assert port.in_memory_calls == ["note_object"]
        assert port.stored == ["a"]
        assert log.index("body") < log.index("ran in memory")
        if SCOPED:
            assert log.index("ran in memory") < log.index("left")

    @pytest.mark.parametrize("where", ["route", "dependency", "annotated"])
    async def test_strict_if_anything_asked_with_ours(
        self, where: str, install: Install, port: Recorder, log: list[str]
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
        assert port.in_memory_calls == []

    async def test_all_run_and_the_first_error_is_raised(
        self, install: Install, port: Recorder, log: list[str]
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
