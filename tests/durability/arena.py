"""One run: a journal, its servers, its witnesses, and the check at the end."""

import itertools
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.durability.checker import Verdict, check
from tests.durability.journal import Journal, Row, eventually, row_of, unfinished
from tests.durability.server import ROOT, Server, Worker, environment
from tests.durability.witness import Event, Kind, Witness, seen

QUICK: Final[Mapping[str, Any]] = {
    "lease": 1.0,
    "renew_every": 0.2,
    "reap_every": 0.1,
    "poll_every": 0.05,
    "budget": 1.0,
}
"""The defaults, shrunk so that a test need not wait for them."""


EITHER: Final = pytest.mark.parametrize("arena", ["file", "server"], indirect=True)
"""Of tests that hold whatever store the journal is in."""


class Arena:
    """What one test works with.

    Args:
        folder: for witnesses and logs.
        journal: the database; a file beside the witnesses by default.
    """

    def __init__(self, folder: Path, journal: Journal | None = None) -> None:
        self.folder = folder
        self.journal: Journal = journal or folder / "journal.db"
        self.witness = Witness(folder, "client")
        self._servers: list[Server] = []
        self._numbers = itertools.count()

    @property
    def on_server(self) -> bool:
        """Whether the journal is in PostgreSQL."""
        return isinstance(self.journal, str)

    def server(
        self,
        *,
        config: Mapping[str, Any] | None = None,
        faults: Sequence[str] = (),
        options: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Server:
        """Return a server on this journal, not started yet; `config` goes on top of `QUICK`."""
        settings = {**QUICK, **(config or {})}
        server = Server(
            self.folder, self.journal, config=settings, faults=faults, options=options, variables=variables
        )
        self._servers.append(server)
        return server

    def worker(self, processes: int, *, config: Mapping[str, Any] | None = None) -> Worker:
        """Return a worker of so many processes on this journal, not started yet."""
        settings, options = {**QUICK, **(config or {})}, ("--processes", str(processes))
        worker = Worker(self.folder, self.journal, config=settings, options=options)
        self._servers.append(worker)
        return worker

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a module of this folder, not a server, on this journal."""
        return subprocess.run(
            [sys.executable, "-m", f"tests.durability.{module}", *arguments],
            cwd=ROOT,
            env=environment(self.folder, self.journal, QUICK),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def add(self, server: Server, kind: str, *, jobs: int = 0, **query: Any) -> str:
        """Have a job added, and be acknowledged; returns its token."""
        token, answer = self.ask(server, kind, jobs=jobs, **query)
        assert answer.status_code == 200, answer.text
        return token

    def ask(self, server: Server, kind: str, *, jobs: int = 0, **query: Any) -> tuple[str, httpx2.Response]:
        """Ask for a job (and `jobs` behind it); returns its token and the answer."""
        token = f"{kind}-{next(self._numbers)}"
        tokens = [token, *(f"{token}.{number}" for number in range(jobs))]
        for each in tokens:
            self.witness.note("intent", each)
        answer = server.post(f"/jobs/{kind}/{token}", **query)
        if answer.status_code == 200:
            for each in tokens:
                self.witness.note("acked", each)
        return token, answer

    def events(self, kind: Kind, token: str | None = None) -> list[Event]:
        """Return what was witnessed."""
        return [e for e in seen(self.folder) if e.kind == kind and token in (None, e.token)]

    def started(self, token: str, times: int = 1, within: float = 20) -> Event:
        """Return the start of a job once it is there."""
        eventually(lambda: len(self.events("start", token)) >= times, f"start {times} of {token}", within)
        return self.events("start", token)[times - 1]

    def row(self, token: str) -> Row:
        """Return a job as the journal has it."""
        row = row_of(self.journal, token)
        assert row is not None, f"{token} is not in the journal"
        return row

    def final(self, token: str, within: float = 20) -> Row:
        """Return a job once it has ended."""
        eventually(lambda: self.row(token).final, f"the end of {token}", within)
        return self.row(token)

    def drain(self, server: Server, within: float = 60) -> None:
        """Return when no job is left."""
        deadline = time.monotonic() + within
        while left := unfinished(self.journal):
            assert server.alive, server.log()
            assert time.monotonic() < deadline, f"{left} jobs are left; the server wrote:\n{server.log()}"
            time.sleep(0.05)

    def verdict(self) -> Verdict:
        """Stop all servers and check the run."""
        for server in self._servers:
            if server.alive:
                server.terminate()
        return check(self.folder, self.journal)

    def clean_up(self) -> None:
        """End all that has been started."""
        for server in self._servers:
            server.clean_up()
