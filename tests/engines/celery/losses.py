"""What Celery loses at its defaults, and what is lost with Postlude in front, by the same faults.

`python -m tests.engines.celery.losses --times 3` prints the table of docs/celery.md. What was sent is
what the sender was not told an error of; what has run says so in a file.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from celery import Celery

from postlude import Job
from tests.engines.celery.shop import Shop, visibility
from tests.engines.celery.site import ROOT, Site
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

told = os.environ.get


def application(broker: str, folder: str, visible: float | None = None) -> Celery:
    """Return an application as its first page shows it."""
    app = Celery("bare", broker=broker, set_as_current=False)
    if visible is not None:
        app.conf.broker_transport_options = visibility(visible)

    @app.task(name="work")
    def work(number: int, seconds: float) -> None:
        with (Path(folder) / "said").open("a") as file:
            file.write(f"begins {number}\n")
        time.sleep(seconds)
        with (Path(folder) / "said").open("a") as file:
            file.write(f"ends {number}\n")

    return app


if told("BARE_BROKER"):
    visible = told("BARE_VISIBLE")
    celery_app = application(
        os.environ["BARE_BROKER"], os.environ["BARE_FOLDER"], float(visible) if visible else None
    )


class Bare:
    """An application of Celery's alone, and its workers."""

    def __init__(self, broker: str, folder: str, visible: float | None = None) -> None:
        self.app = application(broker, folder, visible)
        self._folder = Path(folder)
        self._environment = os.environ | {
            "BARE_BROKER": broker, "BARE_FOLDER": folder, "BARE_VISIBLE": str(visible or ""),
            "C_FORCE_ROOT": "1", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = Path(sys.executable).with_name("celery")
        words = ["-A", "tests.engines.celery.losses:celery_app", "worker", "--concurrency", "1"]
        words += ["--hostname", f"w{len(self.workers)}@%h"]
        worker = subprocess.Popen(
            [str(command), *words], env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def said(self, what: str) -> Counter[int]:
        path = self._folder / "said"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(int(line.split()[1]) for line in lines if line.startswith(what))

    def until(self, what: str, jobs: int, within: float) -> Counter[int]:
        end = time.monotonic() + within
        while len(self.said(what)) < jobs and time.monotonic() < end:
            time.sleep(0.1)
        return self.said(what)

    def close(self) -> None:
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(30)


@contextmanager
def bare(broker: str, visible: float | None = None) -> Iterator[Bare]:
    with tempfile.TemporaryDirectory() as folder:
        found = Bare(broker, folder, visible)
        try:
            yield found
        finally:
            found.close()


LATER, VISIBLE = 30.0, 5.0
"""Seconds, for an hour and hours; what was not acknowledged is looked at each second, not each 100."""

PACE = 0.01
"""Seconds between tasks that are sent to RabbitMQ, which needs a while to write them."""


LAST = 1000
"""The number of a task that is sent when all is well again."""


class Lost(NamedTuple):
    """What became of what was sent."""

    sent: int
    lost: int
    twice: int
    """How many ran more than once, although nothing had killed them."""


Measure = Callable[[], Lost]


def bare_child_killed(redis: RedisServer) -> Lost:
    redis.command("FLUSHALL")
    with bare(redis.url) as site:
        worker = site.start()
        site.app.send_task("work", [1, 1.0])
        site.until("begins", 1, 20)
        os.kill(Site.children(worker)[0], signal.SIGKILL)
        return Lost(1, 1 - len(site.until("ends", 1, 10)), 0)


def bare_flushed(redis: RedisServer) -> Lost:
    redis.command("FLUSHALL")
    with bare(redis.url) as site:
        site.start()
        for number in range(50):
            site.app.send_task("work", [number, 0.1])
        site.until("begins", 3, 20)
        redis.command("FLUSHALL")
        return Lost(50, 50 - len(site.until("ends", 50, 12)), 0)


def bare_late(redis: RedisServer) -> Lost:
    redis.command("FLUSHALL")
    with bare(redis.url, visible=VISIBLE) as site:
        for _ in range(2):
            site.start()
        time.sleep(4)
        site.app.send_task("work", [1, 0.0], countdown=LATER)
        site.until("ends", 1, LATER + 10)
        time.sleep(5)
        runs = site.said("ends")[1]
    return Lost(1, int(not runs), int(runs > 1))


def bare_broker_killed(rabbitmq: RabbitMQServer) -> Lost:
    with bare(rabbitmq.url) as site:
        sent: set[int] = set()
        for number in range(300):
            if number == 150:
                rabbitmq.kill()
            with suppress(Exception):  # the one that sends is told of these
                site.app.send_task("work", [number, 0.0], retry=False)
                sent.add(number)
            time.sleep(PACE)
            if number >= 150 and number not in sent:
                break
        rabbitmq.start()
        site.start()
        site.app.send_task("work", [LAST, 0.0])  # behind all that is there: the queue is in order
        until = time.monotonic() + 60
        while not (ended := site.said("ends"))[LAST] and time.monotonic() < until:
            time.sleep(0.1)
    assert ended[LAST], "the worker has not begun"
    return Lost(len(sent), len(sent - ended.keys()), sum(ended[number] > 1 for number in sent))


# -- the same with Postlude in front ------------------------------------------------------------


@asynccontextmanager
async def fronted(broker: str, visible: float = 0.0) -> AsyncIterator[tuple[Site, Shop]]:
    """Have a worker of two processes, and an application that adds jobs."""
    os.environ["SHOP_VISIBLE"] = str(visible)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), broker)
        try:
            site.start(concurrency=2)
            async with site.serving() as shop:
                yield site, shop
        finally:
            site.close()
            del os.environ["SHOP_VISIBLE"]


