"""What Postlude takes from Python, anyio and Starlette without a promise, and what it must mean."""

import asyncio
import inspect
import sys
import threading
from contextlib import AsyncExitStack
from typing import Any

import anyio.from_thread
import pytest
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from postlude import compat

pytestmark = pytest.mark.anyio


async def nothing(scope: Scope, receive: Receive, send: Send) -> None: ...


async def _receive() -> Message:
    return {"type": "http.disconnect"}


async def _send(message: Message) -> None: ...


async def test_the_loop_that_runs_in_this_thread() -> None:
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(compat.running_loop()))
    thread.start()
    thread.join()
    assert compat.running_loop() is asyncio.get_running_loop()
    assert other == [None]


def test_how_a_callable_is_called() -> None:
    async def function() -> None: ...

    assert compat.is_async_callable(function)
    assert not compat.is_async_callable(lambda: None)


def test_the_handlers_of_exceptions_are_those_that_are_asked() -> None:
    def handler(request: Any, error: Exception) -> Response:
        return Response()

    middleware = ExceptionMiddleware(nothing, handlers={418: handler, KeyError: handler})
    by_class, by_status = compat.exception_handlers(middleware)
    assert by_class[KeyError] is handler
    assert by_status == {418: handler}


async def test_a_scope_has_them() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    def handler(request: Any, error: Exception) -> Response:
        return Response()

    middleware = ExceptionMiddleware(app, handlers={KeyError: handler})
    await middleware({"type": "http"}, _receive, _send)
    by_class, _ = seen[0][compat.EXCEPTION_HANDLERS]
    assert by_class[KeyError] is handler


async def test_a_thread_that_counts_as_one_of_anyio() -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    async def tell() -> str:
        told.set()
        return "heard"

    answers: list[str] = []

    def work() -> None:
        with compat.worker_thread(loop):
            answers.append(anyio.from_thread.run(tell))

    thread = threading.Thread(target=work)
    thread.start()
    await told.wait()
    await asyncio.to_thread(thread.join)
    assert answers == ["heard"]


async def test_a_forgotten_task_is_not_waited_for() -> None:
    task = asyncio.get_running_loop().create_task(asyncio.sleep(3600))
    assert task in asyncio.all_tasks()
    compat.forget_task(task)
    assert task not in asyncio.all_tasks()
    task.cancel()


@pytest.mark.parametrize("kind", [asyncio.Future, asyncio.Task])
def test_a_future(kind: type) -> None:
    assert compat.is_future(kind)


async def test_what_is_no_future() -> None:
    assert not compat.is_future(object)
    assert asyncio.isfuture(asyncio.get_running_loop().create_future())


def test_a_callable_that_passes_for_a_coroutine_function() -> None:
    class Wrapped:
        def __call__(self) -> None: ...

    wrapped = Wrapped()
    assert not inspect.iscoroutinefunction(wrapped)
    vars(wrapped).update(compat.marks_of_coroutine_functions())
    assert asyncio.iscoroutinefunction(wrapped) or inspect.iscoroutinefunction(wrapped)


async def test_a_stack_that_nothing_leaves_with() -> None:
    async with AsyncExitStack() as stack:
        assert compat.is_empty(stack)
        stack.callback(lambda: None)
        assert not compat.is_empty(stack)
    assert not compat.is_empty(None)


def test_the_options_of_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    assert "-Werror" in compat.interpreter_flags()


def test_the_kind_of_a_parameter() -> None:
    parameters = inspect.signature(lambda a, *, b: None).parameters.values()
    assert {type(parameter.kind) for parameter in parameters} == {compat.ParameterKind}


def test_a_loop_without_an_outside() -> None:
    waits: list[float | None] = []
    loop = compat.SilentLoop(waits.append)
    try:
        assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
        thread.start()
        loop.run_forever()
        thread.join()
    finally:
        loop.close()
    assert waits
