"""The `postlude` command, on real journals."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from postlude.cli.commands import app
from postlude.cli.display import print_jobs
from postlude.cli.text import exactly, when
from postlude.clock import SECOND, ManualClock
from postlude.jobs.inspector import JobStatus
from postlude.model.ids import id_text
from postlude.model.job import JobFilter, NewJob, Progress, ProgressNote
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Failed, LogLine, Parked, Succeeded
from postlude.model.state import Reason
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance import Driver, StoreBench

pytestmark = pytest.mark.disk

ALL = "id state task queue attempt created finished error"

ATTACK = "\x1b[31mred\x1b]0;title\x07\u202egnp\u2028\x9b1m\x7f"


class Bench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return SqliteStore(Path("postlude.db"), clock=clock)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    return tmp_path


@pytest.fixture
def driver(folder: Path) -> Iterator[Driver]:
    driver = Driver(Bench(), ManualClock())
    yield driver
    driver.store.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def refused(*arguments: str, code: int = 1) -> str:
    """Run what must fail in one line on standard error; return the line."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("postlude: ")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def ended_badly(driver: Driver, error: str, traceback: str) -> NewJob:
    job = driver.new("shop:mail", payload=b'{"a":[7],"k":{"name":"Ada"}}')
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), Failed(error, traceback))
    return job


def test_jobs_lists_the_newest_first(driver: Driver) -> None:
    jobs = [driver.new("shop:first"), driver.new("shop:second")]
    driver.add(*jobs)
    result = run("jobs")
    assert result.exit_code == 0
    heading, newest, oldest, totals = result.stdout.splitlines()
    assert totals == "In all: 2 queued."
    assert heading.split() == ["id", "state", "task", "queue", "attempt", "created", "finished"]
    assert newest.split()[:5] == [id_text(jobs[1].id), "queued", "shop:second", "default", "1"]
    assert oldest.split()[0] == id_text(jobs[0].id)


def test_a_long_task_name_is_not_cut_in_a_pipe(driver: Driver) -> None:
    name = "shop.orders.background.mails:send_the_receipt_of_an_order"
    driver.add(driver.new(name))
    assert name in run("jobs").stdout


def test_a_table_says_that_there_are_more(driver: Driver) -> None:
    driver.add(*(driver.new(name) for name in "abc"))
    assert "--limit" not in run("jobs", "--limit", "3").stdout
    *listed, more, totals = run("jobs", "--limit", "2").stdout.splitlines()
    assert [line.split()[2] for line in listed[1:]] == ["c", "b"]
    assert more == "These are the newest 2; --limit shows more."
    assert totals == "In all: 3 queued."


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "In all: 1,001 queued, 1 failed, 1 cancelled."),
        (["--state", "failed"], "In all: 1 failed."),
        (["--state", "failed", "--state", "queued"], "In all: 1,001 queued, 1 failed."),
        (["--state", "running"], "No jobs."),
        (["--task", "a"], "In all: 1,001 queued, 1 cancelled."),
        (["--task", "unheard-of"], "No task called unheard-of has any job; these have: a, shop:mail"),
        (
            ["--task", "mial"],
            "No task called mial has any job; did you mean shop:mail? These have: a, shop:mail",
        ),
    ],
)
def test_a_table_says_how_many_there_are_in_all(driver: Driver, options: list[str], expected: str) -> None:
    ended_badly(driver, "ValueError: no", "no")
    jobs = [driver.new("a") for _ in range(1002)]
    driver.add(*jobs)
    driver.store.cancel([jobs[0].id]).wait(5)
    assert run("jobs", "--limit", "1", *options).stdout.splitlines()[-1] == expected


def test_a_queue_of_which_there_are_no_jobs_is_told(driver: Driver) -> None:
    driver.add(driver.new("a", queue="mail"))
    assert run("jobs", "--queue", "mial").stdout == "No jobs.\nNo job has the queue mial\n"
    assert run("jobs", "--queue", "mail", "--state", "failed").stdout == "No jobs.\n"


def test_there_is_no_tally_of_a_queue(driver: Driver) -> None:
    driver.add(driver.new("a", queue="mail"))
    assert "In all" not in run("jobs", "--queue", "mail").stdout


