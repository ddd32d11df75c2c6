"""Writes the samples of docs/status.md, as the status routes tell jobs: `python -m scripts.samples`."""

import json
import re
import textwrap
import threading
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any, Final

from fastapi import FastAPI
from starlette.testclient import TestClient

from postlude import Discard, Fixed, Postlude, Retry, current_job
from postlude.clock import SECOND, ManualClock
from postlude.model.job import NewJob
from postlude.testing import PostludeJobs

PAGE: Final = Path(__file__).parents[1] / "docs" / "status.md"
BEGINS: Final = "## A sample of each state\n"
ENDS: Final = "## Following a job in a browser\n"
NOW: Final = datetime(2026, 11, 29, 8, 5, tzinfo=UTC)
ID: Final = "01a22656-0320-7000-95b4-7cea49a57d8f"
UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REAL: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+\.\d+Z")
"""Progress has the machine's own time."""

HEAD: Final = """
Written by `python -m scripts.samples`, from jobs that ran. All times are UTC.

"""
WORDS: Final = {
    "queued": "It waits for its turn.",
    "queued, later": "It was added with a `delay`; `next_run` says when it is due.",
    "running": "It runs, and has told how far it is.",
    "queued, again": "An attempt has failed, and another one comes.",
    "succeeded": "It has ended, and this is what it returned.",
    "failed": "It has ended without success.",
    "cancelled": "Its task, or somebody, has ended it.",
    "parked": "This release cannot run it: `done` is false, since another one may.",
}

app = FastAPI()
clock = ManualClock(int(NOW.timestamp()) * SECOND)
postlude = Postlude(app, store="memory", packages=["scripts"], clock=clock)
app.include_router(postlude.router(prefix="/jobs"))
client = TestClient(app)
door = threading.Event()
TWICE: Final = Retry(attempts=2, backoff=Fixed(30))


@postlude.task(retry=TWICE)
def import_orders(count: int, fails: str = "") -> dict[str, int]:
    """Say how far it is, wait until that has been looked at, then end as asked."""
    current_job().progress(40, 100, "orders")
    door.wait(10)
    if fails == "discard":
        raise Discard("nothing to do")
    if fails:
        raise ConnectionError(fails)
    return {"orders": count}


def told(id: str) -> dict[str, Any]:
    """Return what a client is told of a job."""
    found: dict[str, Any] = client.get(f"/jobs/{id}").json()
    return found


@cache
def samples() -> dict[str, dict[str, Any]]:
    """Return a job in each state."""
    door.clear()
    with client:
        job, until = postlude.blocking.add_task(import_orders, 1200), monotonic() + 10
        while (running := told(job.id))["progress"] is None:  # it is written soon after it is said
            assert monotonic() < until
        door.set()
    found = {"running": running}
    with PostludeJobs(now=NOW) as kit:
        jobs = kit.of(postlude)
        job = postlude.blocking.add_task(import_orders, 1200)
        found["queued"] = told(job.id)
        found["queued, later"] = told(postlude.blocking.add_task(import_orders.using(delay=600), 1200).id)
        jobs.drain(raise_errors=True)
        found["succeeded"] = told(job.id)
        job = postlude.blocking.add_task(import_orders, 1200, "the partner does not answer")
        jobs.drain()
        found["queued, again"] = told(job.id)
        jobs.advance(seconds=60, schedules=False)
        found["failed"] = told(job.id)
        job = postlude.blocking.add_task(import_orders, 1200, "discard")
        jobs.drain()
        found["cancelled"] = told(job.id)
        gone = NewJob(
            bytes.fromhex(ID.replace("-", "")), "shop:gone", "default", b'{"a":[],"k":{}}', clock.now()
        )
        postlude.components.store.add([gone]).wait(5)
        jobs.drain()
        found["parked"] = told(ID)
    return found


def section() -> str:
    """Return the part of the page."""
    parts = []
    found = samples()
    for name, words in WORDS.items():
        text = REAL.sub("2026-11-29T08:05:00.25Z", UUID.sub(ID, json.dumps(found[name])))
        lines = textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)
        parts.append(f"**{name}**: {words}\n\n```json\n{lines}\n```\n")
    return f"{BEGINS}{HEAD}" + "\n".join(parts) + "\n"


def put_into(page: str) -> str:
    """Return the page with the samples in the place of those that it has."""
    before, _, rest = page.partition(BEGINS)
    return before + section() + ENDS + rest.partition(ENDS)[2]


if __name__ == "__main__":
    from scripts import samples as own  # a program's own module would be another one for its tasks

    PAGE.write_text(own.put_into(PAGE.read_text("utf-8")), "utf-8")
