"""Many clients follow jobs by server-sent events, over several workers; then the server is told to stop.

    python -m bench.following [uvicorn gunicorn hypercorn granian] [--clients 1000] [--jobs 100] [--workers 4]

Each client follows one job, by a connection of its own. Told are: how many have seen their job's last event,
within how many seconds after the jobs were let go; how much more memory the worst worker holds than before
the first client came; and after SIGTERM, while all clients follow jobs that wait, in how many seconds all
streams have ended, and the server. Files are limited to 4,096 for each process (`ulimit -n`).
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILES: Final = 4096
PATIENCE: Final = 60.0
"""Seconds that anything is waited for."""

ROOT: Final = Path(__file__).parents[1]

SERVERS: Final[dict[str, list[str]]] = {
    "uvicorn": ["uvicorn", "{app}", "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}",
                "--log-level", "warning"],
    "gunicorn": ["gunicorn", "{app}", "-k", "uvicorn_worker.UvicornWorker", "-b", "127.0.0.1:{port}",
                 "-w", "{workers}", "--log-level", "warning"],
    "gunicorn-asgi": ["gunicorn", "{app}", "-k", "asgi", "-b", "127.0.0.1:{port}", "-w", "{workers}",
                      "--log-level", "warning"],
    "hypercorn": ["hypercorn", "{app}", "-b", "127.0.0.1:{port}", "-w", "{workers}", "--log-level",
                  "WARNING"],
    "granian": ["granian", "{app}", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}",
                "--workers", "{workers}", "--backpressure", "1024", "--log-level", "error"],
}  # fmt: skip
"""What starts each, after `python -m`. Granian's workers take 1,024 requests at once in all, else."""


@dataclass(frozen=True)
class Followed:
    """What was measured of one server.

    Attributes:
        clients: how many followed jobs.
        seen: how many of them have seen their job's last event.
        seconds: from when the jobs were let go until the last one had.
        mebibytes: how much more memory than before the worst worker held.
        streams_ended: seconds from SIGTERM until all streams had ended.
        server_ended: until the server had.
    """

    clients: int
    seen: int
    seconds: float
    mebibytes: float
    streams_ended: float
    server_ended: float


