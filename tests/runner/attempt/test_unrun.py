"""What a function returned instead of running it."""

import asyncio
import functools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from postlude import Postlude, Retry
from postlude.jobs.current import CurrentJob
from postlude.model.state import State
from postlude.runner.attempt.unrun import refuse_unrun
from tests.app.serving import becomes, serving

pytestmark = pytest.mark.anyio


class Lazy:
    """Runs when it is awaited."""

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.sleep(0).__await__()


async def inner(text: str = "") -> None: ...


async def stream() -> AsyncIterator[int]:
    yield 1


def rows() -> Iterator[int]:
    yield 1


@types.coroutine
def old() -> Generator[Any, None, None]:
    yield


class Sends:
    async def __call__(self) -> None: ...


@functools.wraps(inner)
def decorated() -> Awaitable[None]:
    return inner()


UNRUN = [inner, Lazy, stream, rows, old, functools.partial(inner, "x"), Sends(), decorated]


@pytest.mark.parametrize("on_loop", [False, True])
@pytest.mark.parametrize("make", UNRUN, ids=[str(place) for place in range(len(UNRUN))])
def test_it_is_refused(make: Callable[[], Any], on_loop: bool) -> None:
    with pytest.raises(TypeError, match=r"app:f .*(await|generator)"):
        refuse_unrun("app:f", make(), on_loop=on_loop)


async def test_what_is_under_way_on_the_loop_is_not() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(inner())
    for under_way in (future, task):
        refuse_unrun("app:f", under_way, on_loop=True)
        with pytest.raises(TypeError, match=r"app:f is not async but returned an awaitable \("):
            refuse_unrun("app:f", under_way)
    await task


def test_values_are_values() -> None:
    begun = rows()
    next(begun)
    said = CurrentJob(b"0" * 16, "f", "default", 1).progress(1)
    for value in (begun, (row for row in [1]), [1], inner, Lazy, 0, said, object(), asyncio.sleep):
        refuse_unrun("app:f", value)


async def filled() -> None: ...


@pytest.mark.parametrize("on_loop", [False, True])
@pytest.mark.parametrize("with_dependency", [False, True])
async def test_its_job_fails(on_loop: bool, with_dependency: bool) -> None:
    def returns() -> Any:
        return Lazy()

    def returns_filled(it: None = Depends(filled)) -> Any:
        return Lazy()

    async def returns_on_loop() -> Any:
        return Lazy()

    async def returns_filled_on_loop(it: None = Depends(filled)) -> Any:
        return Lazy()

    ways = {
        (False, False): returns, (False, True): returns_filled,
        (True, False): returns_on_loop, (True, True): returns_filled_on_loop,
    }  # fmt: skip
    postlude = Postlude(FastAPI(), store="memory")
    task = postlude.task(name="way", retry=Retry(attempts=1))(ways[on_loop, with_dependency])
    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(task), State.FAILED)
    assert status.error is not None
    assert "await it" in str(status.error)
