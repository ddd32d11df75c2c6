"""The shop's routes. What matters is how little of them is Postlude: policy is declared with the tasks."""

import os
import signal
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import BackgroundTasks, FastAPI, HTTPException, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from demo import board, invoices, mail, orders
from demo.jobs import postlude
from demo.settings import settings
from demo.visitors import Visitor, greet, visitor
from postlude import JobNotFound
from postlude.fastapi import Accepted
from postlude.fastapi import BackgroundTasks as Tasks
from postlude.jobs.inspector import AttemptStatus

PAGE = Path(__file__).parent / "page"
MOST_UPLOAD = 5_000_000
MAILS_SHOWN = 25

app = FastAPI(title="Postlude's demo shop")
postlude.install(app)
app.include_router(postlude.router(prefix="/jobs", owner=visitor))
app.mount("/page", StaticFiles(directory=PAGE))
app.mount("/background", postlude.dashboard(auth="local", title="Teapots & Co.", environment="demo"))

Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\r\n]+$")]


class NewAccount(BaseModel):
    """Who signs up."""

    name: Name
    address: Annotated[str, Field(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")]


class NewInvoice(BaseModel):
    """Who gets an invoice."""

    customer: Name


@app.get("/", include_in_schema=False)
async def page(known: Visitor = None) -> FileResponse:
    """The page."""
    response = FileResponse(PAGE / "index.html")
    greet(response, known)
    return response


@app.post("/accounts", status_code=201)
async def open_account(account: NewAccount, background_tasks: BackgroundTasks) -> dict[str, str]:
    """Sign up. The parameter is FastAPI's own, as in an application that has never heard of Postlude."""
    background_tasks.add_task(mail.send_welcome, account.address, name=account.name)
    return {"status": "opened"}


@app.post("/newsletter", status_code=202)
async def newsletter(background_tasks: BackgroundTasks) -> dict[str, int]:
    """Queue slow mails, so that there is something to wait for."""
    batch = mail.next_batch()
    for number in range(1, mail.SLOW_MAILS + 1):
        background_tasks.add_task(
            mail.send_newsletter, f"reader{number}@example.org", number, mail.SLOW_MAILS, batch
        )
    return {"queued": mail.SLOW_MAILS}


@app.post("/outage")
async def begin_outage() -> dict[str, float]:
    """Let the mail server refuse for a while."""
    settings().outage.begin(settings().outage_seconds)
    return {"seconds": settings().outage_seconds}


@app.post("/imports", status_code=202)
async def start_import(upload: UploadFile, tasks: Tasks) -> Accepted[orders.ImportReport]:
    """Take a CSV of orders. The answer's links tell how the job is doing, and cancel it."""
    content = await upload.read(MOST_UPLOAD + 1)
    if len(content) > MOST_UPLOAD:
        raise HTTPException(413, f"at most {MOST_UPLOAD} bytes")
    stored = settings().folder("uploads") / f"{uuid4()}.csv"
    stored.write_bytes(content)
    return tasks.accepted(tasks.add_task(orders.import_orders, stored))


@app.get("/orders.csv")
def sample_orders() -> StreamingResponse:
    """A file to try."""
    return StreamingResponse(
        orders.sample(),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="orders.csv"'},
    )


@app.post("/invoices", status_code=202)
async def new_invoice(invoice: NewInvoice, tasks: Tasks) -> Accepted[invoices.Invoice]:
    """Draw an invoice; the job's result tells where it is."""
    return tasks.accepted(tasks.add_task(invoices.draw_invoice, invoice.customer))


@app.get("/invoices/{number}.svg")
def show_invoice(number: UUID) -> FileResponse:
    """An invoice that has been drawn."""
    file = invoices.file_of(str(number))
    if not file.exists():
        raise HTTPException(404, "no such invoice")
    return FileResponse(file)


@app.get("/mails")
def mails() -> dict[str, object]:
    """What has arrived, newest first; how many of the newsletters that were queued last."""
    arrived = mail.arrived(settings().mailbox)
    newsletters = {m.subject for m in arrived if m.batch and m.batch == mail.batch()}
    return {"count": len(arrived), "newsletters": len(newsletters), "latest": arrived[::-1][:MAILS_SHOWN]}


@app.get("/overview")
async def overview() -> dict[str, object]:
    """Which process answers, how long the mail server refuses, and what the journal holds; where it is."""
    return {
        "pid": os.getpid(),
        "refuses_for": settings().outage.left(),
        "counts": await board.counts(),
        "jobs": await board.newest(),
        "newsletters": await board.newsletters(),
        "journal": settings().store or str(settings().directory / "postlude.db"),
    }


@app.get("/jobs/{id}/attempts")
async def attempts(id: str) -> list[AttemptStatus]:
    """A job's attempts that did not succeed."""
    try:
        return await board.attempts(id)
    except JobNotFound as error:
        raise HTTPException(404, "no such job") from error


@app.post("/kill/{pid}")
async def kill(pid: int) -> None:
    """Die at once, as by a power cut: no shutdown, no clean-up, no answer.

    Browsers repeat a request whose connection broke: what comes after the restart has been done.
    """
    if pid == os.getpid():
        os.kill(os.getpid(), signal.SIGKILL)
