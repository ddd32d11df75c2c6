"""Tour, part 4: a task that keeps a processor busy runs in a process of its own."""

import os
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType

import pytest

from tests.app.serving import serving
from tests.tour.preamble import Invoice

pytestmark = [pytest.mark.anyio, pytest.mark.process]

DUE = datetime(2026, 3, 1, tzinfo=UTC)


async def test_render(invoices: ModuleType) -> None:
    invoice = Invoice(number=7, total=Decimal("12.50"), due=DUE)
    async with serving(invoices.postlude):
        job = await invoices.postlude.add_task(invoices.render, invoice)
        result = await job.result(timeout=20)
    assert type(result) is bytes
    process, rest = result.split(b" ", 1)
    assert int(process) != os.getpid()
    assert rest == b"7 12.50 2026-03-01T00:00:00+00:00 \xff"


async def test_a_direct_call_runs_here(invoices: ModuleType) -> None:
    result = invoices.render(Invoice(number=7, total=Decimal(1), due=DUE))
    assert int(result.split()[0]) == os.getpid()
