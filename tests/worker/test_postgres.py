"""Workers on a real PostgreSQL: their deaths, each job once, and what they cost at rest.

`POSTLUDE_NOOPS` sets how many jobs run once each.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from postlude import State
from tests.servers.postgres import PostgresServer
from tests.worker.team import Team, eventually

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.alone]

NOOPS: Final = int(os.environ.get("POSTLUDE_NOOPS", "10000"))
REST: Final = 15.0
"""Seconds for which the CPU of a worker is measured that has nothing to do."""


@pytest.fixture
def shared(server: PostgresServer, tmp_path: Path) -> Iterator[Team]:
    """Workers on a journal in PostgreSQL."""
    team = Team(tmp_path, server.url)
    yield team
    team.clean_up()
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS postlude CASCADE")


def second_start(team: Team, job: str, within: float) -> float:
    """Kill the process that runs a job; returns the seconds until another process starts it."""
    (first,) = team.noted("starts", job)
    os.kill(first.pid, signal.SIGKILL)
    killed = time.monotonic()
    _, second = team.noted("starts", job, 2, within)
    assert second.pid != first.pid
    return second.at - killed


def test_the_jobs_of_a_killed_process_run_elsewhere_long_before_its_lease_is_over(
    shared: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = shared.start("--processes", "3")
    worker.run(3)
    seconds = []
    for number in range(3):
        shared.add("again", [f"a{number}", 60.0])
        seconds.append(second_start(shared, f"a{number}", 30))
        worker.run(4 + number)
    with capsys.disabled():
        print(f"\nkilled to started elsewhere, by the lock: {_told(seconds)}")  # noqa: T201
    assert max(seconds) < 2, "by the lock: 1.0 to 1.7 s, by the lease 15"
    assert {(job.state, job.result) for job in shared.jobs()} == {(State.SUCCEEDED, 2)}


def test_by_the_lease_alone_they_run_within_twenty_seconds(
    shared: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.settings["by_lease"] = True
    shared.start("--processes", "2").run(2)
    shared.add("again", ["a", 60.0])
    seconds = second_start(shared, "a", 60)
    with capsys.disabled():
        print(f"\nkilled to started elsewhere, by the lease: {_told([seconds])}")  # noqa: T201
    assert 5 < seconds < 20


def test_one_that_is_stopped_for_three_leases_cannot_write_a_result(shared: Team) -> None:
    shared.settings["config"] = {"lease": 1.0, "renew_every": 0.2, "reap_every": 0.1}
    frozen = shared.start()
    (loser,) = frozen.run()
    shared.add("again", ["a", 15.0])
    shared.noted("starts", "a")
    os.kill(loser, signal.SIGSTOP)
    stopped = time.monotonic()
    shared.start().run()
    shared.noted("starts", "a", 2)
    time.sleep(max(0.0, stopped + 3.0 - time.monotonic()))
    os.kill(loser, signal.SIGCONT)
    shared.noted("wakes", "a")
    frozen.says("this process was taken for dead")
    (job,) = shared.jobs()
    assert (job.state, job.result) == (State.SUCCEEDED, 2)


def test_each_job_of_many_runs_once_in_four_processes(
    shared: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = shared.start("--processes", "4")
    pids = worker.run(4)
    began = time.monotonic()
    shared.add("noop", *[[f"{number}"] for number in range(NOOPS)])
    eventually(lambda: _lines(shared) >= NOOPS or None, "all have run", 300)
    seconds = time.monotonic() - began
    time.sleep(1.0)  # for a second start that there must not be
    runs = Counter(note.token for note in shared.notes("starts"))
    assert len(runs) == NOOPS
    assert set(runs.values()) == {1}
    worked = {note.pid for note in shared.notes("starts")}
    assert worked <= set(pids)
    assert len(worked) > 1, "they share the work; on a busy machine one may come too late for any"
    with psycopg.connect(shared.store) as db:
        states: dict[int, int] = dict(
            db.execute("SELECT state, count(*) FROM postlude.job GROUP BY state").fetchall()
        )
    assert states == {8: NOOPS}
    with capsys.disabled():
        print(f"\n{NOOPS:,} no-op jobs, 4 processes: added and run in {seconds:.1f} s")  # noqa: T201


@pytest.mark.parametrize("hears", ["LISTEN", "polling", "SQLite"])
def test_a_worker_that_waits_takes_next_to_nothing_of_a_core(
    request: pytest.FixtureRequest, hears: str, capsys: pytest.CaptureFixture[str]
) -> None:
    team: Team = request.getfixturevalue("team" if hears == "SQLite" else "shared")
    team.settings["deaf"] = hears == "polling"
    worker = team.start()
    (pid,) = worker.run()
    team.add("send", ["a"])
    team.noted("ends", "a")
    time.sleep(3.0)  # what it does at its start is over
    before = _cpu(pid), _cpu(worker.process.pid)
    time.sleep(REST)
    share, parents = (
        100 * (_cpu(each) - was) / REST for each, was in zip((pid, worker.process.pid), before, strict=True)
    )
    with capsys.disabled():
        print(f"\nat rest, {hears}: {share:.2f} % of a core, its parent {parents:.2f} %")  # noqa: T201
    assert share < 1, "it looks too often"
    assert parents < 0.5


def _lines(team: Team) -> int:
    return sum(path.read_bytes().count(b" starts ") for path in team.folder.glob("*.notes"))


def _told(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f} s" for each in seconds)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
