"""A lifespan that ends without the message that says so."""

import asyncio
import logging
import sys
import threading
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Postlude
from tests.app.serving import EVERY_STORE

pytestmark = pytest.mark.anyio


@EVERY_STORE
async def test_the_runner_ends_and_what_was_set_is_put_back(location: str) -> None:
    before = sys.getswitchinterval()
    app = FastAPI()
    postlude = Postlude(app, store=location)
    said: asyncio.Queue[Any] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    lifespan = asyncio.create_task(app({"type": "lifespan", "state": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    assert sys.getswitchinterval() < before
    made = logging.getLogRecordFactory()
    lifespan.cancel()
    await asyncio.wait([lifespan])
    assert logging.getLogRecordFactory() is not made, "records are marked no longer"
    assert postlude.parts.producer.attached is None
    for thread in [each for each in threading.enumerate() if each.name == "postlude-heartbeat"]:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()
    assert sys.getswitchinterval() == pytest.approx(before, abs=2e-6)
