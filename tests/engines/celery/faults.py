"""What happens to brokers while jobs are added and run: nothing is lost, nothing runs twice, adding goes on.

`python -m tests.engines.celery.faults --times 20` does each so often, with both brokers and both journals,
and prints what was seen. `--broker redis --store sqlite away` does one of them.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

from tests.engines.celery.shop import QUEUE
from tests.engines.celery.site import Site
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

JOBS = 120
EVERY = 0.01
TAKES = 0.06
"""Seconds between two jobs that are added, and that each takes: two processes cannot keep up."""

AWAY = 30.0
"""Seconds for which a broker is away."""

HANGS = 10.0
"""Seconds for which it answers nobody."""

MEANWHILE = 0.1
"""Seconds between two jobs that are added while a fault lasts on; each is quick."""


class Seen(NamedTuple):
    """What one run has shown."""

    fault: str
    jobs: int
    destroyed: int
    """Messages that lay in the broker, and were destroyed."""
    lost: int
    twice: int
    """Jobs of which two runs were under way at once."""
    again: int
    """Runs beside the first of each."""
    not_added: int
    slowest: float
    """Seconds that the slowest call to add took."""
    seconds: float
    """From the fault until all had ended."""
    quiet: float
    """Seconds in which no job began, at most: the fault has taken effect."""
    afresh: int
    """How often the worker has broken off, and was started afresh by its command."""

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.not_added)


Fault = Callable[..., int | None]


def waiting_in_redis(redis: RedisServer) -> int:
    return int(redis.command("LLEN", QUEUE).strip()[1:])


def waiting_in_rabbitmq(rabbitmq: RabbitMQServer) -> int:
    lines = rabbitmq.control("list_queues", "name", "messages_ready").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split()[0] == QUEUE)


def flush(redis: RedisServer) -> int:
    waiting = waiting_in_redis(redis)
    redis.command("FLUSHALL")
    return waiting


def crash_redis(redis: RedisServer) -> int:
    waiting = waiting_in_redis(redis)
    redis.stop(signal.SIGKILL)
    redis.start()
    return waiting


def away_redis(redis: RedisServer, seconds: float = AWAY) -> int:
    waiting = waiting_in_redis(redis)
    redis.stop()
    time.sleep(seconds)
    redis.start()
    return waiting


def hang_redis(redis: RedisServer, seconds: float = HANGS) -> None:
    """It keeps all connections, and answers nobody."""
    redis.signal(signal.SIGSTOP)
    time.sleep(seconds)
    redis.signal(signal.SIGCONT)


def hang_rabbitmq(rabbitmq: RabbitMQServer, seconds: float = HANGS) -> None:
    rabbitmq.signal(signal.SIGSTOP)
    time.sleep(seconds)
    rabbitmq.signal(signal.SIGCONT)


def purge(rabbitmq: RabbitMQServer) -> int:
    waiting = waiting_in_rabbitmq(rabbitmq)
    rabbitmq.control("purge_queue", QUEUE)
    return waiting


def delete(rabbitmq: RabbitMQServer) -> int:
    waiting = waiting_in_rabbitmq(rabbitmq)
    rabbitmq.control("delete_queue", QUEUE)
    return waiting


def crash_rabbitmq(rabbitmq: RabbitMQServer) -> int:
    waiting = waiting_in_rabbitmq(rabbitmq)
    rabbitmq.kill()
    rabbitmq.forget()
    rabbitmq.start()
    return waiting


def away_rabbitmq(rabbitmq: RabbitMQServer, seconds: float = AWAY) -> None:
    rabbitmq.control("stop_app")
    time.sleep(seconds)
    rabbitmq.control("start_app")


def alarm(rabbitmq: RabbitMQServer) -> None:
    """It takes nothing: its memory is said to be full."""
    rabbitmq.control("set_vm_memory_high_watermark", "0.00001")
    time.sleep(4)
    rabbitmq.control("set_vm_memory_high_watermark", "absolute", "512MiB")


REDIS: dict[str, Fault] = {"flush": flush, "crash": crash_redis, "away": away_redis, "hang": hang_redis}
RABBITMQ: dict[str, Fault] = {
    "purge": purge, "delete": delete, "crash": crash_rabbitmq, "away": away_rabbitmq, "alarm": alarm,
    "hang": hang_rabbitmq,
}  # fmt: skip


async def suffer(
    site: Site,
    name: str,
    fault: Callable[[], int | None],
    jobs: int = JOBS,
    every: float = EVERY,
    takes: float = TAKES,
) -> Seen:
    """Add jobs at a steady pace, with a fault after half of them; returns when all have ended.

    While the fault lasts longer than these, jobs go on being added.
    """
    shop, not_added, slowest = site.shop, 0, 0.0
    async with site.serving():
        (warm,) = [await shop.postlude.add_task(shop.takes, -1, 0.0)]
        await warm.result(timeout=60)
        added, fault_task, began, number = [], None, 0.0, 0
        while number < jobs or (fault_task is not None and not fault_task.done()):
            if number == jobs // 2:
                began = time.monotonic()
                fault_task = asyncio.create_task(asyncio.to_thread(fault))
            since = time.monotonic()
            try:
                seconds = takes if number < jobs else 0.0
                added.append(await shop.postlude.add_task(shop.takes, number, seconds))
            except Exception:
                not_added += 1
            slowest = max(slowest, time.monotonic() - since)
            number += 1
            await asyncio.sleep(every if number < jobs else MEANWHILE)
        assert fault_task is not None
        destroyed = await fault_task or 0
        lost = 0
        until = time.monotonic() + 90
        for job in added:
            try:
                await job.result(timeout=max(0.1, until - time.monotonic()))
            except TimeoutError:
                lost += 1
        seconds = time.monotonic() - began
    runs = site.runs()
    again = sum(len(each) - 1 for each in runs.values())
    overlaps = len(site.overlaps())
    afresh = site.log().count("it has broken off")
    starts = sorted(begin for each in runs.values() for begin, *_ in each)
    quiet = max(later - before for before, later in pairwise(starts))
    return Seen(name, number, destroyed, lost, overlaps, again, not_added, slowest, seconds, quiet, afresh)


BROKERS = {"redis": REDIS, "rabbitmq": RABBITMQ}
STORES = "sqlite", "postgres"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--broker", choices=[*BROKERS, "both"], default="both")
    parser.add_argument("--store", choices=[*STORES, "both"], default="both")
    parser.add_argument("--pool", choices=["prefork", "threads", "solo"], default="prefork")
    parser.add_argument("--away", type=float, default=AWAY, help="seconds for which a broker is away")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--every", type=float, default=EVERY, help="seconds between two jobs")
    parser.add_argument("--takes", type=float, default=TAKES, help="seconds that each job takes")
    parser.add_argument("--beside", type=int, default=2, help="how many pairs of broker and store at once")
    parser.add_argument("faults", nargs="*", help="these only; else all")
    asked = parser.parse_args()
    brokers = [*BROKERS] if asked.broker == "both" else [asked.broker]
    stores = [*STORES] if asked.store == "both" else [asked.store]
    pairs = [*product(brokers, stores)]
    if len(pairs) > 1:
        with ThreadPoolExecutor(asked.beside) as pool:
            return max(pool.map(lambda pair: _alone(pair[0], pair[1], asked), pairs))
    return measure(brokers[0], stores[0], asked)


def _alone(broker: str, store: str, asked: argparse.Namespace) -> int:
    """Measure one pair in a process of its own, so that others can be measured beside it."""
    faults = [fault for fault in asked.faults if fault in BROKERS[broker]]
    if asked.faults and not faults:
        return 0
    words = [
        sys.executable, "-m", "tests.engines.celery.faults", "--times", str(asked.times), "--broker", broker,
        "--store", store, "--pool", asked.pool, "--away", str(asked.away), "--jobs", str(asked.jobs),
        "--every", str(asked.every), "--takes", str(asked.takes), *faults,
    ]  # fmt: skip
    return subprocess.run(words).returncode


def measure(broker: str, store: str, asked: argparse.Namespace) -> int:
    """Measure one pair of broker and store; returns 1 if anything was lost, ran twice or was not added."""
    server: Any = RedisServer() if broker == "redis" else RabbitMQServer()
    postgres = PostgresServer() if store == "postgres" else None
    faults, bad = BROKERS[broker], 0
    try:
        for name in asked.faults or faults:
            seen: list[Seen] = []
            fault = partial(faults[name], server, *([asked.away] if name == "away" else []))
            for _ in range(asked.times):
                with tempfile.TemporaryDirectory() as folder:
                    journal = None if postgres is None else _new_database(postgres)
                    site = Site(Path(folder), server.url, journal)
                    site.start(pool=asked.pool)
                    try:
                        load = asked.jobs, asked.every, asked.takes
                        seen.append(asyncio.run(suffer(site, name, fault, *load)))
                        said = site.log()
                    finally:
                        site.close()
                if not seen[-1].good:
                    sys.stderr.write(f"{broker} {store} {seen[-1]}\n{said}\n")
            bad += sum(not one.good for one in seen)
            sys.stdout.write(f"{broker} {store} {name}: {_sums(seen)}\n")
            sys.stdout.flush()
    finally:
        server.close()
        if postgres is not None:
            postgres.close()
    return 1 if bad else 0


def _sums(seen: list[Seen]) -> str:
    jobs, destroyed, lost, twice, again, not_added, afresh = (
        sum(getattr(one, name) for one in seen)
        for name in ("jobs", "destroyed", "lost", "twice", "again", "not_added", "afresh")
    )
    slowest, seconds, quiet = (
        max(one.slowest for one in seen),
        max(one.seconds for one in seen),
        min(one.quiet for one in seen),
    )
    return (
        f"{len(seen)} times, {jobs} jobs; messages destroyed {destroyed}; no job began for {quiet:.1f} s at "
        f"least; lost {lost}, twice at once {twice}, run again {again}, not added {not_added}; slowest add "
        f"{1000 * slowest:.0f} ms; all had ended after {seconds:.1f} s at most; worker started afresh "
        f"{afresh} times"
    )


def _new_database(postgres: PostgresServer) -> str:
    import psycopg

    name = f"j{time.monotonic_ns()}"
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return f"{postgres.url.rpartition('/')[0]}/{name}"


if __name__ == "__main__":
    sys.exit(main())
