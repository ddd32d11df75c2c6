"""A lifespan that ends without the message that says so."""

import asyncio
import sys
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Postlude
from tests.app.serving import EVERY_STORE

pytestmark = pytest.mark.anyio


@EVERY_STORE
async def test_what_was_set_for_jobs_is_put_back(location: str) -> None:
    before = sys.getswitchinterval()
    app = FastAPI()
    Postlude(app, store=location)
    said: asyncio.Queue[Any] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    lifespan = asyncio.create_task(app({"type": "lifespan", "state": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    assert sys.getswitchinterval() < before
    lifespan.cancel()
    await asyncio.wait([lifespan])
    assert sys.getswitchinterval() == pytest.approx(before, abs=2e-6)