def test_an_empty_journal(driver: Driver) -> None:
    assert run("jobs").stdout == run("jobs", "--task", "send").stdout == "No jobs.\n"
    assert json.loads(run("jobs", "--json").stdout) == {"jobs": [], "next": None}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["c", "b", "a"]),
        (["--limit", "2"], ["c", "b"]),
        (["--state", "cancelled"], ["a"]),
        (["--task", "b"], ["b"]),
        (["--queue", "mail"], ["c"]),
        (["--state", "running"], []),
        (["--state", "running", "--state", "cancelled", "--state", "queued"], ["c", "b", "a"]),
    ],
)
def test_filters_and_json(driver: Driver, options: list[str], expected: list[str]) -> None:
    jobs = [driver.new("a"), driver.new("b"), driver.new("c", queue="mail")]
    driver.add(*jobs)
    driver.store.cancel([jobs[0].id]).wait(5)
    listed = json.loads(run("jobs", "--json", *options).stdout)["jobs"]
    assert [job["task"] for job in listed] == expected
    assert all(job["error"] is None and "attempts" not in job for job in listed)


def test_a_page_with_errors_has_a_column_for_them(driver: Driver) -> None:
    ended_badly(driver, f"ValueError: {'no' * 30}{ATTACK}", "no")
    driver.add(driver.new("fine"))
    heading, fine, failed, _ = run("jobs").stdout.splitlines()
    assert heading.split()[-1] == "error"
    assert f"ValueError: {'no' * 30}\\x1b" in failed
    assert fine.split()[2:5] == ["fine", "default", "1"]
    assert [job["error"] for job in json.loads(run("jobs", "--json").stdout)["jobs"]] == [
        None,
        f"ValueError: {'no' * 30}{ATTACK}",
    ]
    assert "error" not in run("jobs", "--task", "fine").stdout


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (50, "id state task"),
        (60, "id state task"),
        (70, "id state task queue"),
        (84, "id state task error"),
        (102, "id state task queue attempt error"),
        (103, "id state task created error"),
        (125, "id state task created finished error"),
        (160, "id state task queue attempt created finished error"),
    ],
)
def test_a_narrow_terminal_gets_the_columns_that_matter(driver: Driver, width: int, expected: str) -> None:
    ended_badly(driver, "ValueError: " + "no" * 40, "no")
    jobs = [JobStatus.of(record) for record in driver.store.page(JobFilter()).wait(5)]
    out = Console(width=width, file=StringIO())
    print_jobs(out, jobs)
    assert isinstance(out.file, StringIO)
    heading, *lines = out.file.getvalue().splitlines()
    assert heading.split() == expected.split()
    assert len(heading) <= width
    missing = [name for name in ALL.split() if name not in expected.split()]
    if missing:
        assert lines.pop() == f"Too narrow for {', '.join(missing)}; --json has all."
    if "error" in heading:
        (line,) = lines
        assert line.rstrip().endswith("no…") or line.rstrip().endswith("n…"), "it is cut, not broken"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("send", ["shop.mail:send"]),
        ("shop.mail:send", ["shop.mail:send"]),
        ("Report.build", ["shop:Report.build"]),
        ("build", ["shop:Report.build"]),
        ("bare", ["bare"]),
        ("mail", []),
        ("", []),
    ],
)
def test_a_task_is_found_by_the_name_of_its_function(driver: Driver, typed: str, expected: list[str]) -> None:
    names = ["shop.mail:send", "shop:Report.build", "bare", "shop:bare"]
    driver.add(*(driver.new(name) for name in names))
    listed = json.loads(run("jobs", "--json", "--task", typed).stdout)["jobs"]
    assert [job["task"] for job in listed] == expected


def test_a_function_of_several_modules_must_be_told_apart(driver: Driver) -> None:
    driver.add(driver.new("shop:send"), driver.new("post:send"))
    assert "give one of post:send, shop:send" in refused("jobs", "--task", "send", code=2)


def test_what_was_typed_does_not_act_on_the_terminal(driver: Driver) -> None:
    driver.add(driver.new(ATTACK))
    shown = run("jobs", "--task", ATTACK + "x").stdout
    assert not {c for c in shown if not c.isprintable() and c != "\n"}


def test_very_many_tasks_are_not_all_listed(driver: Driver) -> None:
    driver.add(*(driver.new(f"shop:task{number:02}") for number in range(12)))
    hint = run("jobs", "--task", "nothing").stdout.splitlines()[-1]
    assert hint.endswith("shop:task08, shop:task09, and 2 more")


