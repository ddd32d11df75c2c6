"""Parts 4 and 7 of the tour: a policy, calls with options, and jobs outside of requests."""

from typing import Any

from fastapi import FastAPI, HTTPException

from postlude import Exponential, Job, Limit, Postlude, Rate, Retry
from postlude.errors import WaitsForItself
from postlude.fastapi import BackgroundTasks
from tests.tour.preamble import QUICK, Calendar, EmailStr, PostOffice, SMTPException, many

app = FastAPI()
clock = Calendar()
post = PostOffice()
postlude = Postlude(app, config=QUICK, clock=clock)

# -- part 4 ---------------------------------------------------------------------------------------


@postlude.task(
    queue="mail",
    retry=Retry(attempts=8, backoff=Exponential(first=1, most=300), on=(SMTPException, OSError)),
    timeout=30,
    limit=Limit(concurrent=4, per="tenant"),  # `tenant` is one of its arguments
    rate=Rate(100, per=60),
)
async def send_receipt(order: int, to: EmailStr, tenant: str) -> None:
    await post.send(order, to, tenant)


async def here_and_now() -> None:
    await send_receipt(7, "ada@example.org", "acme")  # still a function: runs here and now


@app.post("/receipts")
async def ask_for_a_receipt(tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(
        send_receipt.using(delay=600, priority=5, key="receipt:7"), 7, to="ada@example.org", tenant="acme"
    )
    return {"status": "asked"}


# What the part says in words.


@app.post("/receipts/{order}/only")
async def ask_for_only_one(order: int, tasks: BackgroundTasks) -> None:
    only = send_receipt.using(delay=600, key=f"receipt:{order}", on_conflict="raise")
    tasks.add_task(only, order, to="ada@example.org", tenant="acme")


@app.post("/payments")
async def refuse_a_payment(tasks: BackgroundTasks) -> None:
    audit = send_receipt.using(on_failure=True)
    tasks.add_task(audit, 1, to="audit@example.org", tenant="acme")
    tasks.add_task(send_receipt, 2, to="ada@example.org", tenant="acme")
    raise HTTPException(402)


@app.post("/impatient")
async def wait_for_ones_own_job(tasks: BackgroundTasks) -> str:
    job = tasks.add_task(send_receipt, 7, to="ada@example.org", tenant="acme")
    try:
        await job.result()
    except WaitsForItself as error:
        return str(error)
    return "it has waited for itself"


@app.post("/patient")
async def store_at_once() -> None:
    job = await postlude.add_task(send_receipt, 7, to="ada@example.org", tenant="acme")
    await job.result()
    raise HTTPException(402)


# -- part 7 ---------------------------------------------------------------------------------------


async def add_and_wait() -> None:
    job = await postlude.add_task(send_receipt, 7, to="ada@example.org", tenant="acme")
    await job.result(timeout=60)


async def add_many(*, atomic: bool = False) -> list[Job[Any]]:
    return await postlude.add_tasks(
        (send_receipt.call(n, to=a, tenant=t) for n, a, t in many), atomic=atomic
    )  # groups of 500; atomic=True up to 10,000


def add_from_sync_code() -> None:
    postlude.blocking.add_task(send_receipt, 7, to="ada@example.org", tenant="acme")


async def cancel_retry_and_pause(job: Job[Any]) -> None:
    await postlude.cancel(job.id)
    await postlude.retry(job.id)
    await postlude.pause("mail")
