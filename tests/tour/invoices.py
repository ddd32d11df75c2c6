"""Part 4 of the tour, its second block: work that keeps a processor busy."""

import os

from fastapi import FastAPI

from postlude import Postlude
from tests.tour.preamble import QUICK, Invoice

app = FastAPI()
postlude = Postlude(app, config=QUICK)


@postlude.task(run="process")  # CPU-bound: a process pool
def render(invoice: Invoice) -> bytes:
    return f"{os.getpid()} {invoice.number} {invoice.total} {invoice.due.isoformat()} \xff".encode("latin-1")