async def become(site: Site, jobs: Sequence[Job[Any]], killed: Collection[int] = ()) -> Lost:
    """Wait for jobs, and say what became of them; the first argument of each is its place, from 1 on."""
    ends = await asyncio.gather(*(job.result(timeout=120) for job in jobs), return_exceptions=True)
    lost = sum(isinstance(end, BaseException) for end in ends)
    runs = site.runs()
    return Lost(
        len(jobs), lost, sum(len(of) > 1 for number, of in runs.items() if number and number not in killed)
    )


async def begun(site: Site, jobs: int) -> None:
    async with asyncio.timeout(60):
        while sum(bool(of) for number, of in site.runs().items() if number) < jobs:
            await asyncio.sleep(0.02)


async def child_killed(redis: RedisServer) -> Lost:
    redis.command("FLUSHALL")
    async with fronted(redis.url) as (site, shop):
        job = await shop.postlude.add_task(shop.takes, 1, 1.0)
        await begun(site, 1)
        os.kill(site.runs()[1][0][2], signal.SIGKILL)
        return await become(site, [job], killed=[1])


async def flushed(redis: RedisServer) -> Lost:
    redis.command("FLUSHALL")
    async with fronted(redis.url) as (site, shop):
        jobs = [await shop.postlude.add_task(shop.takes, number, 0.1) for number in range(1, 51)]
        await begun(site, 3)
        redis.command("FLUSHALL")
        return await become(site, jobs)


async def late(redis: RedisServer) -> Lost:
    redis.command("FLUSHALL")
    async with fronted(redis.url, visible=VISIBLE) as (site, shop):
        site.start(concurrency=2)
        job = await shop.postlude.add_task(shop.note.using(delay=LATER), 1)
        await job.result(timeout=60)
        await asyncio.sleep(5)
        return await become(site, [job])


async def broker_killed(rabbitmq: RabbitMQServer) -> Lost:
    async with fronted(rabbitmq.url) as (site, shop):
        jobs = []
        for number in range(1, 301):
            if number == 150:
                await asyncio.to_thread(rabbitmq.kill)
            jobs.append(await shop.postlude.add_task(shop.note, number))
            await asyncio.sleep(PACE)
        await asyncio.to_thread(rabbitmq.start)
        return await become(site, jobs)


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser()
    options.add_argument("--times", type=int, default=3)
    times = options.parse_args().times
    redis, rabbitmq = RedisServer(), RabbitMQServer()
    rows: list[tuple[str, Measure, Measure]] = [
        (
            "RabbitMQ killed while tasks are sent",
            lambda: bare_broker_killed(rabbitmq),
            lambda: asyncio.run(broker_killed(rabbitmq)),
        ),
        (
            "the process of a running task killed",
            lambda: bare_child_killed(redis),
            lambda: asyncio.run(child_killed(redis)),
        ),
        ("`FLUSHALL` with 50 tasks sent", lambda: bare_flushed(redis), lambda: asyncio.run(flushed(redis))),
        (
            f"due in {LATER:g} s, with a visibility timeout of {VISIBLE:g} s",
            lambda: bare_late(redis),
            lambda: asyncio.run(late(redis)),
        ),
    ]
    try:
        sys.stdout.write("| fault | Celery at its defaults | with Postlude in front |\n|---|---|---|\n")
        for name, theirs, ours in rows:
            sys.stdout.write(f"| {name} | {_summed(theirs, times)} | {_summed(ours, times)} |\n")
            sys.stdout.flush()
    finally:
        redis.close()
        rabbitmq.close()


def _summed(measure: Measure, times: int) -> str:
    found = [measure() for _ in range(times)]
    sent, lost, twice = (sum(column) for column in zip(*found, strict=True))
    return f"{lost} of {sent} lost, {twice} run again"


if __name__ == "__main__":
    main()
