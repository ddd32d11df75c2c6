"""Orders: a CSV file is read, checked and added up by a background job."""

import csv
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from demo.jobs import postlude
from demo.settings import settings
from postlude import Retry, current_job, raise_if_cancelled

SAMPLE_ROWS = 240
BATCH = 10
PROBLEMS_SHOWN = 5


class Order(BaseModel):
    """One row of an upload."""

    order: int
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Annotated[Decimal, Field(ge=0, decimal_places=2, max_digits=10)]


class ImportReport(BaseModel):
    """What an import has found."""

    orders: int = 0
    total: Decimal = Decimal(0)
    rejected: int = 0
    problems: list[str] = []
    """The first of those that were rejected, and why."""


# What is no CSV the first time is none the second time either.
@postlude.task(queue="imports", retry=Retry(attempts=3, unless=(UnicodeDecodeError, csv.Error)))
def import_orders(upload: Path) -> ImportReport:
    """Read an upload. Run again after a crash, it comes to the same result."""
    with upload.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    report = ImportReport()
    for done, row in enumerate(rows, start=1):
        _add(report, done, row)
        if done % BATCH == 0 or done == len(rows):
            time.sleep(settings().pace)  # as if the file were large
            current_job().progress(done, len(rows), "orders")
            raise_if_cancelled()
    return report


def sample() -> Iterator[str]:
    """Yield the lines of a CSV to try; two of its rows are wrong on purpose."""
    yield "order,email,quantity,price\n"
    for number in range(1, SAMPLE_ROWS + 1):
        quantity = 0 if number == 77 else 1 + number % 4
        address = "nobody" if number == 150 else f"customer{number}@example.org"
        yield f"{number},{address},{quantity},{5 + number % 20}.{number % 100:02d}\n"


def _add(report: ImportReport, number: int, row: dict[str, str]) -> None:
    try:
        order = Order.model_validate(row)
    except ValidationError as error:
        report.rejected += 1
        if report.rejected <= PROBLEMS_SHOWN:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            report.problems.append(f"row {number}: {place}: {first['msg']}")
    else:
        report.orders += 1
        report.total += order.quantity * order.price
