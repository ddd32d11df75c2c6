"""`postlude verify`."""

import json
from pathlib import Path

import apsw
import pytest
from typer.testing import CliRunner, Result

from postlude.cli.commands import app
from postlude.clock import ManualClock
from postlude.testing.conformance.bench import Driver
from tests.stores.benches import SqliteBench

pytestmark = pytest.mark.disk


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a journal with two jobs is."""
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    driver.add(driver.new(), driver.new())
    driver.store.close()
    return driver.store.location


def run(place: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["verify", "--store", place, *options])


def test_nothing_is_wrong(place: str) -> None:
    told = run(place)
    assert (told.exit_code, told.stdout) == (0, "2 jobs: nothing that cannot be true.\n")
    assert json.loads(run(place, "--json").stdout) == {"jobs": 2, "found": []}


def test_what_is_wrong_is_told_with_one_such_job(place: str) -> None:
    db = apsw.Connection(place)
    db.execute("DELETE FROM payload")
    db.close()
    told = run(place)
    assert told.exit_code == 1
    assert "arguments: 2 jobs that have not ended and have no arguments; one is " in told.stdout
    (found,) = json.loads(run(place, "--json").stdout)["found"]
    assert (found["code"], found["many"], len(found["job"])) == ("arguments", 2, 36)
    assert found["job"] in told.stdout


def test_where_nothing_can_be_looked_at(tmp_path: Path) -> None:
    told = run(str(tmp_path / "nothing.db"))
    assert (told.exit_code, told.stdout) == (2, "")
    assert "postlude: " in told.stderr
