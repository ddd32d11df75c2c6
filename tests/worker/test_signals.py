"""How a worker comes to its end, and its processes with it."""

import ctypes
import os
import signal
import time

import pytest

from postlude import State
from tests.worker.team import Team, eventually

pytestmark = [pytest.mark.slow, pytest.mark.process]


def test_it_runs_the_jobs_of_its_queues_in_the_applications_lifespan(team: Team) -> None:
    worker = team.start("--queues", "mail,other", "--processes", "2", "--concurrency", "7")
    pids = worker.run(2)
    team.add("send", ["a"], queue="mail")
    team.add("send", ["b"], queue="default")
    (end,) = team.noted("ends-open", "a")
    assert end.pid in pids
    assert {(one.kind, one.pid, one.slots) for one in team.living()} == {("worker", pid, 7) for pid in pids}
    assert {tuple(sorted(one.queues.names)) for one in team.living()} == {("mail", "other")}
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0
    assert (
        {note.pid for note in team.notes("opens")} == {note.pid for note in team.notes("closes")} == set(pids)
    )
    assert not team.notes("starts", "b")
    assert team.living() == []


def test_its_end_waits_for_jobs_says_for_which_and_releases_the_rest(team: Team) -> None:
    worker = team.start("--concurrency", "2", "--grace", "4.5")
    worker.run()
    team.add("send", ["short", 4.0], ["long", 60.0], ["waits", 60.0])
    team.noted("starts", "long")
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0
    assert 4.4 < time.monotonic() - began < 9
    log = worker.log()
    assert "SIGTERM: the worker ends; 1 process may take up to 4.5 s" in log
    assert "waiting up to 4.5 s (Config.grace)" in log
    assert "the grace period is over, " in log
    jobs = {job.arguments.named["token"]: job for job in team.jobs() if job.arguments}
    assert jobs["short"].state is State.SUCCEEDED
    assert {(jobs[name].state, jobs[name].deaths) for name in ("long", "waits")} == {(State.QUEUED, 0)}


def test_a_second_signal_ends_it_at_once_and_nobody_is_charged(team: Team) -> None:
    worker = team.start("--processes", "2", "--grace", "60")
    pids = worker.run(2)
    team.add("block", ["a", 60.0])
    team.noted("starts", "a")
    worker.signal(signal.SIGINT)
    worker.says("waiting up to 60 s")
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 143
    assert time.monotonic() - began < 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    team.start().run()
    team.noted("starts", "a", 2)
    (job,) = team.jobs()
    assert job.deaths == 0


def test_what_jobs_have_started_ends_with_a_process_that_is_killed(team: Team) -> None:
    worker = team.start()
    worker.run()
    team.add("spawn", ["a", 60.0])
    (started,) = team.noted("child-", "a")
    pid = int(started.what.partition("-")[2])
    os.kill(started.pid, signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{pid}") or None, "it has ended")
    assert worker.process.poll() is None


def test_processes_whose_parent_is_killed_come_to_their_end(team: Team) -> None:
    worker = team.start("--processes", "2")
    pids = worker.run(2)
    team.add("send", ["a", 5.0])
    team.noted("starts", "a")
    worker.signal(signal.SIGKILL)
    worker.ends()
    eventually(lambda: not any(map(_runs, pids)) or None, "they end", 15)
    assert "this process's parent has gone: it claims nothing more" in worker.log()
    assert team.notes("ends", "a"), "it was waited for"
    assert len(team.notes("closes")) == 2


def test_one_that_does_not_come_to_its_end_is_killed(team: Team) -> None:
    worker = team.start("--processes", "2", "--grace", "0.2")
    pids = worker.run(2)
    os.kill(pids[0], signal.SIGSTOP)
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 1
    assert f"killed, as they had not ended in time: {pids[0]}" in worker.log()


def test_a_process_that_is_killed_is_replaced_and_its_jobs_run_elsewhere(team: Team) -> None:
    worker = team.start("--processes", "2")
    before = worker.run(2)
    team.add("again", ["a", 60.0])
    (first,) = team.noted("starts", "a")
    os.kill(first.pid, signal.SIGKILL)
    killed = time.monotonic()
    _, second = team.noted("starts", "a", 2)
    assert second.pid != first.pid
    assert second.at - killed < 2
    assert f"process {first.pid} died with signal 9 (SIGKILL), after" in worker.log()
    after = worker.run(3)
    assert len(after) == 2
    assert len({*before, *after}) == 3
    (job,) = team.jobs()
    assert (job.state, job.result, job.deaths) == (State.SUCCEEDED, 2, 1)


def test_one_that_is_stopped_for_three_leases_cannot_write_a_result(team: Team) -> None:
    team.settings["config"] = {"lease": 1.0, "renew_every": 0.2, "reap_every": 0.1}
    frozen = team.start()
    (loser,) = frozen.run()
    team.add("again", ["a", 10.0])
    team.noted("starts", "a")
    os.kill(loser, signal.SIGSTOP)
    stopped = time.monotonic()
    team.start().run()
    team.noted("starts", "a", 2)
    time.sleep(max(0.0, stopped + 3.0 - time.monotonic()))  # three leases, however quick that was
    os.kill(loser, signal.SIGCONT)
    team.noted("wakes", "a")
    frozen.says("this process was taken for dead")
    (job,) = team.jobs()
    assert (job.state, job.result) == (State.SUCCEEDED, 2)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return ") Z " not in stat.read()  # nobody reaps orphans here
    except OSError:
        return False


def test_as_the_first_process_of_a_container_it_takes_in_orphans(team: Team) -> None:
    """Orphans come to it as they come to process 1; dead ones that nobody waits for would stay for ever."""
    worker = team.start(prepare=adopt)
    worker.run()
    team.add("orphan", ["a"])
    (note,) = team.noted("orphan-", "a")
    pid = int(note.what.partition("-")[2])
    eventually(lambda: not os.path.exists(f"/proc/{pid}") or None, "it is gone, and not a zombie")
    worker.signal(signal.SIGTERM)
    assert worker.ends() == 0


def adopt() -> None:
    """Have this process be given what its descendants leave (PR_SET_CHILD_SUBREAPER)."""
    assert ctypes.CDLL(None).prctl(36, 1) == 0
