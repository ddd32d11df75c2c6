"""The commands that act, on real journals: numbers told are numbers done."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from postlude.cli import acting
from postlude.cli.commands import app
from postlude.errors import JournalUnavailable
from postlude.jobs import bulk
from postlude.jobs import plan as plans
from postlude.jobs.plan import Plan
from postlude.model.ids import id_text
from postlude.model.job import JobFilter, NewJob
from postlude.model.outcome import Failed, Parked, Succeeded
from postlude.model.state import Reason, State
from postlude.stores.protocol import Store
from postlude.testing.conformance import Driver

pytestmark = pytest.mark.disk
PROGRAM = [sys.executable, "-c", "from postlude.cli import main; main()"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def states(driver: Driver, *jobs: NewJob) -> list[State]:
    return [driver.record(job).state for job in jobs]


def failed(driver: Driver, *jobs: NewJob, error: str = "ValueError: no") -> None:
    driver.add(*jobs)
    for claim in driver.claim(driver.enlist()):
        driver.finish(claim, Failed(error, ""))


@pytest.fixture
def five(driver: Driver) -> dict[str, NewJob]:
    """One job in each of the states that an act may meet."""
    names = ("failed", "succeeded", "parked", "running", "queued")
    jobs = {name: driver.new(f"shop:{name}") for name in names}
    for name, end in (
        ("failed", Failed("ValueError: no", "")),
        ("succeeded", Succeeded(None)),
        ("parked", Parked(Reason.UNKNOWN_TASK, "r1")),
    ):
        driver.add(jobs[name])
        driver.finish(driver.claim_one(driver.enlist()), end)
    driver.add(jobs["running"])
    driver.claim(driver.enlist())
    driver.add(jobs["queued"])
    return jobs


@pytest.mark.parametrize(
    ("act", "done", "left", "after"),
    [
        (
            "retry",
            "1 retried",
            "1 running, 1 queued, 1 parked, 1 succeeded",
            {"failed": State.QUEUED},
        ),
        (
            "cancel",
            "2 cancelled; 1 asked to stop",
            "1 failed, 1 succeeded",
            {"queued": State.CANCELLED, "parked": State.CANCELLED},
        ),
        ("delete", "2 deleted", "1 running, 1 queued, 1 parked", {"failed": None, "succeeded": None}),
    ],
)
def test_each_act_leaves_alone_what_it_is_not_for(
    driver: Driver, five: dict[str, NewJob], act: str, done: str, left: str, after: dict[str, State | None]
) -> None:
    result = run(act, *(id_text(job.id) for job in five.values()), "--yes")
    assert result.exit_code == 0
    *_, told, last = result.stdout.splitlines()
    assert set(told.removeprefix("left alone: ").split(", ")) == set(left.split(", "))
    assert set(last.split("; ")) == set(done.split("; "))
    for name, job in five.items():
        record = driver.store.get(job.id).wait(5)
        found = None if record is None else record.state
        assert found == after.get(name, State(name)), name


def test_without_states_a_filter_means_those_that_the_act_is_for(
    driver: Driver, five: dict[str, NewJob]
) -> None:
    result = run("cancel", "--all", "--yes")
    assert (result.exit_code, "left alone" in result.stdout) == (0, False)
    assert states(driver, five["queued"], five["parked"]) == [State.CANCELLED, State.CANCELLED]


@pytest.mark.parametrize(
    "wanted",
    [
        ["--error", "mailbox full"],
        ["--key", "k"],
        ["--owner", "ada"],
        ["--arg", "order=7"],
        ["--queue", "mail"],
        ["--task", "send"],
        ["--since", "2026-01-01T00:00:10"],
        ["--state", "failed", "--task", "shop:send"],
        ["--limit", "1", "--all"],
    ],
)
def test_the_filter_is_that_of_jobs(driver: Driver, wanted: list[str]) -> None:
    other = driver.new("shop:other")
    failed(driver, other)
    driver.clock.advance(10)
    meant = driver.new("shop:send", queue="mail", key="k", owner="ada", payload=b'{"a":[],"k":{"order":7}}')
    failed(driver, meant, error="SMTPException: mailbox full")
    listing = [part for part in wanted if part != "--all"]
    (shown,) = json.loads(run("jobs", "--json", *listing).stdout)["jobs"]
    assert shown["id"] == id_text(meant.id)
    assert run("retry", *wanted).exit_code == 0
    assert states(driver, meant, other) == [State.QUEUED, State.FAILED]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["retry"], 2, "say which jobs"),
        (["cancel", "abcd", "--queue", "mail"], 2, "not both"),
        (["retry", "--arg", "order"], 2, "give name=value"),
        (["retry", "--since", "yesterday"], 2, "--since 'yesterday': give 30m, 2h, 7d, or a date"),
        (["retry", "--until", "999999999w"], 2, "--until"),
        (["retry", "--state", "failed"], 3, "no job is meant"),
        (["delete", "0199b7c4-0000-7000-8000-000000000000"], 3, "no job has the id"),
        (["cancel", "--task", "sned"], 3, "no task called sned has any job; did you mean shop:send?\n"),
        (["pause"], 2, "say what is meant"),
        (["pause", "--queue", "a", "--task", "b"], 2, "say what is meant"),
        (["pause", "--queue", "mial"], 3, "no job has the queue mial"),
        (["pause", "--task", "bill"], 3, "no task called bill has any job; these have: shop:send"),
        (["resume", "--queue", "mail"], 4, "queue mail is not paused; paused is: nothing"),
    ],
)
def test_what_says_too_little_or_means_nothing(
    driver: Driver, arguments: list[str], code: int, says: str
) -> None:
    driver.add(driver.new("shop:send"))
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("typed", [lambda id: id[:12], lambda id: id[-6:]], ids=["beginning", "end"])
def test_one_job_is_not_asked_about(driver: Driver, typed: Callable[[str], str]) -> None:
    job = driver.new("shop:send")
    failed(driver, job)
    result = run("retry", typed(id_text(job.id)))
    assert (result.exit_code, result.stdout) == (0, "retry: 1 job (1 failed)\n1 retried\n")


def test_too_late(driver: Driver) -> None:
    job = driver.new()
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()))
    result = run("cancel", id_text(job.id))
    assert (result.exit_code, result.stdout) == (4, "left alone: 1 succeeded\n")
    assert result.stderr == "postlude: nothing to cancel\n"


@pytest.mark.parametrize("how", [["--dry-run"], ["--dry-run", "--yes"]])
def test_a_dry_run_tells_all_and_does_nothing(driver: Driver, how: list[str]) -> None:
    jobs = [driver.new("shop:send") for _ in range(7)]
    failed(driver, *jobs)
    result = run("retry", "--all", *how)
    first, *samples, more = result.stdout.splitlines()
    assert (result.exit_code, first, more) == (0, "retry: 7 jobs (7 failed)", "  … and 2 more")
    assert len(samples) == acting.SAMPLES
    assert samples[0].split()[:3] == [id_text(jobs[-1].id), "failed", "shop:send"]
    assert samples[0].endswith("ValueError: no")
    assert states(driver, *jobs) == [State.FAILED] * 7


def test_as_many_as_are_shown_are_all(driver: Driver) -> None:
    failed(driver, *[driver.new("shop:send") for _ in range(acting.SAMPLES)])
    lines = run("retry", "--all", "--dry-run").stdout.splitlines()
    assert (len(lines), [line for line in lines if "more" in line]) == (1 + acting.SAMPLES, [])


def test_many_need_a_yes_where_nobody_can_be_asked(driver: Driver) -> None:
    jobs = [driver.new(), driver.new()]
    failed(driver, *jobs)
    result = run("delete", "--state", "failed")
    assert result.exit_code == 4
    assert "not confirmed" in result.stderr
    assert states(driver, *jobs) == [State.FAILED, State.FAILED]


def test_json_is_alone_on_standard_output(driver: Driver) -> None:
    jobs = [driver.new(), driver.new()]
    failed(driver, *jobs)
    result = run("retry", "--all", "--yes", "--json")
    assert json.loads(result.stdout) == {
        "act": "retry", "dry_run": False, "meant": 2, "done": {"retried": 2}, "not_done": {},
        "left_alone": {}, "jobs": [id_text(jobs[1].id), id_text(jobs[0].id)],
    }  # fmt: skip
    assert "2 retried" in result.stderr


def test_a_key_that_is_taken_keeps_no_other_from_being_retried(driver: Driver) -> None:
    jobs = [driver.new(key=key) for key in ("a", "b", "c")]
    failed(driver, *jobs)
    driver.add(driver.new(key="b"))
    result = run("retry", "--state", "failed", "--yes")
    assert result.stdout.splitlines()[-1] == "2 retried; 1 not: another job has the key"
    assert states(driver, *jobs) == [State.QUEUED, State.FAILED, State.QUEUED]


class Meddling:
    """An act during which other things happen to the jobs that are meant."""

    def __init__(self, act: bulk.Act, meanwhile: Callable[[Store, Sequence[bytes]], None]) -> None:
        self.verb, self.states = act.verb, act.states
        self._act, self._meanwhile = act, meanwhile

    def __call__(self, store: Any, ids: Sequence[bytes], acted: bulk.Acted) -> None:
        self._meanwhile(store, ids)
        self._act(store, ids, acted)


def test_jobs_that_end_meanwhile_are_not_counted_as_done(driver: Driver) -> None:
    driver.add(*(driver.new() for _ in range(4)))

    def first_is_cancelled(store: Store, ids: Sequence[bytes]) -> None:
        store.cancel(ids[:1]).wait(5)

    act = Meddling(bulk.Cancelling(), first_is_cancelled)
    found = driver.store.find(JobFilter()).wait(5)
    said: list[str] = []
    plan = Plan.of(act, found)
    done = acting.carry_out(plan, driver.store, dry_run=False, yes=True, say=said.append)
    assert said[-1] == "3 cancelled; 1 not: had ended"
    assert (done["done"], done["not_done"]) == ({"cancelled": 3}, {"had ended": 1})


def test_jobs_that_come_later_are_not_caught(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "PIECE", 2)
    driver.add(*(driver.new() for _ in range(5)))
    late: list[NewJob] = []

    def another_comes(store: Store, ids: Sequence[bytes]) -> None:
        late.append(driver.new())
        driver.add(late[-1])

    plan = Plan.of(Meddling(bulk.Cancelling(), another_comes), driver.store.find(JobFilter()).wait(5))
    acting.carry_out(plan, driver.store, dry_run=False, yes=True, say=lambda line: None)
    assert len(late) == 3
    assert states(driver, *late) == [State.QUEUED] * 3


def test_interrupted_in_the_middle_it_says_how_far_it_came(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "PIECE", 2)
    jobs = [driver.new() for _ in range(5)]
    driver.add(*jobs)
    pieces = iter((False, True))

    def somebody_interrupts(store: Store, ids: Sequence[bytes]) -> None:
        if next(pieces):
            os.kill(os.getpid(), signal.SIGINT)

    act = Meddling(bulk.Cancelling(), somebody_interrupts)
    plan = Plan.of(act, driver.store.find(JobFilter()).wait(5))
    said: list[str] = []
    with pytest.raises(typer.Exit) as stopped:
        acting.carry_out(plan, driver.store, dry_run=False, yes=True, say=said.append)
    assert stopped.value.exit_code == 130
    assert said[-2:] == ["4 cancelled", "interrupted: the rest was left alone"]
    assert states(driver, *jobs).count(State.CANCELLED) == 4


def test_interrupted_twice_it_does_not_wait_for_the_journal(driver: Driver) -> None:
    jobs = [driver.new() for _ in range(3)]
    driver.add(*jobs)

    def somebody_insists(store: Store, ids: Sequence[bytes]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    act = Meddling(bulk.Cancelling(), somebody_insists)
    plan = Plan.of(act, driver.store.find(JobFilter()).wait(5))
    said: list[str] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts tests may have it ignored
    with pytest.raises(typer.Exit) as stopped:
        acting.carry_out(plan, driver.store, dry_run=False, yes=True, say=said.append)
    assert stopped.value.exit_code == 130
    assert said[-1] == "interrupted: up to 500 jobs more may be done, the rest was left alone"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_the_journal_fails_in_the_middle_it_says_how_far_it_came(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "PIECE", 2)
    driver.add(*(driver.new() for _ in range(5)))
    pieces = iter((False, True))

    def the_disk_fails(store: Store, ids: Sequence[bytes]) -> None:
        if next(pieces):
            raise JournalUnavailable("the disk is full")

    act = Meddling(bulk.Cancelling(), the_disk_fails)
    plan = Plan.of(act, driver.store.find(JobFilter()).wait(5))
    said: list[str] = []
    with pytest.raises(JournalUnavailable):
        acting.carry_out(plan, driver.store, dry_run=False, yes=True, say=said.append)
    assert said[-1] == "2 cancelled"


def test_pausing_a_queue_and_a_task(driver: Driver) -> None:
    driver.add(driver.new("shop:send", queue="mail"), driver.new("shop:bill"))
    assert run("pause", "--queue", "mail").stdout == "queue mail is paused\n"
    assert run("pause", "--task", "bill").stdout == "task shop:bill is paused\n"
    assert run("pause", "--queue", "mail").exit_code == 4
    assert driver.claim(driver.enlist()) == []
    assert run("resume", "--queue", "mail").stdout == "queue mail goes on\n"
    assert run("resume", "--task", "bill").stdout == "task shop:bill goes on\n"
    assert len(driver.claim(driver.enlist())) == 2


def test_an_act_makes_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("retry", "--all", "--yes", "--store", "nowhere.db")
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "no journal at" in result.stderr


def test_a_journal_of_an_older_release_is_not_migrated(driver: Driver, tmp_path: Path) -> None:
    driver.store.close()
    with sqlite3.connect("postlude.db") as db:
        db.execute("UPDATE meta SET value = value - 1 WHERE key = 'version'")
    before = Path("postlude.db").read_bytes()
    result = run("retry", "--all", "--yes")
    assert result.exit_code == 1
    assert "was made by an older release" in result.stderr
    assert Path("postlude.db").read_bytes() == before


@pytest.mark.process
@pytest.mark.parametrize(("answer", "code", "state"), [(b"y\n", 0, State.QUEUED), (b"n\n", 4, State.FAILED)])
def test_on_a_terminal_it_asks(driver: Driver, answer: bytes, code: int, state: State) -> None:
    jobs = [driver.new(), driver.new()]
    failed(driver, *jobs)
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [*PROGRAM, "retry", "--all"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    os.write(ours, answer)
    _, asked = program.communicate(timeout=60)
    os.close(ours)
    assert b"Retry 2 jobs? [y/N]" in asked
    assert (program.returncode, states(driver, *jobs)) == (code, [state, state])


@pytest.mark.process
def test_killed_in_the_middle_no_job_is_half_done(driver: Driver, tmp_path: Path) -> None:
    """Whatever was answered is done, and whatever was not is as it was."""
    jobs = [driver.new() for _ in range(3000)]
    driver.add(*jobs)
    code = (
        "import os, signal, sys\n"
        "from postlude.cli import main\n"
        "from postlude.jobs import bulk\n"
        "act, left = bulk.Cancelling.__call__, [3]\n"
        "def killed(*args):\n"
        "    left[0] -= 1\n"
        "    if left[0] == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    act(*args)\n"
        "bulk.Cancelling.__call__ = killed\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "cancel", "--all", "--yes"], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert states(driver, *jobs).count(State.CANCELLED) == 2 * bulk.PIECE
    assert run("cancel", "--all", "--yes").stdout.splitlines()[-1] == "2,000 cancelled"
