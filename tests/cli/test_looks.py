"""Queues, tasks, processes, the journal's health, and watching it, on real journals."""

import json
import os
import re
import shutil
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from postlude.cli import doctor
from postlude.cli.commands import app
from postlude.clock import SystemClock
from postlude.model.job import Claim, NewJob
from postlude.model.outcome import Failed, Finish, Outcome, Parked, Succeeded
from postlude.model.queues import only
from postlude.model.state import Reason
from postlude.model.terms import Terms
from postlude.stores.protocol import Enlisted, Kind, NewRunner, Pause
from postlude.stores.sqlite import SqliteStore

pytestmark = pytest.mark.disk


class Journal:
    """A journal with the machine's clock, as commands see it."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path)
        self.store.open()
        self._made = 0

    def add(
        self, task: str = "shop:send", queue: str = "default", *, ago: float = 0, after: float = 0
    ) -> NewJob:
        self._made += 1
        now = SystemClock().now()
        due = now + round(after * 1e6) if after else None
        id, terms = self._made.to_bytes(16), Terms(due=due)
        job = NewJob(id, task, queue, b"{}", now - round(ago * 1e6), terms)
        self.store.add([job]).wait(5)
        return job

    def enlist(self, **options: object) -> Enlisted:
        return self.store.enlist(NewRunner("r1", 15, **options)).wait(5)  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    journal = Journal(tmp_path / "postlude.db")
    yield journal
    journal.store.close()


def end(journal: Journal, outcome: Outcome, ago: float = 0) -> Claim:
    """End the job that is ready, so many seconds ago."""
    runner = journal.enlist().runner
    (claim,) = journal.store.claim(runner, 1, suspect=False).wait(5).claims
    at = SystemClock().now() - round(ago * 1e6)
    finish = Finish(claim.seq, claim.fence, claim.task, at, at, outcome)
    assert journal.store.finish([finish]).wait(5) == [True]
    return claim


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def table(*arguments: str) -> list[list[str]]:
    return [line.split() for line in run(*arguments).stdout.splitlines()]


def test_nothing_to_see(journal: Journal) -> None:
    assert run("queues").stdout == "Nothing waits or runs.\n"
    assert run("tasks").stdout == "No task has jobs.\n"
    assert run("processes").stdout == "No process runs jobs.\n"
    assert run("doctor").stdout == "Nothing was found.\n"


def test_queues(journal: Journal) -> None:
    journal.add(queue="mail", ago=300)
    journal.add(queue="mail", after=60)
    journal.add()
    journal.store.pause(Pause("queue", "mail")).wait(5)
    heads, first, second = table("queues")
    assert heads == ["queue", "ready", "scheduled", "blocked", "running", "parked", "oldest"]
    assert first[:2] == ["default", "1"]
    assert second == ["mail", "paused", "1", "1", "5", "min"]
    told = json.loads(run("queues", "--json").stdout)["queues"]
    assert [one["name"] for one in told] == ["default", "mail"]
    assert (told[1]["paused"], told[1]["ready"], told[1]["scheduled"]) == (True, 1, 1)


def test_tasks(journal: Journal) -> None:
    journal.add("shop:bill")
    journal.add("shop:send", after=60)
    journal.store.pause(Pause("task", "shop:bill")).wait(5)
    assert table("tasks") == [["task", "queued"], ["shop:bill", "1", "paused"], ["shop:send", "1"]]
    told = json.loads(run("tasks", "--json").stdout)["tasks"]
    assert told[0]["name"] == "shop:bill"
    assert (told[0]["paused"], told[0]["queued"], told[0]["running"]) == (True, 1, 0)


def test_processes(journal: Journal) -> None:
    runner = journal.enlist(kind=Kind.WORKER, slots=8, queues=only({"mail"}))
    journal.add(queue="mail")
    journal.store.claim(runner.runner, 1, suspect=False).wait(5)
    heads, shown = table("processes")
    assert heads == ["kind", "host", "pid", "since", "release", "queues", "slots", "holds"]
    assert (shown[0], shown[2], shown[-4:]) == (
        "worker",
        str(os.getpid()),
        ["r1", "mail", "8", "1"],
    )
    (told,) = json.loads(run("processes", "--json").stdout)["processes"]
    assert (told["kind"], told["pid"], told["slots"], told["holds"]) == ("worker", os.getpid(), 8, 1)
    assert told["release"] == "r1"


def deaf(journal: Journal) -> None:
    """Have a worker of Celery's that has heard its broker, and does not any more."""
    number = journal.enlist(kind=Kind.ENGINE, slots=0, queues=only({"mail"})).runner
    for hears in (True, False):
        journal.store.renew(number, hears=hears).wait(5)
        time.sleep(0.001)
    (one,) = journal.store.living().wait(5)
    assert one.deaf is not None