def test_a_job_is_found_by_how_its_id_begins(driver: Driver) -> None:
    driver.add(driver.new("shop:first"))
    driver.clock.advance(3600)
    second = driver.new("shop:second")
    driver.add(second)
    id = id_text(second.id)
    for start in (id[:13], id[:13].upper(), id[:-1], id.replace("-", "")[:31]):
        assert json.loads(run("show", "--json", start).stdout)["task"] == "shop:second", start
    assert "several jobs begin with 019b" in refused("show", "019b", code=2)
    assert "no job's id begins with 0000" in refused("show", "0000", code=3)
    assert "'019' is too little of an id; give at least 4 digits of it" in refused("show", "019", code=2)
    assert "'01x' is not the id of a job" in refused("show", "01x", code=3)
    assert "'' is not the id of a job" in refused("show", "", code=3)


def test_a_job_is_found_by_how_its_id_ends(driver: Driver) -> None:
    ends = ("0000aaaa1111", "0000bbbb1111", "0000bbbb2222")
    for number, end in enumerate(ends):
        job = driver.new(f"shop:{number}")
        driver.add(job._replace(id=job.id[:10] + bytes.fromhex(end)))
    for end, task in (("aaaa1111", "shop:0"), ("BBBB1111", "shop:1"), ("2222", "shop:2")):
        assert json.loads(run("show", "--json", end).stdout)["task"] == task, end
    assert "several jobs end with 1111" in refused("show", "1111", code=2)
    told = refused("show", "cccc", code=3)
    assert "no job's id begins with cccc, and of the newest 100,000 none ends with it" in told


def test_a_job_is_found_by_how_an_id_begins_that_joined_it(driver: Driver) -> None:
    first = driver.new(key="k")
    driver.add(first)
    driver.clock.advance(3600)
    second = driver.new(key="k")
    driver.add(second)
    for start in (id_text(second.id)[:13], id_text(first.id)[:13]):
        assert json.loads(run("show", "--json", start).stdout)["id"] == id_text(first.id), start
    assert json.loads(run("show", "--json", "019b").stdout)["id"] == id_text(first.id), "both are one job's"


def test_a_running_job_tells_when_it_started(driver: Driver) -> None:
    job, runner = driver.new(), driver.enlist()
    driver.add(job)
    claim = driver.claim_one(runner)
    assert "started" not in run("show", id_text(job.id)).stdout
    driver.clock.advance(2)
    driver.start(runner, claim)
    assert "started   2026-01-01 00:00:02.000Z" in run("show", id_text(job.id)).stdout


@pytest.mark.parametrize("options", [["--limit", "0"], ["--limit", str(2**63 - 1)], ["--state", "sleeping"]])
def test_wrong_options_are_usage_errors(driver: Driver, options: list[str]) -> None:
    assert run("jobs", *options).exit_code == 2


def test_show(driver: Driver) -> None:
    job = ended_badly(driver, "ValueError: no", "Traceback:\n\there\nValueError: no")
    result = run("show", id_text(job.id))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert f"id        {id_text(job.id)}" in lines
    assert "state     failed" in lines
    assert 'arguments 7, name="Ada"' in lines
    assert "error     ValueError: no" in lines
    assert lines[-4].startswith("attempt 1: 2025-12-31 23:59:59.000Z to 2026-01-01 00:00:00.000Z")
    assert lines[-3] == "Traceback:"
    assert lines[-1] == "ValueError: no"


def test_show_tells_whose_it_is(driver: Driver) -> None:
    adas, nobodys = driver.new(owner="ada"), driver.new()
    driver.add(adas, nobodys)
    assert "owner     ada" in run("show", id_text(adas.id)).stdout.splitlines()
    assert "owner" not in run("show", id_text(nobodys.id)).stdout


