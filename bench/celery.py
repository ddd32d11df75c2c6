"""Jobs that do nothing, through Celery, with the journal in PostgreSQL; beside two figures.

These are bare Celery, and the floor: a bare task that claims its row with one UPDATE and finishes it with
another, each a commit, on the journal's own schema. All have the same queue type, acknowledgement and
prefetch.

    python -m bench.celery --broker rabbitmq --pool prefork --rounds 5

With `--start`, how long a job takes from the call that adds it to its start, one at a time: bare Celery sends
it; the floor inserts a row, sends it, and claims it in the worker, each a commit; Postlude adds it in an
application that serves beside the worker.
"""

import argparse
import asyncio
import mmap
import os
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from celery import Celery
from fastapi import FastAPI

from bench.celery_app import KINDS, QUEUE, Kind
from bench.jobs import lifespan
from postlude import CeleryEngine
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[1]
PAUSE: Final = 0.03
"""Seconds after each job that is added alone."""

ADD: Final = "INSERT INTO postlude.job (id, task, queue, state, created) VALUES (%s, 1, 'bench', 0, %s)"

Add = Callable[[int], Awaitable[None]]
Times = Callable[[Callable[[Sequence[float]], object]], Sequence[float]]

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class Bench:
    """One kind of worker, with so many jobs, whose times are noted in a file."""

    def __init__(
        self, kind: Kind, broker: str, database: str, pool: str, concurrency: int, jobs: int
    ) -> None:
        self.kind, self.jobs = kind, jobs
        self._pool, self._concurrency = pool, concurrency
        self._folder = tempfile.TemporaryDirectory()
        self._times = Path(self._folder.name) / "times"
        self._times.write_bytes(bytes(8 * jobs))
        self._environment = os.environ | {
            "BENCH_KIND": kind, "BENCH_BROKER": broker, "BENCH_DATABASE": database, "BENCH_JOBS": str(jobs),
            "BENCH_TIMES": str(self._times), "C_FORCE_ROOT": "1", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        os.environ.update(self._environment)

    async def fill(self, celery: Celery, journal: str, jobs: int) -> None:
        """Let so many jobs wait: in the broker, or in the journal, which is there then."""
        from bench.celery_app import journal_of

        names = [str(number) for number in range(jobs)]
        if self.kind != "bare":
            postlude, nothing = journal_of(journal)
            found = await postlude.add_tasks([nothing.call(number) for number in range(jobs)])
            names = [job.id for job in found]
            await postlude.close()
        if self.kind != "postlude":
            with celery.connection_for_write() as connection:
                producer = connection.Producer()
                for number, name in enumerate(names):
                    celery.send_task(self.kind, [number, name], queue=QUEUE, producer=producer)

    async def run(self, celery: Celery, journal: str) -> float:
        """Run them; returns how many a second, without the first tenth.

        Beside an application that serves, which publishes what waits in the journal: the others' messages
        are in the broker before.
        """
        async with self._adding(celery, journal):
            with self._worker() as times:
                seen = sorted(await asyncio.to_thread(times, lambda found: all(found)))
        tenth = self.jobs // 10
        return (self.jobs - tenth) / (seen[-1] - seen[tenth])

    async def start(self, celery: Celery, journal: str) -> float:
        """Add jobs one at a time; returns the median of milliseconds from that to their start."""
        asked: list[float] = []
        async with self._adding(celery, journal) as add:
            with self._worker() as times:
                for number in range(self.jobs):
                    asked.append(time.monotonic())
                    await add(number)
                    if number == 0:
                        await asyncio.to_thread(times, lambda found: found[0])
                    await asyncio.sleep(PAUSE)
                begun = await asyncio.to_thread(times, lambda found: all(found))
        after_first = zip(asked[1:], begun[1:], strict=True)
        return 1000 * statistics.median(began - since for since, began in after_first)

    @asynccontextmanager
    async def _adding(self, celery: Celery, journal: str) -> AsyncIterator[Add]:
        from bench.celery_app import journal_of

        if self.kind == "postlude":
            app = FastAPI()
            postlude, nothing = journal_of(journal, CeleryEngine(os.environ["BENCH_BROKER"]), app)

            async def add(number: int) -> None:
                await postlude.add_task(nothing, number)

            async with lifespan(app):
                yield add
            return
        with celery.connection_for_write() as connection, psycopg.connect(journal, autocommit=True) as db:
            producer = connection.Producer()

            async def send(number: int) -> None:
                name = str(uuid4())
                if self.kind == "floor":
                    db.execute(ADD, [UUID(name).bytes, time.time_ns() // 1000])
                celery.send_task(self.kind, [number, name], queue=QUEUE, producer=producer)

            yield send

    @contextmanager
    def _worker(self) -> Iterator[Times]:
        """Have a worker run; gives what waits until the times of starts are as they should be."""
        command = Path(sys.executable).with_name("celery")
        log = (Path(self._folder.name) / "log").open("wb")
        worker = subprocess.Popen(
            [
                str(command), "-A", "bench.celery_app:celery_app", "worker", "--pool", self._pool,
                "--concurrency", str(self._concurrency), "--queues", QUEUE,
                "--without-gossip", "--without-mingle", "--loglevel", "ERROR",
            ],
            env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
        )  # fmt: skip

        def times(enough: Callable[[Sequence[float]], object]) -> Sequence[float]:
            with self._times.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen:
                until = time.monotonic() + 120
                while not enough(found := struct.unpack(f"{self.jobs}d", seen[:])):
                    if time.monotonic() > until or worker.poll() is not None:
                        done = sum(map(bool, found))
                        said = Path(log.name).read_text()[-2000:]
                        raise RuntimeError(f"{self.kind}: {done} of {self.jobs} have run\n{said}")
                    time.sleep(0.1)
                return found

        try:
            yield times
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(30)
            self._folder.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", choices=["redis", "rabbitmq"], default="rabbitmq")
    parser.add_argument("--pool", choices=["prefork", "threads"], default="prefork")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--start", action="store_true", help="from the call to the start, one at a time")
    asked = parser.parse_args()
    unit = " ms" if asked.start else "/s"
    concurrency = 2 if asked.pool == "prefork" else 8
    server: Any = RabbitMQServer() if asked.broker == "rabbitmq" else RedisServer()
    postgres = PostgresServer(DURABLE)
    figures: dict[str, list[float]] = {kind: [] for kind in asked.kinds}
    try:
        for turn in range(asked.rounds):
            for kind in asked.kinds:
                name = f"j{turn}{kind}"
                with psycopg.connect(postgres.url, autocommit=True) as db:
                    db.execute(f"CREATE DATABASE {name}")
                database = f"{postgres.url.rpartition('/')[0]}/{name}"
                celery = Celery(broker=server.url, set_as_current=False)
                with celery.connection_for_write() as connection:
                    connection.default_channel.queue_declare(QUEUE, durable=True, auto_delete=False)
                    connection.default_channel.queue_purge(QUEUE)
                bench = Bench(kind, server.url, database, asked.pool, concurrency, asked.jobs)
                asyncio.run(bench.fill(celery, database, 0 if asked.start else asked.jobs))
                measure = bench.start if asked.start else bench.run
                figure = asyncio.run(measure(celery, database))
                figures[kind].append(figure)
                print(f"{kind} {figure:.1f}{unit}", flush=True)
        print(f"\n{asked.broker}, {asked.pool} {concurrency}, {asked.jobs} jobs, {asked.rounds} rounds")
        for kind, found in figures.items():
            print(
                f"  {kind:9} median {statistics.median(found):6.1f}{unit}   "
                f"{min(found):.1f} .. {max(found):.1f}"
            )
        if {"postlude", "floor"} <= figures.keys():
            ratios = [a / b for a, b in zip(figures["postlude"], figures["floor"], strict=True)]
            print(f"  median ratio to the floor {statistics.median(ratios):.2f}")
    finally:
        server.close()
        postgres.close()


if __name__ == "__main__":
    main()
