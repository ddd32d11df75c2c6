"""Real servers on a real PostgreSQL: kills of the application, and of the server below it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest

from postlude.model.job import JobFilter
from postlude.model.state import Reason, State
from postlude.stores.location import parse_location
from postlude.stores.open import open_reading
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.process]


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """A server that a test may hurt."""
    server = PostgresServer()
    yield server
    server.close()


ENDS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'postlude%'"


class Shop:
    """The application, served by uvicorn."""

    def __init__(self, url: str, folder: Path) -> None:
        self.ran = folder / "ran"
        self.ran.touch()
        self._log = (folder / "log").open("ab")
        self._env = os.environ | {"POSTLUDE_STORE": url, "RAN": str(self.ran)}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    @contextmanager
    def served(self) -> Iterator["subprocess.Popen[bytes]"]:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "tests.stores.postgres.shop:app", "--port", str(self.port)],
            env=self._env, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until and process.poll() is None:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    break
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def runs(self) -> Counter[int]:
        return Counter(map(int, self.ran.read_text().split()))

    def until_run(self, numbers: set[int], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not numbers <= self.runs().keys():
            time.sleep(0.05)
        assert numbers <= self.runs().keys(), f"{len(numbers - self.runs().keys())} jobs have not run"


def test_killed_it_loses_nothing(own: PostgresServer, tmp_path: Path) -> None:
    shop = Shop(own.url, tmp_path)
    acknowledged: set[int] = set()
    number = 0
    for _ in range(3):
        with shop.served() as process:
            for _ in range(40):
                number += 1
                if shop.client.post(f"/jobs/{number}").status_code == 200:
                    acknowledged.add(number)
            process.send_signal(signal.SIGKILL)
    with shop.served():
        shop.until_run(acknowledged, 20)
    assert len(acknowledged) == 120
    with closing(open_reading(parse_location(own.url))) as journal:
        counts = {(one.task.rpartition(":")[2], one.state): one.jobs for one in journal.counts().wait()}
    assert counts == {("work", State.SUCCEEDED): 120}


def test_restarts_below_lose_nothing_and_invent_nothing(own: PostgresServer, tmp_path: Path) -> None:
    shop = Shop(own.url, tmp_path)
    stored: set[int] = set()
    refused: set[int] = set()
    number = 0
    with shop.served():
        for how in (signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT):
            own.stop(how)
            number += 1
            answer = shop.client.post(f"/jobs/{number}")
            (stored if answer.status_code == 200 else refused).add(number)
            own.start()
            until = time.monotonic() + 15
            while time.monotonic() < until:  # it works on by itself
                number += 1
                answer = shop.client.post(f"/jobs/{number}")
                (stored if answer.status_code == 200 else refused).add(number)
                if answer.status_code == 200:
                    break
                assert answer.status_code == 503
                time.sleep(0.1)
            for _ in range(20):
                number += 1
                assert shop.client.post(f"/jobs/{number}").status_code == 200
                stored.add(number)
        shop.until_run(stored, 20)
    assert shop.runs().keys() == stored, "what was refused has not run"
    assert refused


def test_ended_connections_are_opened_again(own: PostgresServer, tmp_path: Path) -> None:
    shop = Shop(own.url, tmp_path)
    stored: set[int] = set()
    with shop.served(), psycopg.connect(own.url, autocommit=True) as db:
        for number in range(60):
            if number % 5 == 0:
                db.execute(ENDS)
            if shop.client.post(f"/jobs/{number}").status_code == 200:
                stored.add(number)
        shop.until_run(stored, 20)
    assert shop.runs().keys() == stored
    assert len(stored) > 40
    assert set(shop.runs().values()) == {1}, "nobody was taken for dead"


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_what_takes_its_process_with_it_is_not_run_for_ever(
    own: PostgresServer, tmp_path: Path, seconds: float
) -> None:
    shop = Shop(own.url, tmp_path)
    with shop.served() as process:
        assert shop.client.post(f"/deaths/{seconds}").status_code == 200
        process.wait(20)
    with closing(open_reading(parse_location(own.url))) as journal:
        for _ in range(6):
            with shop.served() as process, suppress(subprocess.TimeoutExpired):
                process.wait(6)
            wanted = JobFilter(task="tests.stores.postgres.shop:dies")
            (job,) = journal.page(wanted).wait()
            if job.stored.final:
                break
    assert (job.state, job.reason) == (State.FAILED, Reason.KILLED)
    assert job.deaths == 3
