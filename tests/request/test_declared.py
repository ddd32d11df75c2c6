"""A declared task has promised more than memory can keep: without a durable form it raises and never runs."""

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, NamedTuple
from unittest.mock import create_autospec

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, UploadFile, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.background import BackgroundTask as StarletteTask
from starlette.background import BackgroundTasks as StarletteTasks

from postlude import Postlude
from postlude.errors import NotDurable
from postlude.request.background import BackgroundTask
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task
from tests.request.asgi import call, status
from tests.request.calls import LOG, audit, note, note_object
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import PARAMETERS, SCOPED

pytestmark = pytest.mark.anyio


async def remind(text: str, upload: UploadFile | None = None) -> None:
    LOG.append(f"ran {text}")


def remind_sync(text: str) -> None:
    LOG.append(f"ran {text}")


class Shop(NamedTuple):
    """An application with tasks: one that remembers to, and one that notes."""

    app: FastAPI
    remind: Task[Any, Any]
    postlude: Postlude


@pytest.fixture
def shop(install: Install) -> Shop:
    app = FastAPI()
    postlude = install(app)
    return Shop(app, postlude.task(remind, name="remind"), postlude)


def wrapped(task: Any) -> Callable[..., Any]:
    @functools.wraps(task)
    async def wrapper(*args: Any) -> None:
        await task(*args)

    return wrapper


WAYS: dict[str, Callable[[Any], Any]] = {
    "declared": lambda task: task,
    "using": lambda task: task.using(delay=86_400, key="order:7", delivery="at_most_once"),
    "partial": lambda task: functools.partial(task.using(delay=60)),
    "partial of a function": lambda task: functools.partial(functools.partial(task.function)),
    "the function itself": lambda task: task.function,
    "a wrapper": wrapped,
    "another's": lambda task: Registry().task(remind, name="another's"),
    "another's copy": lambda task: Registry().task(remind, name="another's").using(delay=5),
}


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("way", list(WAYS))
async def test_it_raises_on_the_line(
    way: str, parameter: Any, shop: Shop, port: Recorder, log: list[str]
) -> None:
    function = WAYS[way](shop.remind)

    @shop.app.get("/x")
    async def endpoint(tasks: parameter) -> None:
        with pytest.raises(NotDurable):
            tasks.add_task(function, 7)
        log.append("raised")
        tasks.add_task(note, "a")

    assert status(await call(shop.app, "/x", log=log)) == 200
    assert ("raised" in log, port.in_memory_calls, port.stored) == (True, [], ["a"])
    assert "ran 7" not in log


async def test_it_raises_in_sync_endpoints_and_in_dependencies(
    shop: Shop, port: Recorder, log: list[str]
) -> None:
    sync_task = shop.postlude.task(remind_sync, name="remind_sync")

    def dependency(tasks: BackgroundTasks) -> None:
        with pytest.raises(NotDurable, match="'text' is of type int"):
            tasks.add_task(sync_task.using(key="k"), 7)  # type: ignore[arg-type]
        log.append("raised")

    @shop.app.get("/x", dependencies=[Depends(dependency)])
    def endpoint(tasks: BackgroundTasks) -> None:
        with pytest.raises(NotDurable):
            tasks.add_task(sync_task, b"7")  # type: ignore[arg-type]
        log.append("raised")

    assert status(await call(shop.app, "/x", log=log)) == 200
    assert (log.count("raised"), port.in_memory_calls, port.stored) == (2, [], [])


async def test_one_that_nobody_catches_is_the_requests_error(
    shop: Shop, port: Recorder, log: list[str]
) -> None:
    @shop.app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note, "a")
        tasks.add_task(shop.remind.using(delay=86_400), 7)

    with pytest.raises(NotDurable, match="remind: argument 'text' is of type int"):
        await call(shop.app, "/x", log=log)
    assert (port.stored, "ran 7" in log) == ([], False)


async def test_a_registered_function_of_a_library(shop: Shop, port: Recorder, log: list[str]) -> None:
    shop.postlude.task(note_object)

    @shop.app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        with pytest.raises(NotDurable):
            tasks.add_task(note_object, object())
        log.append("raised")

    await call(shop.app, "/x", log=log)
    assert ("raised" in log, port.in_memory_calls) == (True, [])


async def test_plain_functions_and_mocks_of_tasks_run_in_memory_as_ever(
    shop: Shop, port: Recorder, log: list[str]
) -> None:
    mock = create_autospec(shop.remind)

    @shop.app.get("/x")
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(note_object, object())
        tasks.add_task(mock, "7")

    await call(shop.app, "/x", log=log)
    assert "ran in memory" in log
    mock.assert_called_once_with("7")
    assert len(port.in_memory_calls) == 2


