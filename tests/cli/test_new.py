"""`postlude new`, as it is typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from postlude.cli.commands import app


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["new", *arguments], catch_exceptions=False)


def test_it_makes_a_project_and_says_what_to_do(here: Path) -> None:
    done = run("shop")
    assert done.exit_code == 0
    assert "cd shop" in done.stdout
    assert "make run" in done.stdout
    assert "make services" not in done.stdout
    assert (here / "shop/shop/main.py").exists()


def test_what_needs_servers_is_told_to_start_them() -> None:
    assert "make services" in run("shop", "--variant", "postgres-redis").stdout


def test_a_dry_run_lists_files_and_writes_none(here: Path) -> None:
    done = run("shop", "--dry-run")
    assert done.exit_code == 0
    assert "shop/shop/main.py" in done.stdout
    assert list(here.iterdir()) == []


def test_a_name_that_is_none(here: Path) -> None:
    done = run("json")
    assert done.exit_code == 1
    assert "would hide another" in done.stderr
    assert list(here.iterdir()) == []


def test_a_variant_that_there_is_not() -> None:
    done = run("shop", "--variant", "mysql")
    assert done.exit_code == 2
    assert "postgres-rabbitmq" in done.stderr
