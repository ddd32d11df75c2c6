"""Part 5 of the tour: what a task sees of its job, and what FastAPI's `Depends` gives it."""

import asyncio
import threading
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from postlude import Discard, Fixed, Postlude, Retry, RetryLater, Snooze, current_job, raise_if_cancelled
from postlude.fastapi import BackgroundTasks
from tests.tour.preamble import QUICK, AsyncSession, Calendar, ImportReport, get_session, read

app = FastAPI()
app.state.shop = "the shop"
clock = Calendar()
postlude = Postlude(app, config=QUICK, clock=clock)
steps: list[str] = []
"""What the tasks here did, in order."""
slowly = threading.Event()
"""Never set."""
hold: dict[str, asyncio.Event] = {}
"""Rows at which the import waits."""

# -- the block ------------------------------------------------------------------------------------


@postlude.task
async def import_orders(path: Path, session: AsyncSession = Depends(get_session)) -> ImportReport:
    job = current_job()
    for done, row in enumerate(rows := read(path), start=1):
        await session.write(row)
        await job.progress(done, len(rows), "orders")
        raise_if_cancelled()
        if row in hold:
            steps.append(f"at {row}")
            await hold[row].wait()
    return ImportReport(orders=len(rows))


@app.post("/imports")
async def start_import(path: Path, tasks: BackgroundTasks) -> str:
    return tasks.add_task(import_orders, path).id


# What the part says in words.


async def get_shop(request: Request) -> str:
    return str(request.app.state.shop)


async def get_header(request: Request) -> str | None:
    return request.headers.get("x-tenant")


async def get_desk(
    session: Annotated[AsyncSession, Depends(get_session)], shop: Annotated[str, Depends(get_shop)]
) -> str:
    return f"{shop}, {session.source}"


@postlude.task(retry=Retry(attempts=3, backoff=Fixed(0)))
async def stock_up(
    item: str, desk: str = Depends(get_desk), session: AsyncSession = Depends(get_session)
) -> str:
    steps.append(f"{item}: {desk}")
    await session.write(item)
    if steps.count(f"{item}: {desk}") < 3:
        raise ConnectionError("the supplier does not answer")
    return desk


@postlude.task(retry=Retry(attempts=1))
async def ask_for_a_header(tenant: str | None = Depends(get_header)) -> str | None:
    return tenant


@postlude.task(retry=Retry(attempts=2))
async def in_a_minute(times: int) -> int:
    steps.append(f"attempt {current_job().attempt}")
    if len(steps) <= times:
        raise Snooze(60)
    return len(steps)


@postlude.task
async def not_any_more() -> None:
    steps.append("tried")
    raise Discard("gone")


@postlude.task(retry=Retry(attempts=2))
async def as_the_server_says() -> None:
    steps.append(f"attempt {current_job().attempt}")
    raise RetryLater(120, "busy")


@postlude.task
def count_in_a_thread(until: int) -> int:
    """A sync task: progress needs no await, and it stops where it asks."""
    job = current_job()
    for number in range(until):
        job.progress(number, until)
        raise_if_cancelled()
        slowly.wait(0.001)
    return until