class Server:
    """A server with several workers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    async def ask(self, method: str, path: str) -> bytes:
        """Return the body of an answer, by a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"{method} {path} HTTP/1.0\r\nHost: t\r\nContent-Length: 0\r\n\r\n".encode())
            head, _, body = (await asyncio.wait_for(reader.read(), PATIENCE)).partition(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise RuntimeError(f"{method} {path}: {head.decode()}")
            return body
        finally:
            writer.close()

    async def add(self, jobs: int) -> list[str]:
        """Add jobs that wait; returns their ids."""
        found: list[str] = json.loads(await self.ask("POST", f"/jobs?jobs={jobs}"))
        return found

    async def workers(self, number: int) -> set[int]:
        """Return the processes that answer, once there are so many."""
        found: set[int] = set()
        async with asyncio.timeout(PATIENCE):
            while len(found) < number:
                with suppress(OSError, RuntimeError):
                    answers = await asyncio.gather(*[self.ask("GET", "/pid") for _ in range(4 * number)])
                    found |= {int(answer) for answer in answers}
        return found


class Client:
    """Follows one job by its events."""

    def __init__(self, port: int, id: str) -> None:
        self._port = port
        self._id = id
        self.open = asyncio.Event()
        self.done_at: float | None = None
        """When it had its job's last event."""
        self.ended_at: float | None = None
        """When the server had ended the stream."""

    async def follow(self) -> None:
        """Read the stream to its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(
                f"GET /jobs/{self._id}/events HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode()
            )
            with suppress(ConnectionError):
                while line := await reader.readline():
                    if line.startswith(b"data:"):
                        self.open.set()
                        if b'"done":true' in line and self._id.encode() in line:
                            self.done_at = time.monotonic()
            self.ended_at = time.monotonic()
        finally:
            writer.close()


@asynccontextmanager
async def served(name: str, workers: int, folder: Path) -> AsyncIterator[Server]:
    """Start a server, and end it.

    Args:
        name: which, of `SERVERS`.
        workers: how many processes answer.
        folder: where its journal is.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = {"app": "bench.followed:app", "port": str(port), "workers": str(workers)}
    command = [sys.executable, "-m", *(word.format(**words) for word in SERVERS[name])]
    command = ["/bin/sh", "-c", f'ulimit -n {FILES} && exec "$0" "$@"', *command]
    environment = {
        **os.environ,
        "POSTLUDE_STORE": f"sqlite:///{folder / name}.db",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    process = await asyncio.to_thread(
        subprocess.Popen, command, env=environment, cwd=folder, start_new_session=True
    )
    try:
        yield Server(process, port)
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@asynccontextmanager
async def following(server: Server, clients: int, ids: list[str]) -> AsyncIterator[list[Client]]:
    """Have clients follow jobs; entered once each has its first event."""
    everyone = [Client(server.port, ids[number % len(ids)]) for number in range(clients)]
    tasks: list[asyncio.Task[None]] = []
    try:
        for start in range(0, clients, 50):  # a server's queue of connections is not for ever
            some = everyone[start : start + 50]
            tasks += [asyncio.create_task(client.follow()) for client in some]
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*[client.open.wait() for client in some])
        yield everyone
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(name: str, clients: int, jobs: int, workers: int, folder: Path) -> Followed:
    """Return what is seen of one server.

    Args:
        name: which, of `SERVERS`.
        clients: how many follow jobs.
        jobs: how many jobs they follow.
        workers: how many processes answer.
        folder: where the journal is.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    own = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (own, hard))  # for this process's ends of the connections
    async with served(name, workers, folder) as server:
        pids = await server.workers(workers)
        before = {pid: resident(pid) for pid in pids}
        most = dict(before)

        def look() -> None:
            for pid in pids:
                with suppress(OSError):
                    most[pid] = max(most[pid], resident(pid))

        async with following(server, clients, await server.add(jobs)) as everyone:
            look()
            started = time.monotonic()
            await server.ask("POST", "/go")
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while any(client.ended_at is None for client in everyone):
                        await asyncio.sleep(0.05)
                        look()
            seen = [client.done_at - started for client in everyone if client.done_at is not None]
        async with following(server, clients, await server.add(jobs)) as everyone:
            look()
            started = time.monotonic()
            server.process.terminate()
            ended = asyncio.create_task(asyncio.to_thread(server.process.wait, PATIENCE))
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while any(client.ended_at is None for client in everyone):
                        await asyncio.sleep(0.01)
            last = max(client.ended_at or float("inf") for client in everyone) - started
            with suppress(subprocess.TimeoutExpired):
                await ended
            server_ended = time.monotonic() - started
    more = max(most[pid] - before[pid] for pid in pids)
    return Followed(clients, len(seen), max(seen, default=0.0), more, last, server_ended)


def resident(pid: int) -> float:
    """Return how much memory a process holds, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1024**2


def main() -> None:
    """Measure what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.following", description=__doc__)
    parser.add_argument(
        "servers", nargs="*", metavar="SERVER", help=f"of {', '.join(SERVERS)}; default uvicorn"
    )
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    if unknown := set(options.servers) - SERVERS.keys():
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    # On a disk, because a temporary directory may be in memory, where fsync costs nothing.
    folder = Path(tempfile.mkdtemp(prefix="following-", dir=Path(__file__).parent))
    try:
        for name in options.servers or ["uvicorn"]:
            of = asyncio.run(measure(name, options.clients, options.jobs, options.workers, folder))
            print(
                f"{name}: {of.seen} of {of.clients} clients saw their job's end, within {of.seconds:.1f} s; "
                f"worst worker +{of.mebibytes:.0f} MiB; after SIGTERM streams ended within "
                f"{of.streams_ended:.1f} s, the server within {of.server_ended:.1f} s",
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
