"""`postlude move`: what it says, and how it ends. What it does is tested with the stores."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from postlude.cli.commands import app
from postlude.clock import ManualClock
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance import Driver, StoreBench

pytestmark = pytest.mark.disk


class Bench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return SqliteStore(Path("old.db"), clock=clock)


@pytest.fixture(autouse=True)
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have three jobs in `old.db`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    driver = Driver(Bench(), ManualClock())
    driver.add(*(driver.new() for _ in range(3)))
    driver.store.close()


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["move", *arguments], input=typed, catch_exceptions=False)


def test_it_says_what_it_has_done() -> None:
    done = run("old.db", "sqlite:///new.db")
    assert done.exit_code == 0
    assert done.output.startswith(
        f"3 jobs moved from {Path('old.db').absolute()} to {Path('new.db').absolute()}"
    )
    assert "Set POSTLUDE_STORE to the new one" in done.output
    again = run("old.db", "sqlite:///new.db")
    assert (again.exit_code, "has been moved to" in again.output) == (0, True)


def test_as_json() -> None:
    told = json.loads(run("old.db", "new.db", "--json").output)
    assert (told["rows"]["job"], told["rows"]["payload"], told["again"]) == (3, 3, False)
    assert Path(told["target"]) == Path("new.db").absolute()


def test_the_target_is_what_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (said := run("old.db")).exit_code == 2
    assert "say where to" in said.output
    monkeypatch.setenv("POSTLUDE_STORE", "sqlite:///new.db")
    assert run("old.db").exit_code == 0
    assert Path("new.db").exists()


def test_to_itself() -> None:
    assert (said := run("old.db", "sqlite:///old.db")).exit_code == 2
    assert "are both" in said.output


def test_what_has_no_journal() -> None:
    assert (said := run("old.db", "memory")).exit_code == 1
    assert "keeps no journal that could be moved" in said.output
    assert (said := run("none.db", "new.db")).exit_code == 1
    assert "no journal at" in said.output
    assert not Path("new.db").exists()


def test_used_again() -> None:
    assert run("old.db", "--undo", "--yes").exit_code == 4, "it has not been moved"
    run("old.db", "new.db")
    asked = run("old.db", "--undo")
    assert (asked.exit_code, "would run twice" in asked.output) == (4, True)
    with pytest.raises(Exception, match="has been moved"):
        Bench().make(ManualClock()).open()
    assert run("old.db", "--undo", "--yes").exit_code == 0
    store = Bench().make(ManualClock())
    store.open()
    store.close()


@pytest.mark.process
def test_on_a_terminal_it_says_how_far_it_is() -> None:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-c", "from postlude.cli import main; main()", "move", "old.db", "new.db"]
    done = subprocess.run(program, stderr=theirs, stdout=subprocess.PIPE, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    rows = json.loads(run("new.db", "newer.db", "--json").output)["rows"]
    assert f"{2 * sum(rows.values())}/{2 * sum(rows.values())}" in shown.replace(" ", "")


def test_migrate_makes_it_or_brings_it_to_its_form() -> None:
    for place in ("new.db", "new.db", "old.db"):
        done = CliRunner().invoke(app, ["migrate", "--store", place], catch_exceptions=False)
        assert (done.exit_code, done.output) == (
            0,
            f"{Path(place).absolute()} has the form of this release\n",
        )
    done = CliRunner().invoke(app, ["migrate", "--store", "memory"], catch_exceptions=False)
    assert (done.exit_code, "keeps no journal" in done.output) == (1, True)
