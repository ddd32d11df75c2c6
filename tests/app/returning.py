"""Tasks that return something, for the tests of results and changes."""

import asyncio
import threading
import time

from pydantic import BaseModel

from postlude.errors import Discard
from postlude.jobs.current import current_job

GATE = threading.Event()
"""Tasks that wait go on when it is set."""


class Report(BaseModel):
    orders: int
    names: tuple[str, ...] = ()


async def report(orders: int) -> Report:
    return Report(orders=orders, names=("Ada", "Bob"))


def report_sync(orders: int) -> Report:
    return Report(orders=orders)


def nothing() -> None: ...


def anything() -> object:
    return object()


def a_lot(size: int) -> str:
    return "x" * size


def number() -> float:
    return float("nan")


def breaks(text: str) -> None:
    raise ValueError(text)


def gives_up() -> None:
    raise Discard("not worth it")


async def waits(steps: int = 0) -> str:
    """Say how far it is, then wait for the gate."""
    for step in range(steps):
        await current_job().progress(step + 1, steps, "steps")
        await asyncio.sleep(0.02)
    while not GATE.is_set():
        await asyncio.sleep(0.01)
    return "done"


def waits_in_thread() -> str:
    """Say how far it is, then wait for the gate."""
    current_job().progress(1, 2)
    assert GATE.wait(10)
    return "done"


def waits_sync(seconds: float) -> str:
    time.sleep(seconds / 2)
    current_job().progress(1, 2)
    time.sleep(seconds / 2)
    return "done"
