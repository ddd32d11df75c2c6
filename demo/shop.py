"""The shop. What matters is how little of it is Postlude: one line, and the tasks parameter of the import."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import BackgroundTasks, FastAPI, HTTPException, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

import postlude.fastapi
from demo import mail, orders
from demo.settings import settings
from postlude import Postlude
from postlude.fastapi import Accepted

PAGE = Path(__file__).parent / "page"
MOST_UPLOAD = 5_000_000
SHOWN = 12

app = FastAPI(title="Postlude's demo shop")
background = Postlude(app)
app.include_router(background.router(prefix="/jobs"))
app.mount("/page", StaticFiles(directory=PAGE))


class NewAccount(BaseModel):
    """Who signs up."""

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\r\n]+$")]
    address: Annotated[str, Field(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")]


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page."""
    return FileResponse(PAGE / "index.html")


@app.post("/accounts", status_code=201)
async def open_account(account: NewAccount, background_tasks: BackgroundTasks) -> dict[str, str]:
    """Sign up. The parameter is FastAPI's own, as in an application that has never heard of Postlude."""
    background_tasks.add_task(mail.send_welcome, account.address, name=account.name)
    return {"status": "opened"}


@app.post("/newsletter", status_code=202)
async def newsletter(background_tasks: BackgroundTasks) -> dict[str, int]:
    """Queue slow mails, so that there is something to wait for."""
    for number in range(1, mail.SLOW_MAILS + 1):
        background_tasks.add_task(
            mail.send_newsletter, f"reader{number}@example.org", number, mail.SLOW_MAILS
        )
    return {"queued": mail.SLOW_MAILS}


@app.put("/imports/{name}", status_code=202)
async def start_import(
    name: UUID, upload: UploadFile, tasks: postlude.fastapi.BackgroundTasks
) -> Accepted[None]:
    """Take a CSV of orders; the answer's Location tells where to ask how the job is doing."""
    content = await upload.read(MOST_UPLOAD + 1)
    if len(content) > MOST_UPLOAD:
        raise HTTPException(413, f"at most {MOST_UPLOAD} bytes")
    stored = settings().folder("uploads") / f"{name}.csv"
    stored.write_bytes(content)
    return tasks.accepted(tasks.add_task(orders.import_orders, stored, report_of(name)))


@app.get("/imports/{name}")
def show_import(name: UUID) -> orders.Report:
    """What an import has found so far."""
    return orders.read_report(report_of(name))


@app.get("/orders.csv")
def sample_orders() -> StreamingResponse:
    """A file to try."""
    return StreamingResponse(
        orders.sample(),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="orders.csv"'},
    )


@app.get("/mails")
def mails() -> dict[str, object]:
    """What has arrived, newest first."""
    arrived = mail.arrived(settings().mailbox)
    newsletters = {m.subject for m in arrived if m.subject.startswith("Newsletter")}
    return {"count": len(arrived), "newsletters": len(newsletters), "latest": arrived[::-1][:SHOWN]}


@app.get("/overview")
async def overview() -> dict[str, object]:
    """Which process answers, and what its journal holds."""
    counts: Counter[str] = Counter()
    for entry in await background.inspector.counts():
        counts[entry.state] += entry.jobs
    recent = [
        {"id": job.id, "task": job.task.rpartition(":")[2], "state": job.state}
        for job in await background.inspector.page(limit=SHOWN)
    ]
    return {"pid": os.getpid(), "counts": counts, "recent": recent}


@app.post("/kill/{pid}")
async def kill(pid: int) -> None:
    """Die at once, as by a power cut: no shutdown, no clean-up, no answer."""
    if pid != os.getpid():
        raise HTTPException(409, "that process is gone already")
    os.kill(os.getpid(), signal.SIGKILL)


def report_of(name: UUID) -> Path:
    """Where an import's report is kept."""
    return settings().folder("reports") / f"{name}.json"
