"""What Celery loses at its defaults, by the same faults: `python -m tests.engines.celery.losses`.

A task of its own, without Postlude: what was sent, and what has run.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from celery import Celery

from tests.engines.celery.site import ROOT, Site
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

told = os.environ.get


def application(broker: str, folder: str, visible: float | None = None) -> Celery:
    """Return an application as its first page shows it."""
    app = Celery("bare", broker=broker, set_as_current=False)
    if visible is not None:
        app.conf.broker_transport_options = {"visibility_timeout": visible}

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


def child_killed(redis: RedisServer) -> str:
    lost = 0
    for _ in range(5):
        redis.command("FLUSHALL")
        with bare(redis.url) as site:
            worker = site.start()
            site.app.send_task("work", [1, 1.0])
            site.until("begins", 1, 20)
            os.kill(Site.children(worker)[0], signal.SIGKILL)
            lost += not site.until("ends", 1, 10)
    return f"the process of a task killed: lost {lost} of 5"


def flushed(redis: RedisServer) -> str:
    redis.command("FLUSHALL")
    with bare(redis.url) as site:
        site.start()
        for number in range(50):
            site.app.send_task("work", [number, 0.1])
        site.until("begins", 3, 20)
        redis.command("FLUSHALL")
        ended = site.until("ends", 50, 12)
    return f"FLUSHALL with 50 tasks sent: lost {50 - len(ended)}"


def late(redis: RedisServer) -> str:
    redis.command("FLUSHALL")
    with bare(redis.url, visible=2.0) as site:
        for _ in range(2):
            site.start()
        time.sleep(4)
        site.app.send_task("work", [1, 0.0], countdown=10)
        site.until("ends", 1, 20)
        time.sleep(5)
        runs = site.said("ends")[1]
    return f"a countdown of five times the visibility timeout: run {runs} times"


def broker_killed(rabbitmq: RabbitMQServer) -> str:
    with bare(rabbitmq.url) as site:
        sent = 0
        rabbitmq_killed = False
        for number in range(300):
            if number == 150:
                os.killpg(rabbitmq._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
                rabbitmq_killed = True
            try:
                site.app.send_task("work", [number, 0.0], retry=False)
                sent += 1
            except Exception:
                if rabbitmq_killed and number > 160:
                    break
        rabbitmq.kill()
        rabbitmq.start()
        site.start()
        ended = site.until("ends", sent, 20)
    return f"RabbitMQ killed while tasks are sent, and started again: {sent} sent, lost {sent - len(ended)}"


def main() -> None:
    redis: Any = RedisServer()
    try:
        for measure in (child_killed, flushed, late):
            sys.stdout.write(measure(redis) + "\n")
    finally:
        redis.close()
    rabbitmq = RabbitMQServer()
    try:
        sys.stdout.write(broker_killed(rabbitmq) + "\n")
    finally:
        rabbitmq.close()


if __name__ == "__main__":
    main()