def test_a_worker_that_hears_nothing_is_told_of(journal: Journal) -> None:
    deaf(journal)
    heads, shown = table("processes")
    assert heads[-1] == "holds"
    assert shown[-4:] == ["deaf", "for", "0", "s"]
    (told,) = json.loads(run("processes", "--json").stdout)["processes"]
    assert 0 < told["deaf"] < 60
    assert codes(journal) == ["worker-deaf"]
    assert (
        "was given nothing for 0 s although its broker has messages for mail" in run("doctor", code=1).stdout
    )


def test_a_release_that_nobody_tells_has_no_column(journal: Journal) -> None:
    journal.store.enlist(NewRunner("", 15)).wait(5)
    heads, shown = table("processes")
    assert heads == ["kind", "host", "pid", "since", "queues", "slots", "holds"]
    assert shown[-2:] == ["all", "0"]
    assert json.loads(run("processes", "--json").stdout)["processes"][0]["release"] is None


def test_all_times_in_json_have_one_form(journal: Journal) -> None:
    journal.add()
    journal.enlist()
    looks = ["jobs"], ["queues"], ["processes"], ["watch", "--looks", "1"]
    for text in (run(*look, "--json").stdout for look in looks):
        times = re.findall(r'"\d{4}-\d\d-\d\dT[^"]*"', text)
        assert times
        assert [time for time in times if not time.endswith('Z"')] == []


def codes(journal: Journal) -> list[str]:
    found = json.loads(run("doctor", "--json", code=1).stdout)["findings"]
    assert all(one["says"] and one["remedy"] for one in found)
    return [one["code"] for one in found]


def test_nobody_runs_jobs(journal: Journal) -> None:
    journal.add()
    assert codes(journal) == ["nobody-runs"]
    assert (
        "1 job to run, and no process runs jobs\n  start the application's server"
        in run("doctor", code=1).stdout
    )
    journal.enlist(kind=Kind.INLINE)
    assert codes(journal) == ["nobody-runs"], "one inside a request runs its own"
    journal.enlist()
    run("doctor")


def test_jobs_of_a_process_that_has_died_wait_for_one_too(journal: Journal) -> None:
    journal.add()
    dies = journal.enlist()
    assert len(journal.store.claim(dies.runner, 1, suspect=False).wait(5).claims) == 1
    run("doctor")
    journal.store.close()  # without retiring it, as a killed process does
    assert codes(journal) == ["nobody-runs"]
    assert "1 job to run, and no process runs jobs" in run("doctor", code=1).stdout


def test_a_job_that_a_request_runs_itself_waits_for_nobody(journal: Journal) -> None:
    journal.add()
    inline = journal.enlist(kind=Kind.INLINE)
    assert len(journal.store.claim(inline.runner, 1, suspect=False).wait(5).claims) == 1
    run("doctor")


def test_a_queue_that_nobody_serves(journal: Journal) -> None:
    journal.add(queue="mail")
    journal.enlist(kind=Kind.WORKER, queues=only({"default"}))
    assert codes(journal) == ["queue-unserved"]
    journal.enlist(kind=Kind.WORKER, queues=only({"mail"}))
    run("doctor")


def test_two_releases(journal: Journal) -> None:
    journal.enlist()
    journal.store.enlist(NewRunner("r2", 15)).wait(5)
    assert codes(journal) == ["two-releases"]


def test_what_waits_long_and_what_is_paused(journal: Journal) -> None:
    journal.enlist()
    journal.add(ago=2 * doctor.LONG.total_seconds())
    journal.add(queue="mail")
    journal.store.pause(Pause("queue", "mail")).wait(5)
    assert codes(journal) == ["waits-long", "paused"]


