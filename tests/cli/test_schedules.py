"""`postlude schedules`, on a real journal."""

import json

import pytest
from typer.testing import CliRunner, Result

from postlude.cli.commands import app
from postlude.model.ids import id_text
from postlude.model.job import JobFilter
from postlude.model.terms import Conflict, Terms
from postlude.testing.conformance import Driver
from postlude.testing.conformance.schedules import declare, fire, schedule

pytestmark = pytest.mark.disk


@pytest.fixture
def driver(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setenv("COLUMNS", "200")
    declare(
        driver,
        schedule("shop:report", rule="0 7 * * *", zone="Europe/Paris"),
        schedule("shop:sync", terms=Terms(key="sync", conflict=Conflict.RAISE)),
    )
    return driver


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["schedules", *arguments], catch_exceptions=False)


def test_they_are_listed_with_what_is_next_and_what_was_last(driver: Driver) -> None:
    driver.clock.advance(60)
    (time,) = fire(driver).times
    assert time.job is not None
    found = run()
    assert found.exit_code == 0
    report, sync = found.output.splitlines()[1:3]
    assert report.split() == [
        "shop:report", "0", "7", "*", "*", "*", "(Europe/Paris)", "2026-01-01", "07:00:00", "CET", "-"
    ]  # fmt: skip
    assert sync.split() == [
        "shop:sync", "@every", "60", "2026-01-01", "00:02:00Z", "2026-01-01", "00:01:00Z", "queued"
    ]  # fmt: skip
    told = json.loads(run("--json").output)["schedules"]
    assert [one["name"] for one in told] == ["shop:report", "shop:sync"]
    assert told[1]["last"] == {
        "due": "2026-01-01T00:01:00+00:00", "ran": True, "job": id_text(time.job), "state": "queued"
    }  # fmt: skip
    assert (told[0]["next"], told[0]["paused"], told[0]["last"]) == ("2026-01-01T06:00:00+00:00", None, None)


def test_a_time_that_has_no_job_is_told(driver: Driver) -> None:
    driver.clock.advance(60)
    fire(driver)
    driver.clock.advance(60)
    fire(driver)
    assert "missed, or its key was taken" in run().output


def test_nothing_in_force_is_said_with_what_declares_it(driver: Driver) -> None:
    declare(driver)
    assert run().output == (
        "No schedules are in force: an application that has some (@postlude.cron, @postlude.every) "
        "declares them when it starts.\n"
    )
    assert json.loads(run("--json").output) == {"schedules": []}


def test_one_is_paused_and_resumed_by_its_functions_name(driver: Driver) -> None:
    assert run("pause", "report").output == "schedule shop:report is paused\n"
    again = run("pause", "shop:report")
    assert (again.exit_code, again.stderr) == (4, "postlude: schedule shop:report is paused already\n")
    assert "paused since 20" in run().output
    assert run("resume", "report").output == "schedule shop:report goes on\n"
    again = run("resume", "report")
    assert (again.exit_code, again.stderr) == (4, "postlude: schedule shop:report is not paused\n")


def test_one_is_run_by_hand(driver: Driver) -> None:
    told = run("run", "report").output.split()
    (job,) = driver.store.page(JobFilter()).wait(5)
    assert told == ["added:", id_text(job.id)]
    made = json.loads(run("run", "report", "--json").output)
    assert made["job"] in {id_text(job.id) for job in driver.store.page(JobFilter()).wait(5)}
    assert made["joined"] is False


def test_a_key_that_is_taken_is_told(driver: Driver) -> None:
    declare(driver, schedule("shop:sync"), schedule("merged", terms=Terms(key="one")))
    run("run", "merged")
    assert run("run", "merged").output.startswith("another job has its key, and stands for this one: ")


@pytest.mark.parametrize("command", ["pause", "resume", "run"])
def test_a_slip_of_the_pen_says_what_there_is(driver: Driver, command: str) -> None:
    found = run(command, "shop:reprot")
    assert found.exit_code == 3
    assert found.stderr == "postlude: no schedule 'shop:reprot' is in force; near to it: shop:report\n"