def test_show_what_a_run_has_left(driver: Driver) -> None:
    job = driver.new("shop:mail", key=f"a{ATTACK}")
    driver.add(job)
    runner = driver.enlist()
    first = driver.claim_one(runner)
    said = LogLine(driver.clock.now(), 30, "shop", f"twice\n{ATTACK}")
    driver.store.finish([driver.finish_of(first, driver.failed(retry_after=0), (said,))]).wait(5)
    driver.promote()
    second = driver.claim_one(runner)
    progress = Progress(3, 10, f"orders{ATTACK}", driver.clock.now())
    driver.store.progress([ProgressNote(second.seq, second.fence, progress)]).wait(5)
    done = Succeeded(json.dumps({"name": ATTACK}, ensure_ascii=False).encode())
    driver.store.finish([driver.finish_of(second, done, (LogLine(said.at, 20, "shop", "sent"),))]).wait(5)
    shown = run("show", id_text(job.id)).stdout
    assert not {c for c in shown if not c.isprintable() and c != "\n"}
    lines = shown.splitlines()
    for start in ("key       a\\x1b", "progress  3 of 10 orders\\x1b", 'result    {"name": "'):
        assert any(line.startswith(start) for line in lines), (start, shown)
    place = lines.index("  2026-01-01 00:00:00.000Z WARNING  shop: twice")
    assert lines[place + 1].startswith("    \\x1b[31mred")
    assert lines[-2:] == ["attempt 2:", "  2026-01-01 00:00:00.000Z INFO     shop: sent"]
    as_json = json.loads(run("show", id_text(job.id), "--json").stdout)
    assert (as_json["result"], as_json["logs"][1]["message"]) == ({"name": ATTACK}, "sent")
    (listed,) = json.loads(run("jobs", "--json").stdout)["jobs"]
    assert not {"result", "logs", "attempts"} & listed.keys()


def test_a_job_that_is_asked_to_stop(driver: Driver) -> None:
    job = driver.new()
    driver.add(job)
    driver.claim_one(driver.enlist())
    driver.cancel(job)
    assert "state     running (asked to stop)" in run("show", id_text(job.id)).stdout.splitlines()


def test_why_the_jobs_of_a_queue_wait(driver: Driver) -> None:
    century = 100 * 365 * 86_400 * SECOND  # the command goes by the machine's clock
    driver.declare(DeclaredLimits("queue", "limited", 1), DeclaredLimits("queue", "rated", every=century))
    driver.pause("queue", "paused")
    for queue in ("limited", "rated", "paused", "free"):
        driver.add(driver.new("shop:first", queue=queue), driver.new("shop:second", queue=queue))
    driver.claim(driver.enlist())
    waiting = [job for job in json.loads(run("jobs", "--json").stdout)["jobs"] if job["state"] == "queued"]
    found = {(job["queue"], job["reason"]) for job in waiting}
    assert found == {("limited", "limit"), ("rated", "rate"), ("paused", "paused")}
    for job in waiting:
        said = f"queued ({job['reason']})"
        assert f"state     {said}" in run("show", job["id"]).stdout.splitlines()
        assert said in run("jobs", "--queue", job["queue"]).stdout


def test_why_a_job_is_parked(driver: Driver) -> None:
    job = driver.new("shop:send")
    driver.add(job)
    why = "shop:send: missing a required argument: 'to'\x1b[2J"
    driver.finish(driver.claim_one(driver.enlist()), Parked(Reason.INVALID_ARGUMENTS, "r1", why))
    shown = run("show", id_text(job.id)).stdout
    assert "because   shop:send: missing a required argument: 'to'\\x1b[2J" in shown
    assert "missing a required argument" in run("jobs").stdout
    told = json.loads(run("show", id_text(job.id), "--json").stdout)
    assert (told["note"], "max_attempts" in told) == (why, False), "only the application knows how many"


def test_a_journal_that_no_release_with_notes_has_opened(tmp_path: Path) -> None:
    """Looking migrates nothing."""
    kept = Path(__file__).parent.parent / "stores" / "golden" / "v1.journal"
    old = shutil.copyfile(kept, tmp_path / "old.db")
    result = run("jobs", "--store", str(old), "--state", "parked")
    assert (result.exit_code, "shop:parked" in result.stdout) == (0, True)
    assert sqlite3.connect(old).execute(
        "SELECT count(*) FROM sqlite_master WHERE name = 'note'"
    ).fetchone() == (0,)


def test_deaths_are_said_in_words(driver: Driver) -> None:
    job = driver.new()
    driver.add(job)
    for deaths, bound in ((1, "; after 3 it fails"), (2, "; after 3 it fails"), (3, "")):
        driver.die_in(job)
        said = f"deaths    {deaths} that no other job could be the cause of{bound}"
        assert said in run("show", id_text(job.id)).stdout.splitlines()
    assert json.loads(run("show", id_text(job.id), "--json").stdout)["deaths"] == 3


