"""A request waits for its jobs only where nobody else runs them, or where a test client asks."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from fastapi import BackgroundTasks

from tests.request.asgi import call
from tests.request.conftest import Install
from tests.request.recorder import Recorder
from tests.request.routes import answering, plain, ran, simple

pytestmark = pytest.mark.anyio

DEBUG: dict[str, Any] = {"http.response.debug": {}}


@pytest.mark.parametrize(
    ("serving", "extensions", "waits"),
    [(True, {}, False), (True, DEBUG, True), (False, {}, True), (False, DEBUG, True)],
)
async def test_waits(
    serving: bool, extensions: dict[str, Any], waits: bool, install: Install, port: Recorder, log: list[str]
) -> None:
    app = simple(install)
    answering(plain, BackgroundTasks)(app)
    async with AsyncExitStack() as stack:
        if serving:
            await stack.enter_async_context(port.running())
        await call(app, "/x", log=log, extensions=extensions)
        assert ("settle" in log) is waits
        assert ran(log) == (["ran a"] if waits else [])
    assert ran(log) == ["ran a"]
