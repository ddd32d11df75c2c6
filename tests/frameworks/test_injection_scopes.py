"""A job and its request's own dependencies: what of them has left when it starts, as the README says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import JSONResponse, StreamingResponse

from postlude import Postlude, Rate
from tests.app.serving import serving
from tests.app.work import LOG, say
from tests.request.asgi import call
from tests.request.routes import SCOPED

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not SCOPED, reason="before FastAPI 0.121 all dependencies leave before the response"),
]

STARTED: list[asyncio.Event] = []
"""That of the test, which is of its event loop."""


async def job() -> None:
    say("job")
    STARTED[-1].set()


async def of_the_request() -> AsyncIterator[None]:
    yield
    say("leaves")
    await asyncio.sleep(0)
    say("request scope")


async def of_the_function() -> AsyncIterator[None]:
    yield
    say("function scope")


def streamed() -> Any:
    return StreamingResponse(iter([b"1", b"2"]))


async def order_of(options: dict[str, Any], respond: Callable[[], Any]) -> list[str]:
    app = FastAPI()
    postlude = Postlude(app, store="memory")
    task = postlude.task(job, **options)
    STARTED.append(asyncio.Event())

    @app.get("/x", dependencies=[Depends(of_the_request), Depends(of_the_function, scope="function")])
    async def endpoint(background_tasks: BackgroundTasks) -> Any:
        background_tasks.add_task(task)
        return respond()

    async with serving(postlude):
        await call(app, "/x", log=LOG)
        await asyncio.wait_for(STARTED[-1].wait(), 5)
    return [entry for entry in LOG if entry in ("function scope", "start", "request scope", "job")]


@pytest.mark.parametrize("respond", [dict, lambda: JSONResponse({}), streamed])
async def test_a_job_that_starts_at_once(respond: Callable[[], Any], log: list[str]) -> None:
    assert await order_of({}, respond) == ["function scope", "start", "request scope", "job"]


@pytest.mark.parametrize("options", [{"delivery": "at_most_once"}, {"rate": Rate(100)}])
async def test_one_that_waits_in_the_journal_first_may_come_before(
    options: dict[str, Any], log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its request's own dependencies wait for it here, so it cannot come after they have left."""

    async def waits() -> AsyncIterator[None]:
        yield
        await asyncio.wait_for(STARTED[-1].wait(), 5)
        say("request scope")

    app_order = ["function scope", "start", "job", "request scope"]
    monkeypatch.setattr(f"{__name__}.of_the_request", waits)
    assert await order_of(options, dict) == app_order
