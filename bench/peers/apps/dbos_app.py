"""DBOS, with PostgreSQL: its library alone, without the service that its makers sell beside it."""

import asyncio
import threading
import time
from typing import Any

from dbos import DBOS, DBOSClient

from bench.peers.apps import CONCURRENCY, URL
from bench.peers.apps import application as made
from bench.peers.record import async_job

QUEUE = "jobs"
_options: Any = {"queue_name": QUEUE, "workflow_name": "job"}
_CONFIG: Any = {
    "name": "peers", "system_database_url": URL, "run_admin_server": False, "log_level": "ERROR",
}  # fmt: skip
_clients: list[Any] = []


async def _job(number: int, added: float) -> None:
    """Be the measured job: a workflow of one function, which its documentation has for background jobs."""
    await async_job(number, added)


def work() -> None:
    """Be its worker: a process that listens to the queue."""
    DBOS(config=_CONFIG)
    DBOS.workflow(name="job")(_job)
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    threading.Event().wait()


def prepare() -> None:
    """Make its tables."""
    DBOS(config=_CONFIG)
    DBOS.workflow(name="job")(_job)
    DBOS.launch()
    DBOS.register_queue(QUEUE, **({"worker_concurrency": CONCURRENCY} if CONCURRENCY else {}))
    DBOS.destroy()


async def _start() -> None:
    _clients.append(await asyncio.to_thread(DBOSClient, system_database_url=URL, application_name="peers"))


async def add(number: int, added: float) -> None:
    """Add one."""
    await _clients[0].enqueue_async(_options, number, added)


def application() -> Any:
    """Return the application."""
    return made(add, _start)


def fill(count: int) -> None:
    """Add so many."""
    client: Any = DBOSClient(system_database_url=URL, application_name="peers")
    now = time.monotonic()
    for number in range(count):
        client.enqueue(_options, number, now)
    client.destroy()


def left() -> int:
    """Return how many have not ended."""
    import psycopg

    with psycopg.connect(URL) as db:
        ask = "SELECT count(*) FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING')"
        found: Any = db.execute(ask).fetchone()
        return int(found[0])