def test_show_as_json(driver: Driver) -> None:
    job = ended_badly(driver, "ValueError: no", "Traceback")
    shown = json.loads(run("show", id_text(job.id), "--json").stdout)
    assert (shown["id"], shown["state"], shown["error"]) == (id_text(job.id), "failed", "ValueError: no")
    assert shown["arguments"] == {"positional": [7], "named": {"name": "Ada"}}
    assert shown["attempts"][0]["traceback"] == "Traceback"


def test_stored_text_does_not_act_on_the_terminal(driver: Driver) -> None:
    payload = json.dumps({"a": [ATTACK], "k": {ATTACK: 1}}, ensure_ascii=False).encode()
    job = driver.new(f"task[red]{ATTACK}", queue=ATTACK, payload=payload)
    driver.add(job)
    driver.finish(driver.claim_one(driver.enlist()), Failed(ATTACK, f"line\n{ATTACK}"))
    id = id_text(job.id)
    for arguments in (["jobs"], ["show", id], ["jobs", "--json"], ["show", id, "--json"]):
        shown = run(*arguments).stdout
        assert not {c for c in shown if not c.isprintable() and c != "\n"}, arguments
        assert "1b[31mred" in shown.replace("\n", ""), arguments
    assert "task[red]" in run("show", id).stdout


def test_the_journal_comes_from_the_option_or_the_variable(
    driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    driver.add(driver.new("shop:mail"))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    refused("jobs")
    for store in (f"{folder}/postlude.db", f"sqlite:///{folder}/postlude.db"):
        assert "shop:mail" in run("jobs", "--store", store).stdout
    monkeypatch.setenv("POSTLUDE_STORE", f"sqlite:///{folder}/postlude.db")
    assert "shop:mail" in run("jobs").stdout


def test_a_directory_is_no_journal(folder: Path) -> None:
    (folder / "data").mkdir()
    assert refused("jobs", "--store", "data").endswith(
        "data is a directory; give the path of the journal in it\n"
    )


def test_the_version() -> None:
    found = CliRunner().invoke(app, ["--version"])
    assert (found.exit_code, found.output) == (0, f"postlude {version('postlude')}\n")


@pytest.mark.parametrize("command", [["jobs"], ["show", "0199b7c4-0000-7000-8000-000000000000"]])
def test_a_missing_journal_is_said_and_not_made(folder: Path, command: list[str]) -> None:
    assert f"no journal at {folder}/postlude.db" in refused(*command)
    assert list(folder.iterdir()) == []


def test_a_foreign_file_is_refused_and_left_alone(folder: Path) -> None:
    foreign = folder / "notes.db"
    foreign.write_bytes(b"not a database at all" * 100)
    before = foreign.read_bytes()
    assert "notes.db" in refused("jobs", "--store", "notes.db")
    assert foreign.read_bytes() == before


def odd_places(folder: Path) -> Iterator[str]:
    """Give what is no journal, each in a way of its own."""
    store = SqliteStore(folder / "good.db")
    store.open()
    store.close()
    good = (folder / "good.db").read_bytes()
    for name, content in {
        "empty": b"",
        "text": b"hello " * 1000,
        "start": good[:50],
        "half": good[: len(good) // 2],
        "noise": good[:100] + b"\xa5" * 5000 + good[5100:],
    }.items():
        (folder / f"{name}.db").write_bytes(content)
        yield f"{name}.db"
    os.mkfifo(folder / "pipe.db")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.db")
    (folder / "loop.db").symlink_to("loop.db")
    (folder / "nowhere.db").symlink_to("missing.db")
    yield from (
        "pipe.db",
        "socket.db",
        "loop.db",
        "nowhere.db",
        "/dev/null",
        "x" * 100_000,
        "é" * 300,
        "a\nb",
    )
    yield from ("sqlite:", "sqlite:///" + "x" * 100_000, "redis://x", "\udcff")


def test_what_is_no_journal_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in odd_places(tmp_path):
        for command in (["jobs"], ["jobs", "--json"], ["show", "0199"]):
            assert len(refused(*command, "--store", place)) < 2_000


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE meta SET value = 99 WHERE key = 'min_reader'",
        "UPDATE meta SET value = 'x' WHERE key = 'version'",
        "UPDATE meta SET value = -1 WHERE key = 'version'",
        "DELETE FROM meta",
        "DROP TABLE meta",
        "DROP TABLE job",
        "DROP TABLE stat",
    ],
)
def test_a_journal_of_another_form_is_refused_in_one_line(driver: Driver, folder: Path, change: str) -> None:
    driver.store.close()
    with sqlite3.connect(folder / "postlude.db") as db:
        db.execute(change)
    db.close()
    refused("jobs")
    refused("show", "0199", code=3 if change == "DROP TABLE stat" else 1)


