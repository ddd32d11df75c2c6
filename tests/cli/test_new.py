"""`postlude new`, as it is typed."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from postlude.cli.commands import app
from postlude.new import project


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


@pytest.mark.parametrize(
    ("noted", "origin"),
    [
        (None, ""),
        ({"url": "file:///srv/a%20clone", "dir_info": {"editable": True}}, "file:///srv/a%20clone"),
        ({"url": "file:///srv/postlude-1.whl", "archive_info": {}}, "file:///srv/postlude-1.whl"),
        (
            {"url": "https://example.org/p.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            "git+https://example.org/p.git@c0ffee",
        ),
    ],
)
def test_it_takes_postlude_from_where_this_one_is_from(
    here: Path, monkeypatch: pytest.MonkeyPatch, noted: object, origin: str
) -> None:
    kept = json.dumps(noted) if noted else None
    monkeypatch.setattr(project, "distribution", lambda _: SimpleNamespace(read_text=lambda _: kept))
    done = run("shop")
    made = (here / "shop/Makefile").read_text()
    if origin:
        assert f"POSTLUDE := 'postlude @ {origin}'" in made
        assert "pip install --quiet $(POSTLUDE) --editable" in made
        assert origin in done.stdout
    else:
        assert "POSTLUDE" not in made
        assert "pip install --quiet --editable" in made
        assert "package index" not in done.stdout


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
