"""A real server in a process of its own, that can be killed, stopped and started again."""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx2

from tests.durability.journal import Journal, eventually, location_of
from tests.durability.witness import Witness

ROOT: Final = Path(__file__).parents[2]

_ADDRESS: Final = re.compile(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")


def environment(
    folder: Path, journal: Journal, config: Mapping[str, Any], faults: Sequence[str] = ()
) -> dict[str, str]:
    """Return the environment in which `served.py` can be imported."""
    arena = {
        "folder": str(folder),
        "store": location_of(journal),
        "journal": str(journal),
        "config": dict(config),
        "faults": list(faults),
    }
    variables = os.environ | {"DURABILITY": json.dumps(arena), "PYTHONUNBUFFERED": "1"}
    variables.pop("POSTLUDE_STORE", None)
    return variables


class Server:
    """uvicorn with the application in `served.py`.

    Args:
        folder: for witnesses and logs.
        journal: the database.
        config: what differs from the defaults of `Config`.
        faults: see `faults.py`.
        options: more of uvicorn's command line.
        prepare: called in the child before it becomes the server.
        variables: more of its environment.
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        *,
        config: Mapping[str, Any] | None = None,
        faults: Sequence[str] = (),
        options: Sequence[str] = (),
        prepare: Callable[[], None] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = environment(folder, journal, config or {}, faults) | dict(variables or {})
        self._journal = journal
        self._options = options
        self._prepare = prepare
        self._witness = Witness(folder, f"server-{id(self)}")
        self._log = folder / f"server-{id(self)}.log"
        self._log.touch()
        self._read_from = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.port: int | None = None
        self.client = httpx2.Client(timeout=20)

    def start(self, *, wait: bool = True) -> Self:
        """Start it; `wait` until it serves."""
        self.port = None
        self._read_from = self._log.stat().st_size
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=self._prepare,
                start_new_session=True,
            )
        if wait:
            self.serving()
        return self

    def command(self) -> list[str]:
        """Return what it is started with."""
        application = "tests.durability.served:app"
        options = ("--port", "0", "--no-access-log", *self._options)
        return [sys.executable, "-m", "uvicorn", application, *options]

    def serving(self) -> None:
        """Return when it serves."""
        eventually(self.located, "the server says where it is", 30)

    def located(self) -> bool:
        """Whether it has named its port."""
        found = _ADDRESS.search(self.lines())
        if found is None:
            assert self.alive, f"the server has ended:\n{self.log()}"
            return False
        self.port = int(found[1])
        return True

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """Return everything that it has written."""
        return self._log.read_text()

    def lines(self) -> str:
        """Return what it has written since it was started last."""
        return self._log.read_bytes()[self._read_from :].decode()

    def signal(self, number: signal.Signals, pid: int | None = None) -> None:
        """Send a signal to it, or to one of its workers."""
        os.kill(pid or self.pid, number)

    def kill(self, pid: int | None = None) -> None:
        """Kill it, or one of its workers, and note that."""
        victim = pid or self.pid
        self.signal(signal.SIGKILL, victim)
        self._witness.note("kill", "-", victim)
        if pid is None:
            self.ended()
            self.port = None

    def died(self) -> int:
        """Return the exit code of a server that ends by itself, and note that it died."""
        code = self.ended()
        self._witness.note("kill", "-", self.pid)
        return code

    def stop(self) -> None:
        """Stop it between two groups, so that it runs no instruction until it may go on.

        One that is stopped in a commit keeps all writers out: `faults.stop_in_commit` does that. On a server
        it does for a while, and is stopped wherever it is.
        """
        if isinstance(self._journal, str):
            self.signal(signal.SIGSTOP)
            eventually(self.is_stopped, "the process is stopped")
            return
        with (self._journal.with_name(f"{self._journal.name}.runners") / "writer").open("rb") as writer:
            fcntl.flock(writer, fcntl.LOCK_EX)
            self.signal(signal.SIGSTOP)
            eventually(self.is_stopped, "the process is stopped")

    def is_stopped(self) -> bool:
        """Whether it has been stopped."""
        return ") T " in Path(f"/proc/{self.pid}/stat").read_text()

    def go_on(self) -> None:
        """Let it run again."""
        self.signal(signal.SIGCONT)

    def ended(self, within: float = 20) -> int:
        """Return the exit code when it has ended."""
        assert self.process is not None
        return self.process.wait(within)

    def terminate(self, within: float = 20) -> int:
        """Ask it to end, as an orchestrator does."""
        self.signal(signal.SIGTERM)
        return self.ended(within)

    def clean_up(self) -> None:
        """End it and what it has started, however it is."""
        self.client.close()
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def post(self, path: str, **query: Any) -> httpx2.Response:
        """Post to a route."""
        return self.client.post(f"http://127.0.0.1:{self.port}{path}", params=query)

    def post_and_forget(self, path: str, **query: Any) -> None:
        """Post to a route that may take the server along before it answers."""
        with contextlib.suppress(httpx2.TransportError):
            self.post(path, **query)

    def get(self, path: str) -> httpx2.Response:
        """Get a route."""
        return self.client.get(f"http://127.0.0.1:{self.port}{path}")


class Worker(Server):
    """`postlude worker` of that application: it serves nobody, and is there when its processes run jobs."""

    def command(self) -> list[str]:
        program = "from postlude.cli import main; main()"
        return [sys.executable, "-c", program, "worker", "tests.durability.served:postlude", *self._options]

    def located(self) -> bool:
        """Whether as many processes run jobs as it was told."""
        assert self.alive, f"the worker has ended:\n{self.log()}"
        wanted = int(self._options[self._options.index("--processes") + 1])
        return self.lines().count(" runs jobs, after ") >= wanted

    def processes(self) -> list[int]:
        """Return its processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return sorted(map(int, children.read_text().split()))
