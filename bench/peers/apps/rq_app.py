"""RQ, with Redis."""

import time
from typing import Any

import redis
from rq import Queue, Retry

from bench.peers.apps import DURABLE, URL
from bench.peers.apps import application as made
from bench.peers.record import job

queue: Any = Queue(connection=redis.Redis.from_url(URL))
_options: dict[str, Any] = {"retry": Retry(max=3)} if DURABLE else {}


def add(number: int, added: float) -> None:
    """Add one."""
    queue.enqueue(job, number, added, **_options)


def application() -> Any:
    """Return the application."""
    return made(add)


def fill(count: int) -> None:
    """Add so many."""
    now = time.monotonic()
    for number in range(count):
        add(number, now)


def left() -> int:
    """Return how many wait, were started, or are kept as failed."""
    started = queue.started_job_registry.get_job_count(cleanup=False)
    return int(queue.count) + int(started) + int(queue.failed_job_registry.get_job_count(cleanup=False))
