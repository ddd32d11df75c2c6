"""Tasks with limits, rates and keys, which note when they run."""

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any, Final

from postlude import Config, Limit, Local, Postlude, Rate
from tests.durability.occupancy import Logbook

logging.basicConfig(level=logging.INFO)

ARENA: Final[dict[str, Any]] = json.loads(os.environ["DURABILITY"])

postlude = Postlude(
    store=f"sqlite:///{ARENA['journal']}",
    config=Config(**ARENA["config"]),
    queues={"mail": Local(limit=Limit(3))},
)
logbook = Logbook(Path(ARENA["folder"]))


@postlude.task(limit=Limit(2, per="tenant"))
async def per_tenant(tenant: str, number: int, seconds: float) -> None:
    with logbook.stay(tenant, str(number)):
        await asyncio.sleep(seconds)


@postlude.task(limit=Limit(3))
async def together(number: int, seconds: float) -> None:
    with logbook.stay("together", str(number)):
        await asyncio.sleep(seconds)


@postlude.task(queue="mail")
async def mail(number: int, seconds: float) -> None:
    with logbook.stay("mail", str(number)):
        await asyncio.sleep(seconds)


@postlude.task(rate=Rate(50, per=1))
async def rated(number: int) -> None:
    with logbook.stay("rated", str(number)):
        pass


@postlude.task
async def keyed(key: str, seconds: float) -> None:
    with logbook.stay(key, f"{os.getpid()}-{id(asyncio.current_task())}"):
        await asyncio.sleep(seconds)
