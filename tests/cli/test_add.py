"""`postlude add`, as it is typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from postlude.cli.commands import app

SOURCE = "from fastapi import FastAPI\n\napp = FastAPI()\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.py").write_text(SOURCE)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["add", *arguments], catch_exceptions=False)


def test_it_shows_a_diff_and_changes_nothing(here: Path) -> None:
    done = run("main.py")
    assert done.exit_code == 0
    assert done.stdout.startswith("--- a/main.py\n+++ b/main.py\n")
    assert "+postlude = Postlude(app)\n" in done.stdout
    assert done.stdout.endswith("\n")
    assert 'pip install "postlude[fastapi,cli,dashboard]"' in done.stderr
    assert (here / "main.py").read_text() == SOURCE


def test_parts_are_left_out_when_they_are_not_wanted() -> None:
    done = run("main.py", "--no-router", "--no-dashboard")
    assert "include_router" not in done.stdout
    assert "mount" not in done.stdout
    assert 'pip install "postlude[fastapi,cli]"' in done.stderr


def test_a_file_that_is_not_there() -> None:
    done = run("none.py")
    assert done.exit_code == 1
    assert "cannot be read" in done.stderr


def test_a_file_without_an_application(here: Path) -> None:
    (here / "main.py").write_text("x = 1\n")
    done = run("main.py")
    assert done.exit_code == 1
    assert "main.py: no application is made here" in done.stderr
