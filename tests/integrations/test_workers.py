"""Four workers of a real server, under load: each tells the same, nothing falls, also when one is killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

Counters = dict[str, float]


class Server:
    """Uvicorn with four workers."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url
        self.accepted = self.sent = 0

    @property
    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [pid for pid in map(int, children.split()) if b"spawn_main" in _command(pid)]

    async def load(self, requests: int) -> None:
        """Send requests, a few at a time, each by a connection of its own."""
        turns = asyncio.Semaphore(8)

        async def send() -> None:
            async with turns, httpx.AsyncClient() as client:
                self.sent += 1
                try:
                    answer = await client.post(self.url, timeout=20)
                except httpx.HTTPError:  # its worker was killed
                    return
                self.accepted += answer.status_code == 200

        await asyncio.gather(*[send() for _ in range(requests)])

    async def scrape(self) -> Counters | None:
        """Ask whichever worker takes the connection; None: it was killed."""
        try:
            async with httpx.AsyncClient() as client:
                text = (await client.get(f"{self.url}/metrics/", timeout=20)).text
        except httpx.HTTPError:
            return None
        return {
            f"{sample.name}{sorted(sample.labels.items())}": sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    async def at_rest(self) -> tuple[float, float]:
        """Return the jobs added and ended once all have."""
        async with asyncio.timeout(40):
            while True:
                found = await self.scrape()
                if found is not None:
                    added = sum(value for name, value in found.items() if "jobs_added" in name)
                    ended = sum(value for name, value in found.items() if "jobs_ended" in name)
                    if added == ended > 0:
                        return added, ended
                await asyncio.sleep(0.1)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "uvicorn", "tests.integrations.served:app", "--workers", "4",
        "--port", str(port), "--log-level", "warning",
    ]  # fmt: skip
    environment = {**os.environ, "POSTLUDE_STORE": f"sqlite:///{folder}/jobs.db"}
    process = subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2])
    try:
        server = Server(process, f"http://127.0.0.1:{port}")
        async with asyncio.timeout(40):
            while await server.scrape() is None or len(server.workers) < 4:
                await asyncio.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def test_counters_never_fall_and_come_to_the_load(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        loading = asyncio.create_task(server.load(300))
        before: Counters = {}
        scrapes = 0
        while scrapes < 50:
            found = await server.scrape()
            assert found is not None
            assert before.keys() <= found.keys()
            assert {name: value for name, value in before.items() if found[name] < value} == {}
            before, scrapes = found, scrapes + 1
        await loading
        assert server.accepted == server.sent == 300
        assert await server.at_rest() == (600, 600)
        answers = [await server.scrape() for _ in range(12)]
        assert answers == answers[:1] * 12


async def test_so_it_is_when_a_worker_is_killed(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        loading = asyncio.create_task(server.load(300))
        before: Counters = {}
        killed = False
        scrapes = 0
        while scrapes < 50:
            if not killed and server.accepted >= 60:
                os.kill(server.workers[0], signal.SIGKILL)
                killed = True
            found = await server.scrape()
            if found is None:
                continue
            assert {name: value for name, value in before.items() if found[name] < value} == {}
            before, scrapes = found, scrapes + 1
        await loading
        if not killed:
            os.kill(server.workers[0], signal.SIGKILL)
        added, ended = await server.at_rest()
        # What a killed worker had stored, it may not have answered.
        assert 2 * server.accepted <= added == ended <= 2 * server.sent