@pytest.mark.parametrize("typed", ["", "x" * 100_000, "é", "\udcff", "*", "%"])
def test_any_name_may_be_typed(driver: Driver, typed: str) -> None:
    driver.add(driver.new())
    for option in ("--task", "--queue"):
        result = run("jobs", option, typed)
        assert (result.exit_code, "No jobs." in result.stdout, len(result.stdout) < 1_000) == (0, True, True)


@pytest.mark.parametrize("store", ["memory", "off", "postgresql://ada:hunter2@localhost/shop", "sqlite://x"])
def test_stores_without_a_file_are_refused(store: str) -> None:
    assert "hunter2" not in refused("jobs", "--store", store)


@pytest.mark.parametrize("id", ["0199b7c4-0000-7000-8000-000000000000", "nonsense"])
def test_an_unknown_job(driver: Driver, id: str) -> None:
    assert id in refused("show", id, code=3)


@pytest.mark.process
def test_the_program_has_help() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from postlude.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "jobs" in done.stdout
    assert "show" in done.stdout


@pytest.mark.process
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_that_cannot_write_a_name_has_it_escaped(driver: Driver, encoding: str) -> None:
    driver.add(driver.new("shop:任务"))
    program = [sys.executable, "-c", "from postlude.cli import main; main()"]
    for command in ("jobs", "show"):
        id = [id_text(driver.store.page(JobFilter()).wait()[0].id)] if command == "show" else []
        done = subprocess.run(
            [*program, command, *id],
            capture_output=True,
            timeout=60,
            env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "COLUMNS": "200"},
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert ("shop:任务" if encoding == "utf-8" else r"shop:\u4efb\u52a1") in done.stdout.decode(encoding)


@pytest.mark.process
@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_remedy_is_named(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from postlude.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "postlude: the command line needs an extra: pip install 'postlude[cli]'\n"


def test_times_are_shown_as_exactly_as_they_are_needed() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 6789, tzinfo=UTC)
    assert (when(time), exactly(time)) == ("2026-01-02 03:04:05Z", "2026-01-02 03:04:05.006Z")


def test_show_names_the_queue_and_says_that_there_are_no_arguments(driver: Driver) -> None:
    job = driver.new(queue="mail", payload=b'{"a":[],"k":{}}')
    driver.add(job)
    lines = [line.split() for line in run("show", id_text(job.id)).stdout.splitlines()]
    assert ["queue", "mail"] in lines
    assert ["arguments", "(none)"] in lines


def test_it_says_that_not_all_were_searched_unless_they_were(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postlude.cli.commands.SEARCHED", 1)
    driver.add(driver.new(), driver.new())
    told = "The newest 1 of 2 jobs were searched; --search-all looks at all."
    assert told in run("jobs", "--key", "k").stdout.splitlines()
    assert told in run("jobs", "--queue", "default", "--limit", "1").stdout.splitlines()
    assert told not in run("jobs", "--key", "k", "--search-all").stdout.splitlines()
    assert told not in run("jobs").stdout.splitlines()


def test_the_help_has_four_panels_and_each_command_is_in_one() -> None:
    found = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    panels: dict[str, list[str]] = {}
    for line in found.splitlines():
        if line.startswith("╭─"):
            panels[line.strip("╭─╮ ")] = []
        elif line.startswith("│ ") and line[2] != " ":
            panels[list(panels)[-1]].append(line.split()[1])
    assert {name: commands for name, commands in panels.items() if name != "Options"} == {
        "Look": ["jobs", "show", "queues", "tasks", "processes", "watch", "schedules"],
        "Act": ["retry", "cancel", "delete", "prune", "pause", "resume"],
        "Check": ["doctor", "check", "verify"],
        "Set up": ["new", "add", "worker", "dashboard", "migrate", "move", "celery"],
    }
    assert "--install-completion" in panels["Options"]
