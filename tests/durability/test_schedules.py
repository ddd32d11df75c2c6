"""Schedules that tick each second in four processes, of which one is killed again and again."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from postlude.clock import SECOND, SystemClock
from postlude.model.schedule import id_of
from postlude.model.state import State
from postlude.stores.location import parse_location
from postlude.stores.open import open_reading
from tests.durability.reporting import Report, reporter
from tests.servers.postgres import PostgresServer

report = pytest.fixture(reporter)
pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.disk, pytest.mark.durability]

SECONDS: Final = int(os.environ.get("POSTLUDE_TICKING_SECONDS", "20"))
KILL_EVERY: Final = 10 if SECONDS >= 60 else 4
PROCESSES: Final = 4
NAMES: Final = ("every", "cron")


class Crew:
    """Processes on one journal.

    Args:
        store: where that is.
        ticks: the file that their jobs write to.
    """

    def __init__(self, store: str, ticks: Path) -> None:
        self._env = {**os.environ, "POSTLUDE_STORE": store, "TICKS": str(ticks), "POSTLUDE_SCHEDULES": "on"}
        self.processes: list[subprocess.Popen[bytes]] = []
        self._ready: list[subprocess.Popen[bytes]] = []

    def add(self) -> subprocess.Popen[bytes]:
        """Start another process."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.ticking"], env=self._env, stdout=subprocess.PIPE
        )
        self.processes.append(process)
        return process

    def wait(self) -> None:
        """Return when all of them run jobs."""
        for process in self.processes:
            if process not in self._ready:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                self._ready.append(process)

    def kill_first(self) -> None:
        """Kill the oldest, without a warning."""
        process = self.processes.pop(0)
        process.kill()
        process.wait()

    def end(self) -> list[int]:
        """End all of them in order; returns their exit codes."""
        for process in self.processes:
            process.terminate()
        return [process.wait(60) for process in self.processes]

    def close(self) -> None:
        """Leave nothing behind."""
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'journal.db'}"
    else:
        server = PostgresServer()
        try:
            yield server.url
        finally:
            server.close()


def test_each_due_time_becomes_one_job(store: str, tmp_path: Path, report: Report) -> None:
    ticks = tmp_path / "ticks"
    crew = Crew(store, ticks)
    try:
        for _ in range(PROCESSES):
            crew.add()
        crew.wait()
        deadline = time.monotonic() + SECONDS
        kills = 0
        while time.monotonic() < deadline:
            # The time itself is what is tested.
            time.sleep(min(KILL_EVERY, max(0.0, deadline - time.monotonic())))
            crew.kill_first()
            crew.add()
            kills += 1
        crew.wait()
        time.sleep(5)  # the dead are buried, and what they ran runs again
        assert crew.end() == [0] * PROCESSES
    finally:
        crew.close()
    end = SystemClock().now()
    runs = Counter(tuple(line.split()[:3]) for line in ticks.read_text().splitlines())
    journal = open_reading(parse_location(store))
    try:
        known = {one.schedule.name: one for one in journal.schedules().wait(10)}
        assert set(known) == set(NAMES)
        late: list[float] = []
        for name in NAMES:
            times = journal.schedule_times(name, 10_000).wait(10)
            due = [time.due for time in reversed(times)]
            # One after another, with none left out and none twice, up to the end.
            assert due == list(range(due[0], due[-1] + SECOND, SECOND))
            assert len(due) >= SECONDS
            assert end - due[-1] < 15 * SECOND
            assert all(time.ran for time in times)
            jobs = [time.job for time in reversed(times)]
            assert jobs == [id_of(name, moment) for moment in due]
            records = [journal.get(job).wait(10) for job in jobs if job is not None]
            found = [record for record in records if record is not None]
            assert len(found) == len(due)
            ended = {
                moment for record, moment in zip(found, due, strict=True) if record.state is State.SUCCEEDED
            }
            left = set(due) - ended  # added as the last process went
            assert all(end - moment < 15 * SECOND for moment in left)
            assert {record.state for record in found} <= {State.SUCCEEDED, State.QUEUED}
            late += ((record.created - moment) / SECOND for record, moment in zip(found, due, strict=True))
            seen = {int(moment) * SECOND for schedule, moment, _ in runs if schedule == name}
            assert ended <= seen <= set(due)
        again = sum(count - 1 for count in runs.values())
        # What a process was running when it was killed runs again, and nothing else.
        assert again <= 2 * kills
        late.sort()
        report(
            f"{len(runs)} due times, {PROCESSES} processes, {kills} kills: each became one "
            f"job; {again} runs repeated after a kill; added late by {late[len(late) // 2]:.3f} s (median), "
            f"{late[-1]:.3f} s (most)"
        )
    finally:
        journal.close()
