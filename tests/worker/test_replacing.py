"""Processes that take others' places: by count, by signal, by a change of the code; and those that cannot."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.worker.team import Team, eventually

pytestmark = [pytest.mark.slow, pytest.mark.process]

MODULE = """
import os
from pathlib import Path
from postlude import Postlude
{before}
postlude = Postlude()

@postlude.task(name="say")
def say() -> None:
    Path("said").open("a").write(f"{text} {{os.getpid()}}\\n")
"""

ADD = """
import asyncio
from postlude import Postlude
postlude = Postlude()
@postlude.task(name="say")
def say() -> None: ...
postlude.blocking.add_task(say)
"""


def write(team: Team, text: str, before: str = "") -> None:
    (team.folder / "main.py").write_text(MODULE.format(text=text, before=before))


def said(team: Team) -> list[str]:
    """Return what the code says that runs now."""
    told = team.folder / "said"
    told.touch()
    before = told.read_text()
    subprocess.run([sys.executable, "-c", ADD], cwd=team.folder, env=team.environment(), check=True)

    def look() -> list[str] | None:
        text = told.read_text()
        return text.splitlines()[-1].split() if text != before else None

    return eventually(look, "it says something")


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_what_cannot_be_imported_is_said_once_and_ends_it(team: Team, broken: str, line: str) -> None:
    write(team, "v1", broken)
    worker = team.start("--processes", "4", application="main:postlude")
    assert worker.ends() == 1
    log = worker.log()
    assert log.count(line) == 1
    assert log.count("Traceback") == 1
    assert "cannot be started: its process ended itself with exit code 3" in log


def test_an_application_that_cannot_be_started_ends_it(team: Team) -> None:
    team.settings["broken"] = "start"
    worker = team.start("--processes", "4")
    assert worker.ends() == 1
    assert worker.log().count("RuntimeError: the pool cannot be opened") == 1
    assert len(team.notes("opens")) == 1


def test_a_journal_that_cannot_be_opened_ends_it(team: Team) -> None:
    team.store = "postgresql://nobody@127.0.0.1:1/nowhere"
    worker = team.start("--processes", "2")
    assert worker.ends() == 1
    assert worker.log().count("JournalUnavailable") == 1


def test_after_so_many_jobs_another_takes_its_place_and_none_is_lost(team: Team) -> None:
    worker = team.start("--processes", "2", "--max-jobs", "20", "--concurrency", "1")
    before = worker.run(2)
    team.add("send", *[[f"{number}", 0.01] for number in range(150)])
    eventually(lambda: len(team.notes("ends")) >= 150 or None, "all have run", 60)
    assert len(team.notes("starts")) == 150
    assert not set(before) & set(worker.run(4)), "both have been replaced, one after the other"
    log = worker.log()
    ended = [line for line in log.splitlines() if "it ends, and another takes its place" in line]
    assert {pid for pid in before if any(f"process {pid} has run " in line for line in ended)} == set(before)
    assert "ERROR" not in log
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0


def test_one_that_uses_too_much_memory_is_replaced(team: Team) -> None:
    worker = team.start("--max-memory", "20M")
    (pid,) = worker.run()
    worker.says(f"process {pid} has run 0 jobs and uses ")
    worker.run(2)
    assert pid not in worker.pids()


def test_sighup_starts_all_afresh_without_a_gap(team: Team) -> None:
    write(team, "v1")
    worker = team.start("--processes", "2", application="main:postlude")
    before = worker.run(2)
    assert said(team)[0] == "v1"
    write(team, "v2")
    worker.signal(signal.SIGHUP)
    eventually(lambda: not set(before) & set(worker.pids()) or None, "all are new")
    assert said(team)[0] == "v2"
    write(team, "v3", "raise RuntimeError('v3')")
    now = worker.pids()
    worker.signal(signal.SIGHUP)
    worker.says("a process with the new code ended itself with exit code 3; those with the old one go on")
    assert said(team)[0] == "v2"
    assert worker.pids() == now
    assert worker.log().count("RuntimeError: v3") == 1


def test_a_change_of_the_code_starts_it_afresh(team: Team) -> None:
    write(team, "v1")
    worker = team.start("--reload", application="main:postlude")
    worker.run()
    assert said(team)[0] == "v1"
    write(team, "v2", "raise RuntimeError('not yet')")
    worker.says("another is started when the code changes")
    write(team, "v2")
    worker.run(2)
    assert said(team)[0] == "v2"
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0


def test_one_that_ends_soon_again_and_again_is_started_less_and_less_often(team: Team) -> None:
    worker = team.start()
    for times, pause in enumerate(("0.5 s", "1 s", "2 s"), 1):
        (pid,) = worker.run(times)
        os.kill(pid, signal.SIGKILL)
        worker.says(f"process {pid} died with signal 9 (SIGKILL)")
        assert f"another is started in {pause}" in worker.log().splitlines()[-1]
    worker.run(4)


def test_its_health_is_told(team: Team) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = team.folder / "health"
    worker = team.start("--health", f"127.0.0.1:{port}", "--health-file", str(file), "--grace", "8")
    eventually(lambda: listens(port) or None, "it answers")
    assert ask(port, "/ready")[0] == 503
    (pid,) = worker.run()
    status, told = ask(port, "/ready")
    assert (status, told["live"], told["processes"][0]["pid"]) == (200, True, pid)
    eventually(lambda: file.exists() or None, "the file is there")
    assert json.loads(file.read_text())["ready"] is True
    assert ask(port, "/live")[0] == 200
    assert ask(port, "/other")[0] == 404
    team.add("send", ["a", 60.0])
    team.noted("starts", "a")
    worker.signal(signal.SIGTERM)
    worker.says("SIGTERM: the worker ends")
    assert ask(port, "/ready")[0] == 503
    assert ask(port, "/live")[0] == 200, "its end is in order"
    assert worker.ends() == 0
    assert not file.exists()


def test_a_place_for_health_that_is_taken(team: Team) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        worker = team.start("--health", f"127.0.0.1:{port}")
        assert worker.ends() == 1
    assert f"--health 127.0.0.1:{port}: Address already in use" in worker.log()
    assert not team.notes("opens")


def test_without_a_parent_it_runs_jobs_itself(team: Team) -> None:
    worker = team.start("--processes", "0")
    worker.says("this process is a worker")
    team.add("send", ["a"])
    (end,) = team.noted("ends-open", "a")
    assert end.pid == worker.process.pid
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0


def ask(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """Return the status of an answer, and the answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
