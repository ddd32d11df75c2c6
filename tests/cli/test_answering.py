"""Each act of the command line has an audit line, with the numbers that it has told."""

import getpass
import json
import socket

import pytest
from typer.testing import CliRunner

from postlude.cli.commands import app
from postlude.model.outcome import Failed
from postlude.stores.values import AuditLine
from postlude.testing.conformance import Driver
from postlude.testing.conformance.schedules import declare, schedule

pytestmark = pytest.mark.disk


@pytest.fixture
def driver(driver: Driver) -> Driver:
    driver.add(*[driver.new("app:send", queue="mail") for _ in range(3)])
    for claim in driver.claim(driver.enlist()):
        driver.finish(claim, Failed("ValueError: no", ""))
    return driver


def typed(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def lines(driver: Driver) -> list[AuditLine]:
    return driver.store.audit().wait(5)


def test_an_act_on_jobs_has_a_line(driver: Driver) -> None:
    told = json.loads(
        typed("retry", "--state", "failed", "--task", "send", "--limit", "2", "--yes", "--json")
    )
    (line,) = lines(driver)
    assert line.actor == f"cli:{getpass.getuser()}@{socket.gethostname()}"
    assert (line.act, line.meant) == ("retry", "--state failed --task send")
    assert (
        (line.done, line.not_done) == (sum(told["done"].values()), sum(told["not_done"].values())) == (2, 0)
    )


def test_so_has_a_pause(driver: Driver) -> None:
    typed("pause", "--queue", "mail")
    typed("resume", "--queue", "mail")
    assert [(line.act, line.meant, line.done) for line in lines(driver)] == [
        ("resume", "--queue mail", 1),
        ("pause", "--queue mail", 1),
    ]


def test_so_has_what_is_done_with_a_schedule(driver: Driver) -> None:
    declare(driver, schedule("shop:report"))
    for act in ("pause", "resume", "run"):
        typed("schedules", act, "report")
    assert [(line.act, line.meant, line.done) for line in lines(driver)] == [
        ("run", "schedule shop:report", 1),
        ("resume", "schedule shop:report", 1),
        ("pause", "schedule shop:report", 1),
    ]


def test_what_was_not_done_has_none(driver: Driver) -> None:
    typed("delete", "--all", "--dry-run")
    assert lines(driver) == []
