"""What happens to brokers while jobs are added and run: nothing is lost, nothing runs twice, adding goes on.

`python -m tests.engines.celery.faults --times 20` does each so often, and prints what was seen.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.engines.celery.shop import QUEUE
from tests.engines.celery.site import Site
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

JOBS = 80
EVERY = 0.02
TAKES = 0.06
"""Seconds between two jobs that are added, and that each takes: two processes cannot keep up."""


class Seen(NamedTuple):
    """What one run has shown."""

    fault: str
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


def away_redis(redis: RedisServer, seconds: float = 5.0) -> None:
    redis.stop()
    time.sleep(seconds)
    redis.start()


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


def away_rabbitmq(rabbitmq: RabbitMQServer, seconds: float = 5.0) -> None:
    rabbitmq.control("stop_app")
    time.sleep(seconds)
    rabbitmq.control("start_app")


def alarm(rabbitmq: RabbitMQServer) -> None:
    """It takes nothing: its memory is said to be full."""
    rabbitmq.control("set_vm_memory_high_watermark", "0.00001")
    time.sleep(4)
    rabbitmq.control("set_vm_memory_high_watermark", "absolute", "512MiB")


REDIS: dict[str, Fault] = {"flush": flush, "crash": crash_redis, "away": away_redis}
RABBITMQ: dict[str, Fault] = {
    "purge": purge, "delete": delete, "crash": crash_rabbitmq, "away": away_rabbitmq, "alarm": alarm,
}  # fmt: skip


async def suffer(site: Site, name: str, fault: Callable[[], int | None], jobs: int = JOBS) -> Seen:
    """Add jobs at a steady pace, with a fault after a third of them; returns when all have ended."""
    shop, not_added, slowest = site.shop, 0, 0.0
    async with site.serving():
        (warm,) = [await shop.postlude.add_task(shop.takes, -1, 0.0)]
        await warm.result(timeout=60)
        added, fault_task, began = [], None, 0.0
        for number in range(jobs):
            if number == jobs // 3:
                began = time.monotonic()
                fault_task = asyncio.create_task(asyncio.to_thread(fault))
            since = time.monotonic()
            try:
                added.append(await shop.postlude.add_task(shop.takes, number, TAKES))
            except Exception:
                not_added += 1
            slowest = max(slowest, time.monotonic() - since)
            await asyncio.sleep(EVERY)
        assert fault_task is not None
        destroyed = await fault_task or 0
        lost = 0
        for job in added:
            try:
                await job.result(timeout=60)
            except TimeoutError:
                lost += 1
        seconds = time.monotonic() - began
    runs = site.runs()
    again = sum(len(runs[number]) - 1 for number in range(jobs) if number in runs)
    return Seen(name, destroyed, lost, len(site.overlaps()), again, not_added, slowest, seconds)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--broker", choices=["redis", "rabbitmq"], default="redis")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--away", type=float, default=5.0, help="seconds for which a broker is away")
    parser.add_argument("faults", nargs="*")
    asked = parser.parse_args()
    server: Any = RedisServer() if asked.broker == "redis" else RabbitMQServer()
    postgres = PostgresServer() if asked.store == "postgres" else None
    faults = REDIS if asked.broker == "redis" else RABBITMQ
    bad = 0
    try:
        for name in asked.faults or faults:
            seen = []
            for _ in range(asked.times):
                with tempfile.TemporaryDirectory() as folder:
                    store = None
                    if postgres is not None:
                        store = _new_database(postgres)
                    site = Site(Path(folder), server.url, store)
                    site.start()
                    fault = faults[name]
                    extra = (asked.away,) if name == "away" else ()
                    try:
                        seen.append(asyncio.run(suffer(site, name, lambda f=fault, e=extra: f(server, *e))))  # type: ignore[misc]
                    finally:
                        site.close()
                if not seen[-1].good:
                    sys.stderr.write(f"{seen[-1]}\n")
            bad += sum(not one.good for one in seen)
            slowest, longest = max(one.slowest for one in seen), max(one.seconds for one in seen)
            sys.stdout.write(
                f"{asked.broker} {asked.store} {name}: {len(seen)} times, {JOBS} jobs each; messages "
                f"destroyed {sum(one.destroyed for one in seen)}; lost "
                f"{sum(one.lost for one in seen)}, twice at once {sum(one.twice for one in seen)}, run again "
                f"{sum(one.again for one in seen)}, not added {sum(one.not_added for one in seen)}; slowest "
                f"add {1000 * slowest:.0f} ms; all had ended after {longest:.1f} s at most\n"
            )
            sys.stdout.flush()
    finally:
        server.close()
        if postgres is not None:
            postgres.close()
    return 1 if bad else 0


def _new_database(postgres: PostgresServer) -> str:
    import psycopg

    name = f"j{time.monotonic_ns()}"
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return f"{postgres.url.rpartition('/')[0]}/{name}"


if __name__ == "__main__":
    sys.exit(main())
