"""A worker, started as people start it, and how it and its processes are doing."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from postlude.jobs.inspector import JobStatus
from postlude.model.job import JobFilter
from postlude.stores.location import parse_location
from postlude.stores.open import open_reading
from postlude.stores.protocol import LivingRunner

ROOT = Path(__file__).parents[2]
T = TypeVar("T")

COMMAND = "from postlude.cli import main; main()"

ADDER = """
import asyncio, json, sys
import tests.worker.shop as shop
async def main():
    await shop.postlude.open()
    for name, options, args in json.loads(sys.stdin.read()):
        task = getattr(shop, name)
        calls = [task.using(**options).call(*each) for each in args]
        await shop.postlude.add_tasks(calls)
    await shop.postlude.close()
asyncio.run(main())
"""


def eventually(look: Callable[[], T | None], what: str, within: float = 30.0) -> T:
    """Return the first value that is something."""
    until = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < until, f"not within {within} s: {what}"
        time.sleep(0.01)
    return found


class Note(NamedTuple):
    """What a job noted of itself."""

    at: float
    """Seconds of the monotonic clock of this machine."""
    pid: int
    what: str
    token: str


class Worker:
    """`postlude worker`, and its processes.

    Args:
        team: whose.
        arguments: of the command.
        prepare: called in the process before it becomes the worker.
    """

    def __init__(
        self,
        team: "Team",
        *arguments: str,
        application: str,
        prepare: Callable[[], None] | None = None,
        **settings: Any,
    ) -> None:
        self._log = team.folder / f"worker-{time.monotonic_ns()}.log"

        def begin() -> None:
            for number in (signal.SIGHUP, signal.SIGINT):  # who starts tests may have them ignored
                signal.signal(number, signal.SIG_DFL)
            if prepare is not None:
                prepare()

        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "worker", application, *arguments],
                cwd=team.folder,
                env=team.environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=begin,
                start_new_session=True,
            )

    def log(self) -> str:
        """Return what it and its processes have written."""
        return self._log.read_text()

    def says(self, text: str, within: float = 30.0) -> str:
        """Return what it has written once that has a text in it."""

        def look() -> str | None:
            log = self.log()
            assert text in log or self.process.poll() is None, log
            return log if text in log else None

        return eventually(look, f"it says {text!r}; it wrote:\n{self.log()}", within)

    def pids(self) -> list[int]:
        """Return its processes, as the system has them."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            return sorted(map(int, children.read_text().split()))
        return []

    def run(self, processes: int = 1, times: int = 1) -> list[int]:
        """Return its processes once so many have begun to run jobs, in all."""
        eventually(lambda: self.log().count("runs jobs, after") >= processes * times or None, self.log())
        return self.pids()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the parent."""
        self.process.send_signal(number)

    def ends(self, within: float = 30.0) -> int:
        """Return its exit code once it has ended."""
        return self.process.wait(within)

    def clean_up(self) -> None:
        """End it and its processes, however they are."""
        for pid in [*self.pids(), self.process.pid]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Team:
    """A journal and the workers on it.

    Args:
        folder: for notes and logs.
        store: where the journal is.
    """

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.store = store
        self.settings: dict[str, Any] = {}
        self._workers: list[Worker] = []

    def environment(self, **settings: Any) -> dict[str, str]:
        """Return that in which the application can be imported."""
        told = {"folder": str(self.folder), **self.settings, **settings}
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        return os.environ | {
            "POSTLUDE_STORE": self.store, "SHOP": json.dumps(told), "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    def start(
        self, *arguments: str, application: str = "tests.worker.shop:postlude", **settings: Any
    ) -> Worker:
        """Start a worker."""
        worker = Worker(self, *arguments, application=application, **settings)
        self._workers.append(worker)
        return worker

    def add(self, task: str, *args: list[Any], **options: Any) -> None:
        """Add jobs from a process that runs none."""
        done = subprocess.run(
            [sys.executable, "-c", ADDER],
            input=json.dumps([[task, options, args]]), text=True, cwd=ROOT, env=self.environment(),
            capture_output=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def notes(self, what: str, token: str | None = None) -> list[Note]:
        """Return what jobs noted, in order."""
        return sorted(
            note for note in self._all() if note.what.startswith(what) and token in (None, note.token)
        )

    def noted(self, what: str, token: str, times: int = 1, within: float = 30.0) -> list[Note]:
        """Return so many notes once they are there."""
        return eventually(
            lambda: n if len(n := self.notes(what, token)) >= times else None,
            f"{token} notes {what} {times} times",
            within,
        )

    def _all(self) -> Iterator[Note]:
        for path in self.folder.glob("*.notes"):
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    at, what, token = line.split()
                    yield Note(int(at) / 1e9, int(path.stem), what, token)

    def jobs(self, task: str | None = None) -> list[JobStatus]:
        """Return the jobs as the journal has them."""
        with closing(open_reading(parse_location(self.store))) as journal:
            wanted = JobFilter(task=task and f"tests.worker.shop:{task}", limit=100_000)
            ids = [record.id for record in journal.page(wanted).wait()]
            records = [journal.get(id).wait() for id in ids[:100]]
            return [JobStatus.of(record) for record in records if record is not None]

    def living(self) -> list[LivingRunner]:
        """Return who runs jobs."""
        with closing(open_reading(parse_location(self.store))) as journal:
            return journal.living().wait()

    def clean_up(self) -> None:
        """End all."""
        for worker in self._workers:
            worker.clean_up()
