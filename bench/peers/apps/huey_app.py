"""Huey, with Redis."""

import time
from typing import Any

from huey import RedisHuey

from bench.peers.apps import URL
from bench.peers.apps import application as made
from bench.peers.record import job

huey: Any = RedisHuey("peers", url=URL)
task: Any = huey.task()(job)


def add(number: int, added: float) -> None:
    """Add one."""
    task(number, added)


def application() -> Any:
    """Return the application."""
    return made(add)


def fill(count: int) -> None:
    """Add so many."""
    now = time.monotonic()
    for number in range(count):
        add(number, now)


def left() -> int:
    """Return how many wait."""
    return int(huey.pending_count()) + int(huey.scheduled_count())
