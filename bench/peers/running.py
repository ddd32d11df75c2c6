"""One system, running: its servers, its web process, its worker; each is ended by its id."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from kombu.connection import Connection

from bench.peers import record
from bench.peers.environment import ROOT, programs
from bench.peers.systems import System
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

QUEUES: Final = ("celery", "default", "default.DQ", "default.XQ")
"""Those that systems make in RabbitMQ."""

AOF: Final = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
STARTS_WITHIN: Final = 60.0


def tree(pid: int) -> list[int]:
    """Return a process and all that have come from it, itself first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text("ascii").rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _signal(pid: int, what: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process of ours and all that it has started, by SIGKILL."""
    for pid in tree(process.pid):
        _signal(pid, signal.SIGKILL)
    process.wait(30)


class Servers:
    """Brokers and databases, started when they are first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def get(self, kind: str, durable: bool) -> Any:
        """Return the server of a kind. Only Redis differs where durable settings are asked for."""
        name = f"{kind}-aof" if kind == "redis" and durable else kind
        if name not in self._made:
            if kind == "redis":
                self._made[name] = RedisServer(AOF if durable else ())
            elif kind == "rabbitmq":
                self._made[name] = RabbitMQServer()
            else:
                self._made[name] = PostgresServer({})
        return self._made[name]

    def kill(self, kind: str, durable: bool) -> None:
        """End a server as a crash would."""
        server = self.get(kind, durable)
        if kind == "postgres":
            for pid in reversed(tree(server.pid)):
                _signal(pid, signal.SIGKILL)
            server.stop(signal.SIGKILL)
        elif kind == "redis":
            server.stop(signal.SIGKILL)
        else:
            server.kill()

    def close(self) -> None:
        """End all."""
        while self._made:
            self._made.popitem()[1].close()


class Running:
    """One system in one mode, with empty stores.

    Args:
        system: which.
        mode: `default` or `durable`.
        servers: where its servers come from.
        work: seconds that a job takes.
        concurrency: jobs that the worker runs at once; 0: as many as it does by default.
    """

    def __init__(
        self, system: System, mode: str, servers: Servers, work: float = 0.0, concurrency: int = 0
    ) -> None:
        self.system, self.durable, self.servers = system, mode == "durable", servers
        self.concurrency = concurrency
        # Beside the other results, because a temporary directory may be in memory, where fsync costs nothing.
        parent = ROOT / "build" / "peers"
        parent.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix="run-", dir=parent)
        self.record = Path(self._folder.name) / "record"
        self._programs = programs(system)
        self._environment = os.environ | {
            "PATH": f"{self._programs}:{os.environ.get('PATH', '')}", "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore", "C_FORCE_ROOT": "1", "PEERS_RECORD": str(self.record),
            "PEERS_WORK": str(work), "PEERS_DURABLE": str(int(self.durable)),
            "PEERS_CONCURRENCY": str(concurrency), **self._addresses(),
        }  # fmt: skip
        self._environment.pop("POSTLUDE_STORE", None)
        self._log = (Path(self._folder.name) / "log").open("ab")
        self._web: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._watched = threading.Event()
        self._socket: socket.socket | None = None
        self.port = 0
        if system.prepare:
            self._call("prepare")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_worker()
        self.kill_web()
        if self._socket is not None:
            self._socket.close()
        self._log.close()
        self._folder.cleanup()

    # -- its stores ---------------------------------------------------------------------------

    def _addresses(self) -> dict[str, str]:
        system = self.system
        found = {}
        if system.broker:
            found["PEERS_BROKER"] = self._emptied(system.broker)
        if system.store == "sqlite":
            found["PEERS_URL"] = f"sqlite:///{self._folder.name}/journal.db"
        elif system.store != "memory":
            found["PEERS_URL"] = self._emptied(system.store)
        return found

    def _emptied(self, kind: str) -> str:
        server = self.servers.get(kind, self.durable)
        if kind == "redis":
            server.command("FLUSHALL")
        elif kind == "rabbitmq":
            with Connection(server.url) as connection:
                for name in QUEUES:
                    connection.default_channel.queue_delete(name)
        else:
            name = f"d{time.monotonic_ns()}"
            with psycopg.connect(server.url, autocommit=True) as db:
                db.execute(f"CREATE DATABASE {name}")
            return f"{server.url.rpartition('/')[0]}/{name}"
        return str(server.url)

    # -- its processes ------------------------------------------------------------------------

    def _command(self, *words: str) -> list[str]:
        return [str(self._programs / "python"), "-m", "bench.peers.child", *words]

    def _call(self, verb: str, *words: str) -> str:
        done = subprocess.run(
            self._command(verb, self.system.module, *words),
            env=self._environment, cwd=ROOT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.system.name}: {verb}: {done.stderr[-2000:]}")
        return done.stdout

    def fill(self, count: int) -> None:
        """Add jobs, numbered from 0, while nothing else runs."""
        self._call("fill", str(count))

    def left(self) -> int:
        """Return how many jobs the system still holds."""
        return int(self._call("left").split()[-1])

    def start_web(self, first: int = 0, core: int = -1) -> None:
        """Start the web process, and return when it answers.

        Args:
            first: what its first job is called by.
            core: the core that it keeps to; -1: any.
        """
        if self._socket is None:
            self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
            self.port = self._socket.getsockname()[1]
        self._web = subprocess.Popen(
            self._command("web", self.system.module, str(self._socket.fileno()), str(core)),
            env=self._environment | {"PEERS_FIRST": str(first)}, cwd=ROOT, stdin=subprocess.PIPE,
            stdout=self._log, stderr=self._log, pass_fds=[self._socket.fileno()],
        )  # fmt: skip
        self._until(self._answers, "the web process")

    def _answers(self) -> bool:
        if self._web is None or self._web.poll() is not None:
            raise RuntimeError(f"{self.system.name}: the web process has ended\n{self._said()}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(12) == b"HTTP/1.1 200"
        return False

    def kill_web(self) -> None:
        """Kill the web process by SIGKILL."""
        if self._web is not None:
            kill(self._web)
            assert self._web.stdin is not None
            self._web.stdin.close()
            self._web = None

    def start_worker(self) -> None:
        """Start its worker. One that ends is started again, after a second, as a supervisor would."""
        words = [
            word.format(self.concurrency)
            for word in self.system.worker
            if "{}" not in word or self.concurrency
        ]
        command = [str(self._programs / words[0]), *words[1:]]
        if self.system.name == "rq":
            command += ["--url", self._environment["PEERS_URL"], "--path", str(ROOT)]
        if self.durable:
            command += self.system.durable_worker
        self._spawn(command)
        watched = self._watched = threading.Event()

        def watch() -> None:
            while not watched.wait(1.0):
                worker = self._worker
                if worker is not None and worker.poll() is not None:
                    self._spawn(command)

        threading.Thread(target=watch, daemon=True).start()

    def _spawn(self, command: Sequence[str]) -> None:
        self._worker = subprocess.Popen(
            command, env=self._environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, start_new_session=True,
        )  # fmt: skip

    def kill_worker_at_work(self) -> None:
        """Kill the worker while a job has been begun and has not ended; it is stopped to be looked at."""
        self._until(self._stopped_at_work, "another job")
        self.kill_worker()

    def _stopped_at_work(self) -> bool:
        if self._worker is None or not record.read(self.record).busy:
            return False
        pids: list[int] = []
        while (now := tree(self._worker.pid)) != pids:  # until it has no more that were started meanwhile
            pids = now
            for pid in pids:
                _signal(pid, signal.SIGSTOP)
        if record.read(self.record).busy:
            return True
        for pid in pids:
            _signal(pid, signal.SIGCONT)
        return False

    def kill_worker(self) -> None:
        """Kill the worker and all of its processes by SIGKILL."""
        self._watched.set()
        if self._worker is not None:
            kill(self._worker)
            self._worker = None

    # -- what its jobs have done --------------------------------------------------------------

    def wait_for(self, ends: int, seconds: float) -> None:
        """Wait until so many jobs have ended."""
        until = time.monotonic() + seconds
        while (done := record.ends(self.record)) < ends:
            if time.monotonic() > until:
                raise RuntimeError(f"{self.system.name}: {done} of {ends} jobs have ended\n{self._said()}")
            time.sleep(0.02)

    def _until(self, done: Any, what: str) -> None:
        until = time.monotonic() + STARTS_WITHIN
        while not done():
            if time.monotonic() > until:
                raise RuntimeError(f"{self.system.name}: {what} did not start\n{self._said()}")
            time.sleep(0.02)

    def said(self) -> str:
        """Return the end of what its processes have printed."""
        return self._said()

    def _said(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text("utf-8", "replace")[-2000:]