def test_parked_jobs(journal: Journal) -> None:
    runner = journal.enlist()
    journal.add("shop:gone")
    (claim,) = journal.store.claim(runner.runner, 1, suspect=False).wait(5).claims
    outcome = Parked(Reason.UNKNOWN_TASK, "r1")
    journal.store.finish([Finish(claim.seq, claim.fence, claim.task, 1, 2, outcome)]).wait(5)
    assert codes(journal) == ["parked"]
    assert "1 job parked (unknown_task), of shop:gone" in run("doctor", code=1).stdout


def test_a_full_disk_and_a_long_wal(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 2**40, doctor.LEAST_FREE - 1))
    assert codes(journal) == ["disk-full"]
    assert "disk-full: 199 MiB are free for the journal" in run("doctor", code=1).stdout
    wal = Path("postlude.db-wal")
    os.truncate(wal, 256 * 1024**2)  # what SQLite has not written is empty
    assert codes(journal) == ["disk-full"]
    os.truncate(wal, 256 * 1024**2 + 1)
    assert "long-wal: the WAL has 256 MiB: a program keeps" in run("doctor", code=1).stdout


def test_what_cannot_be_looked_at_is_no_clean_bill(tmp_path: Path) -> None:
    result = run("doctor", "--store", str(tmp_path / "nowhere.db"), code=2)
    assert (result.stdout, "no journal at" in result.stderr) == ("", True)


def test_watching(journal: Journal) -> None:
    runner = journal.enlist()
    journal.add("shop:send")
    journal.add("shop:later", after=60)
    journal.store.claim(runner.runner, 1, suspect=False).wait(5)
    shown = run("watch", "--looks", "1").stdout
    assert "1 queued, 1 running; 1 process" in shown
    assert "shop:send" in shown
    first, second = map(
        json.loads, run("watch", "--json", "--looks", "2", "--every", "0.1").stdout.splitlines()
    )
    assert (first["jobs"]["running"], first["ended_per_second"]) == (1, {})
    assert second["ended_per_second"] == {"succeeded": 0.0, "failed": 0.0, "cancelled": 0.0}


def test_what_has_ended_is_told_by_the_second(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = journal.enlist()
    for _ in range(3):
        journal.add()
    claims = journal.store.claim(runner.runner, 3, suspect=False).wait(5).claims

    def they_end(seconds: float) -> None:
        journal.store.finish(
            [Finish(claim.seq, claim.fence, claim.task, 1, 2, Succeeded(None)) for claim in claims]
        ).wait(5)

    monkeypatch.setattr("postlude.cli.watch.time.sleep", they_end)
    *_, last = run("watch", "--json", "--looks", "2", "--every", "2").stdout.splitlines()
    assert json.loads(last)["ended_per_second"]["succeeded"] == 1.5


def test_what_was_pruned_meanwhile_has_ended_too(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.add()
    claim = end(journal, Succeeded(None))

    def it_goes(seconds: float) -> None:
        journal.add()
        end(journal, Succeeded(None))
        journal.store.delete([claim.id]).wait(5)

    monkeypatch.setattr("postlude.cli.watch.time.sleep", it_goes)
    *_, last = run("watch", "--json", "--looks", "2", "--every", "2").stdout.splitlines()
    assert json.loads(last)["ended_per_second"]["succeeded"] == 0.5


def test_a_look_that_takes_its_time_is_no_burst(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.add()
    times = iter([100.0, 140.0])
    monkeypatch.setattr("postlude.cli.watch.time.monotonic", lambda: next(times, 140.0))

    def it_ends(seconds: float) -> None:
        end(journal, Succeeded(None))

    monkeypatch.setattr("postlude.cli.watch.time.sleep", it_ends)
    *_, last = run("watch", "--json", "--looks", "2", "--every", "2").stdout.splitlines()
    assert json.loads(last)["ended_per_second"]["succeeded"] == 1 / 40


def test_what_has_failed_lately_is_shown_in_groups(journal: Journal) -> None:
    for _ in range(2):
        journal.add()
        end(journal, Failed("ValueError: no", ""))
    journal.add("shop:old")
    end(journal, Failed("OldError: no", ""), ago=700)
    heads, row = [line.split() for line in run("watch", "--looks", "1").stdout.splitlines()[-2:]]
    assert (heads, row) == (["failed", "lately", "jobs", "error", "at"], ["shop:send", "2", "ValueError"])
    told = json.loads(run("watch", "--json", "--looks", "1").stdout)
    assert told["failures"] == [{"task": "shop:send", "kind": "ValueError", "place": "", "jobs": 2}]
