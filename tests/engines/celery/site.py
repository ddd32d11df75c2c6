"""A journal, a broker and workers of Celery's, with an application in this process that adds jobs."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from postlude import Job
from postlude.clock import SECOND, SystemClock
from tests.engines.celery.shop import Shop

ROOT = Path(__file__).parents[3]

PATIENCE = 60.0

# With the library that turns its clock, a process's `time.sleep` raises EINVAL: it sleeps up to a moment.
SLEEPING = """
import threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds) and None
from postlude.cli import main
main()
"""


class TurnedClock(SystemClock):
    """The machine's, with what people read so many microseconds ahead."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


def _turned(offset: Path) -> dict[str, str]:
    """Return the variables by which a process is told a time that a file turns; leases measure without it."""
    libraries = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    assert libraries, "no libfaketime here: apt-get install libfaketime"
    return {
        "LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1", "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


class Site:
    """Where it happens.

    Args:
        folder: of its own.
        broker: the broker's URL.
        store: the journal; None: in SQLite, in the folder.
        starts_for: seconds that the application's start takes.
        turned: whether its clock, and those of its workers, can be turned.
    """

    def __init__(
        self,
        folder: Path,
        broker: str,
        store: str | None = None,
        starts_for: float = 0.0,
        *,
        turned: bool = False,
    ) -> None:
        self.folder = folder
        self.store = store or f"sqlite:///{folder}/jobs.db"
        self._environment = os.environ | {
            "SHOP_FOLDER": str(folder), "SHOP_STORE": self.store, "SHOP_BROKER": broker,
            "SHOP_STARTS_FOR": str(starts_for), "C_FORCE_ROOT": "1", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        self._clock = TurnedClock()
        self._turned = turned
        if turned:
            self.turn(0)
            self._environment |= _turned(folder / "clock")
        self.shop = Shop(folder, self.store, broker, clock=self._clock if turned else None)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(
        self, *options: str, concurrency: int = 2, pool: str = "prefork", breaks: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a worker; if it `breaks`, Celery's own meets an error when the broker is away."""
        command = [str(Path(sys.executable).with_name("postlude"))]
        if self._turned:
            command = [sys.executable, "-c", SLEEPING]
        if breaks:
            command = [sys.executable, "-m", "tests.engines.celery.breaking"]
        worker = subprocess.Popen(
            [
                *command, "celery", "worker", "tests.engines.celery.running:postlude",
                "--app-dir", str(ROOT), "--concurrency", str(concurrency), "--pool", pool, *options,
            ],
            env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=(self.folder / "worker.log").open("ab"), start_new_session=True,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def start_plain(self, *options: str) -> subprocess.Popen[bytes]:
        """Start Celery's own command."""
        command = Path(sys.executable).with_name("celery")
        worker = subprocess.Popen(
            [str(command), "-A", "tests.engines.celery.running:celery_app", "worker", *options],
            env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=(self.folder / "worker.log").open("ab"), start_new_session=True,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def turn(self, seconds: float) -> None:
        """Turn the clocks to so many seconds ahead of the machine's; workers see it within a second."""
        new = self.folder / "clock.new"
        new.write_text(f"+{seconds:f}\n")
        new.replace(self.folder / "clock")
        self._clock.ahead = round(seconds * SECOND)

    @staticmethod
    def children(worker: subprocess.Popen[bytes]) -> list[int]:
        """Return the processes that run a worker's jobs."""
        with suppress(OSError):
            told = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text()
            return [int(pid) for pid in told.split()]
        return []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Shop]:
        """Do what the application's lifespan does, beside the workers."""
        postlude = self.shop.postlude
        await postlude.open()
        try:
            await postlude.start()
            try:
                yield self.shop
            finally:
                await postlude.drain()
        finally:
            await postlude.close()

    async def results(self, jobs: list[Job[Any]]) -> list[Any]:
        return [await job.result(timeout=PATIENCE) for job in jobs]

    def runs(self) -> dict[int, list[tuple[float, float | None, int]]]:
        """Return of each job when its runs have begun and ended, and in which process."""
        found: dict[int, list[tuple[float, float | None, int]]] = defaultdict(list)
        open_runs: dict[tuple[str, str, str], int] = {}
        said = self.folder / "said"
        for line in said.read_text().splitlines() if said.exists() else ():
            at, pid, thread, what, number = line.split()
            runs = found[int(number)]
            if what == "begins":
                open_runs[pid, thread, number] = len(runs)
                runs.append((float(at), None, int(pid)))
            elif what == "ends" and (place := open_runs.pop((pid, thread, number), None)) is not None:
                runs[place] = (runs[place][0], float(at), int(pid))
        return found

    def overlaps(self) -> list[int]:
        """Return the jobs of which two runs were under way at once; of one that was killed nobody knows."""
        bad = []
        for number, runs in self.runs().items():
            whole = sorted((begin, end) for begin, end, _ in runs if end is not None)
            bad += [number for (_, end), (begin, _) in pairwise(whole) if begin < end]
        return bad

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.wait(30)

    def log(self) -> str:
        """What the workers have said."""
        path = self.folder / "worker.log"
        return path.read_text() if path.exists() else ""
