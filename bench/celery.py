"""Jobs that do nothing, through Celery, with the journal in PostgreSQL; beside two figures.

These are bare Celery, and the floor: a bare task that claims its row with one UPDATE and finishes it with
another, each a commit, on the journal's own schema. All have the same queue type, acknowledgement and
prefetch.

    python -m bench.celery --broker rabbitmq --pool prefork --rounds 5
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
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery

from bench.celery_app import KINDS, QUEUE, Kind
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[1]
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

    async def fill(self, celery: Celery, journal: str) -> None:
        """Let all jobs wait: in the broker, or in the journal."""
        from bench.celery_app import journal_of

        names = [str(number) for number in range(self.jobs)]
        if self.kind != "bare":
            postlude, nothing = journal_of(journal)
            found = await postlude.add_tasks([nothing.call(number) for number in range(self.jobs)])
            names = [job.id for job in found]
            await postlude.close()
        if self.kind != "postlude":
            with celery.connection_for_write() as connection:
                producer = connection.Producer()
                for number, name in enumerate(names):
                    celery.send_task(self.kind, [number, name], queue=QUEUE, producer=producer)

    def run(self) -> float:
        """Run them; returns how many a second, without the first tenth."""
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
        try:
            with self._times.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen:
                until = time.monotonic() + 120
                while True:
                    times = sorted(struct.unpack(f"{self.jobs}d", seen[:]))
                    if times[0]:
                        break
                    if time.monotonic() > until or worker.poll() is not None:
                        done = sum(map(bool, times))
                        said = Path(log.name).read_text()[-2000:]
                        raise RuntimeError(f"{self.kind}: {done} of {self.jobs} have run\n{said}")
                    time.sleep(0.1)
            tenth = self.jobs // 10
            rate: float = (self.jobs - tenth) / (times[-1] - times[tenth])
            return rate
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
    asked = parser.parse_args()
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
                asyncio.run(bench.fill(celery, database))
                figure = bench.run()
                figures[kind].append(figure)
                print(f"{kind} {figure:.0f}/s", flush=True)
        print(f"\n{asked.broker}, {asked.pool} {concurrency}, {asked.jobs} jobs, {asked.rounds} rounds")
        for kind, found in figures.items():
            print(
                f"  {kind:9} median {statistics.median(found):6.0f}/s   {min(found):.0f} .. {max(found):.0f}"
            )
        if {"postlude", "floor"} <= figures.keys():
            ratios = [a / b for a, b in zip(figures["postlude"], figures["floor"], strict=True)]
            print(f"  median ratio to the floor {statistics.median(ratios):.2f}")
    finally:
        server.close()
        postgres.close()


if __name__ == "__main__":
    main()
