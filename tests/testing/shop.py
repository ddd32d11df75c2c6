"""An application that many tests use, imported once: the order of things in a small shop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, HTTPException
from pydantic import BaseModel

from postlude import Postlude

DONE: list[str] = []
"""What the tasks have done, in order."""

MAILER: dict[str, asyncio.AbstractEventLoop] = {}
"""The loop that the lifespan's connection belongs to."""

FAILURES: dict[str, int] = {}
"""How often a task fails from now on, by the text it is given."""


class Order(BaseModel):
    number: int
    to: str = "nobody"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    MAILER["loop"] = asyncio.get_running_loop()
    yield
    MAILER.clear()


app = FastAPI(lifespan=lifespan)
postlude = Postlude(app, store="memory")
app.include_router(postlude.router(prefix="/jobs"))


async def send_receipt(order: int, to: str, copies: int = 1) -> None:
    DONE.append(f"receipt {order} {to}")


def write_ledger(order: Order, tags: set[str] | None = None) -> None:
    DONE.append(f"ledger {order.number}")


def count_all(first: object, /, *rest: object, **named: object) -> None:
    DONE.append("counted")


async def use_mailer() -> None:
    """Fail unless it runs on the loop of the lifespan."""
    assert MAILER["loop"] is asyncio.get_running_loop()
    DONE.append("mailed")


async def add_more(times: int) -> None:
    DONE.append(f"more {times}")
    if times:
        await postlude.add_task(add_more, times - 1)


@postlude.task
async def deliver(parcel: str) -> None:
    DONE.append(f"deliver {parcel}")
    if FAILURES.get(parcel, 0):
        FAILURES[parcel] -= 1
        raise ConnectionError(f"no route for {parcel}")


def fails(text: str) -> None:
    raise ValueError(text)


@app.post("/orders")
async def order(number: int, to: str, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(send_receipt, number, to=to)
    tasks.add_task(write_ledger, Order(number=number))
    return {"order": number}


@app.post("/broken")
async def broken(tasks: BackgroundTasks, fail: bool = True) -> None:
    tasks.add_task(send_receipt, 1, to="nobody")
    if fail:
        raise HTTPException(500)


@app.post("/parcels/{parcel}")
async def parcels(parcel: str, tasks: BackgroundTasks) -> None:
    tasks.add_task(deliver, parcel)


@app.post("/mail")
async def mail(tasks: BackgroundTasks) -> None:
    tasks.add_task(use_mailer)


@app.post("/failing")
async def failing(text: str, tasks: BackgroundTasks) -> None:
    tasks.add_task(fails, text)


@app.post("/more/{times}")
async def more(times: int, tasks: BackgroundTasks) -> None:
    tasks.add_task(add_more, times)
