"""Procrastinate's worker on the same server: defer jobs in one call, and run them.

    python -m bench.postgres.procrastinate URL JOBS

Prints one line of JSON. It is installed for this alone: `pip install -r requirements/bench.txt`.
"""

import asyncio
import json
import sys
import time

import procrastinate
import psycopg

from bench.machine import pin

CONCURRENCY = 256
"""Jobs that its worker runs at once: as many as the others' groups have."""


async def run(url: str, jobs: int) -> dict[str, float]:
    """Add jobs and run them; returns figures as `bench.jobs` does."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS procrastinate CASCADE; CREATE SCHEMA procrastinate")
    connector = procrastinate.PsycopgConnector(
        conninfo=url, kwargs={"options": "-c search_path=procrastinate"}, min_size=4, max_size=16
    )
    app = procrastinate.App(connector=connector)

    @app.task(queue="default")  # type: ignore[untyped-decorator, unused-ignore]
    async def nothing() -> None:
        """Do nothing."""

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        began, cpu = time.perf_counter(), time.process_time()
        for first in range(0, jobs, 1000):
            await nothing.batch_defer_async(*({} for _ in range(min(1000, jobs - first))))
        added = time.perf_counter()
        await app.run_worker_async(wait=False, concurrency=CONCURRENCY, install_signal_handlers=False)
        ended = time.perf_counter()
        cpu = time.process_time() - cpu
        left = await app.job_manager.list_jobs_async(status="todo")
    if list(left):
        raise RuntimeError("its worker has left jobs behind")
    return {
        "per_second": jobs / (ended - began),
        "added_per_second": jobs / (added - began),
        "cpu": cpu / jobs,
    }


if __name__ == "__main__":
    pin(1)
    print(json.dumps(asyncio.run(run(sys.argv[1], int(sys.argv[2])))))
