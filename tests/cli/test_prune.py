"""`postlude prune`, on real journals: what is kept no longer is told, and that is what is deleted."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

from postlude.cli import acting
from postlude.cli.commands import app
from postlude.clock import SECOND, SystemClock
from postlude.model.ids import id_text
from postlude.model.job import NewJob
from postlude.model.outcome import Failed, Outcome, Succeeded
from postlude.testing.conformance import Driver

pytestmark = pytest.mark.disk
FAILED = Failed("ValueError: no", "")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["prune", *arguments], catch_exceptions=False)


def ended(driver: Driver, *outcomes: Outcome) -> list[NewJob]:
    """Add jobs that end so, an hour apart; return an hour after the last."""
    jobs = [driver.new() for _ in outcomes]
    for job, outcome in zip(jobs, outcomes, strict=True):
        driver.add(job)
        driver.finish(driver.claim_one(driver.enlist()), outcome)
        driver.clock.advance(3600)
    return jobs


def left(driver: Driver, jobs: list[NewJob]) -> list[int]:
    return [place for place, job in enumerate(jobs) if driver.store.get(job.id).wait(5) is not None]


def date(driver: Driver, hours: float) -> str:
    """Return the moment so many hours from now."""
    return datetime.fromtimestamp(driver.clock.now() / SECOND + hours * 3600, UTC).isoformat()


@pytest.mark.parametrize(
    ("typed", "stays"),
    [
        (["--succeeded-before", "-2.5"], [1, 3, 4, 5]),
        (["--failed-before", "-2.5"], [0, 2, 4, 5]),
        (["--failed-before", "-1.5"], [0, 2, 5]),
        (["--keep-succeeded", "1"], [1, 3, 4, 5]),
        (["--keep-failed", "1"], [0, 2, 4, 5]),
        (["--keep-succeeded", "0", "--keep-failed", "0"], []),
        (["--keep-failed", "2", "--failed-before", "-4.5"], [0, 2, 3, 4, 5]),
        (["--succeeded-before", "-5.5", "--keep-succeeded", "2"], [1, 2, 3, 4, 5]),
    ],
)
def test_what_is_kept_no_longer_goes(driver: Driver, typed: list[str], stays: list[int]) -> None:
    jobs = ended(driver, Succeeded(None), FAILED, Succeeded(None), FAILED, FAILED, Succeeded(None))
    typed = [
        date(driver, float(word)) if word.startswith("-") and word[1].isdigit() else word for word in typed
    ]
    waiting = driver.new()
    driver.add(waiting)
    gone = 6 - len(stays)
    result = run(*typed, "--yes")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"{gone} deleted")
    assert left(driver, [*jobs, waiting]) == [*stays, 6]


@pytest.mark.parametrize(("typed", "gone"), [("90m", 1), ("1m", 2), ("150m", 0)])
def test_so_long_ago_counts_from_now(driver: Driver, typed: str, gone: int) -> None:
    clock = driver.clock
    clock.advance((SystemClock().now() - clock.now()) / SECOND - 2 * 3600)
    jobs = ended(driver, Succeeded(None), Succeeded(None))  # two hours ago, and one
    assert run("--succeeded-before", typed, "--yes").exit_code == (0 if gone else 3)
    assert left(driver, jobs) == [0, 1][gone:]


def test_it_tells_first_and_asks(driver: Driver) -> None:
    jobs = ended(driver, Succeeded(None), FAILED)
    told = "prune: 2 jobs (1 succeeded, 1 failed)"
    result = run("--keep-succeeded", "0", "--keep-failed", "0")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (4, told)
    result = run("--keep-succeeded", "0", "--keep-failed", "0", "--dry-run")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, told)
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [
        id_text(job.id) for job in reversed(jobs)
    ]
    assert left(driver, jobs) == [0, 1]
    assert driver.store.audit().wait(5) == []


def test_it_has_an_audit_line(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "PIECE", 2)
    ended(driver, *[FAILED] * 5)
    done = json.loads(run("--keep-failed", "0", "--failed-before", "1h", "--yes", "--json").stdout)
    assert (done["act"], done["meant"], done["done"]) == ("prune", 5, {"deleted": 5})
    (line,) = driver.store.audit().wait(5)
    assert (line.act, line.meant) == ("prune", "--failed-before 1h --keep-failed 0")
    assert (line.done, line.not_done) == (5, 0)


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ([], 2, "postlude: say what is kept no longer: --succeeded-before 1d"),
        (["--failed-before", "soon"], 2, "postlude: --failed-before 'soon': give 30m, 2h, 7d, or a date"),
        (["--keep-failed", "3"], 3, "postlude: no job is meant"),
        (["--keep-failed", "-1"], 2, "Invalid value for '--keep-failed'"),
        (["--keep-failed", "1", "--store", "nowhere.db"], 1, "no journal at"),
    ],
)
def test_what_cannot_be_done(driver: Driver, typed: list[str], code: int, said: str) -> None:
    ended(driver, FAILED)
    result = run(*typed)
    assert result.exit_code == code
    assert said in result.stderr