class TestByHand:
    """Tasks made without the request's parameter: there the receipt is the first that can tell."""

    @pytest.mark.parametrize("own", [StarletteTask, "starlette", "fastapi"])
    @pytest.mark.parametrize("wrong", [(7,), ()], ids=["type", "missing"])
    async def test_in_a_responses_own_background(
        self, wrong: tuple[Any, ...], own: Any, shop: Shop, port: Recorder, log: list[str]
    ) -> None:
        """Nothing of the request is stored, but for what is kept although it fails."""

        @shop.app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")
            tasks.add_task(audit, "b")
            one = StarletteTask(shop.remind.using(key="k"), *wrong)
            kinds = {"starlette": StarletteTasks, "fastapi": BackgroundTasks}
            background = one if own is StarletteTask else kinds[own]([one])
            return JSONResponse({}, background=background)

        sent: list[Any] = []
        with pytest.raises(TypeError, match="remind: "):
            await call(shop.app, "/x", log=log, on_send=sent.append)
        assert (status(sent), port.stored, "ran a" in log) == (500, ["b"], False)

    async def test_made_before_the_request(self, shop: Shop, port: Recorder, log: list[str]) -> None:
        made = BackgroundTask(shop.remind, 7)

        @shop.app.get("/x")
        async def endpoint() -> Any:
            return JSONResponse({}, background=made)

        with pytest.raises(NotDurable):
            await call(shop.app, "/x", log=log)
        assert (port.stored, "ran 7" in log) == ([], False)

    async def test_put_into_the_list(self, shop: Shop, port: Recorder, log: list[str]) -> None:
        @shop.app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(note, "a")
            tasks.tasks.append(StarletteTask(shop.remind, 7))

        sent: list[Any] = []
        with pytest.raises(NotDurable):
            await call(shop.app, "/x", log=log, on_send=sent.append)
        assert (status(sent), port.stored, "ran 7" in log) == (500, [], False)

    async def test_of_a_request_that_has_failed_anyway(
        self, shop: Shop, port: Recorder, log: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        @shop.app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.tasks.append(StarletteTask(shop.remind, 7))
            tasks.add_task(audit, "b")
            raise HTTPException(418)

        assert status(await call(shop.app, "/x", log=log)) == 418
        assert (port.stored, "ran 7" in log) == (["b"], False)
        assert "dropped a task that cannot be kept: remind" in caplog.text

    async def test_while_the_response_is_on_its_way(self, shop: Shop, port: Recorder, log: list[str]) -> None:
        @shop.app.get("/x")
        async def endpoint(tasks: BackgroundTasks) -> Any:
            tasks.add_task(note, "a")

            async def body() -> AsyncIterator[bytes]:
                yield b"1"
                tasks.tasks.append(StarletteTask(shop.remind, 7))
                tasks.add_task(audit, "b")

            return StreamingResponse(body())

        with pytest.raises(NotDurable):
            await call(shop.app, "/x", log=log)
        assert (port.stored, "ran a" in log, "ran 7" in log) == (["a", "b"], True, False)

    @pytest.mark.skipif(not SCOPED, reason="before FastAPI 0.121 dependencies leave before the response")
    async def test_when_the_response_has_been_sent(self, shop: Shop, port: Recorder, log: list[str]) -> None:
        async def dependency(tasks: BackgroundTasks) -> AsyncIterator[None]:
            yield
            with pytest.raises(NotDurable):
                tasks.add_task(shop.remind, 7)
            log.append("raised")

        @shop.app.get("/x", dependencies=[Depends(dependency)])
        async def endpoint() -> None: ...

        assert status(await call(shop.app, "/x", log=log)) == 200
        assert ("raised" in log, port.stored, "ran 7" in log) == (True, [], False)


@pytest.mark.parametrize("by_hand", [False, True])
def test_in_a_websocket(by_hand: bool, shop: Shop, port: Recorder, log: list[str]) -> None:
    @shop.app.websocket("/x")
    async def endpoint(websocket: WebSocket, tasks: BackgroundTasks) -> None:
        await websocket.accept()
        tasks.add_task(note, "a")
        if by_hand:
            tasks.tasks.append(StarletteTask(shop.remind, 7))
        else:
            tasks.add_task(shop.remind, 7)

    with (
        pytest.raises(NotDurable),
        TestClient(shop.app).websocket_connect("/x") as client,
        suppress(KeyError),
    ):
        client.receive()
    assert (port.stored, "ran 7" in log) == ([], False)
