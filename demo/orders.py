"""Orders: a CSV file is read, checked and added up by a background job."""

import csv
import json
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from demo.settings import settings

SAMPLE_ROWS = 240
BATCH = 20


class Order(BaseModel):
    """One row of an upload."""

    order: int
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Annotated[Decimal, Field(ge=0, decimal_places=2, max_digits=10)]


class Report(BaseModel):
    """How far an import is, and what it has found."""

    rows: int = 0
    done: int = 0
    orders: int = 0
    rejected: list[str] = []
    total: Decimal = Decimal(0)


def import_orders(upload: Path, report: Path) -> None:
    """Read an upload and keep its report up to date. Run again after a crash, it writes the same report."""
    with upload.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    found = Report(rows=len(rows))
    for number, row in enumerate(rows, start=1):
        _add(found, number, row)
        if number % BATCH == 0 or number == len(rows):
            time.sleep(settings().pace / 4)
            _write(report, found)
    _write(report, found)


def read_report(report: Path) -> Report:
    """Return the report as far as it is written."""
    try:
        return Report.model_validate_json(report.read_bytes())
    except FileNotFoundError:
        return Report()


def sample() -> Iterator[str]:
    """Yield the lines of a CSV to try; two of its rows are wrong on purpose."""
    yield "order,email,quantity,price\n"
    for number in range(1, SAMPLE_ROWS + 1):
        quantity = 0 if number == 77 else 1 + number % 4
        address = "nobody" if number == 150 else f"customer{number}@example.org"
        yield f"{number},{address},{quantity},{5 + number % 20}.{number % 100:02d}\n"


def _add(report: Report, number: int, row: dict[str, str]) -> None:
    report.done = number
    try:
        order = Order.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        report.rejected.append(f"row {number}: {place}: {first['msg']}")
    else:
        report.orders += 1
        report.total += order.quantity * order.price


def _write(path: Path, report: Report) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(report.model_dump(mode="json")), "utf-8")
    os.replace(fresh, path)  # whoever reads sees the old report or the new one, never half of one
