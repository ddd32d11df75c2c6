"""`postlude check`, as it is typed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from postlude.cli.commands import app

SOURCE = """
from fastapi import BackgroundTasks, FastAPI
from postlude import Postlude

app = FastAPI()
postlude = Postlude(app, store="memory")

@app.post("/a")
async def a(tasks: BackgroundTasks):
    tasks.add_task(lambda: None)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in ("checked_shop", "broken_shop"):
        sys.modules.pop(name, None)


def run(folder: Path, *arguments: str, source: str = SOURCE) -> Result:
    (folder / "checked_shop.py").write_text(source)
    return CliRunner().invoke(app, ["check", "checked_shop:app", "--app-dir", str(folder), *arguments])


def test_it_names_what_it_finds_and_fails_at_the_level_that_is_asked_for(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0
    assert "checked_shop.py:10:20: PL001 warning: runs in memory only" in result.output
    assert result.output.endswith("1 call looked at: 1 warning.\n")
    assert run(folder, "--fail-level", "warning").exit_code == 1
    assert run(folder, "--fail-level", "info").exit_code == 1


def test_an_error_fails(folder: Path) -> None:
    assert (
        run(
            folder,
            source=SOURCE.replace("from fastapi import Back", "from postlude.fastapi import Back").replace(
                "Tasks, FastAPI", "Tasks\nfrom fastapi import FastAPI"
            ),
        ).exit_code
        == 1
    )


def test_programs_get_one_document(folder: Path) -> None:
    document = json.loads(run(folder, "--format", "json").output)
    assert [one["rule"] for one in document["findings"]] == ["PL001"]


def test_github_gets_commands(folder: Path) -> None:
    assert run(folder, "--format", "github").output.startswith("::warning file=")


def test_a_journal_that_is_not_there_is_said(folder: Path) -> None:
    result = run(folder, "--journal", str(folder / "none.db"))
    assert result.exit_code == 2
    assert "no journal" in result.output


def test_what_cannot_be_imported_shows_the_applications_own_lines_and_last_what_helps(folder: Path) -> None:
    (folder / "broken_shop.py").write_text("def price():\n    return 1 / 0\n\nprice()\n")
    result = CliRunner().invoke(app, ["check", "broken_shop:app", "--app-dir", str(folder)])
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{folder}/broken_shop.py", line 4, in <module>'
    assert lines[-2] == "ZeroDivisionError: division by zero"
    own = "its own lines stand first in the traceback above"
    assert lines[-1] == f"postlude: broken_shop:app cannot be imported; {own}"
    assert "finding.py" not in result.output


def test_a_module_that_is_not_installed_is_named_with_what_helps(folder: Path) -> None:
    (folder / "lonely_shop.py").write_text("import teapots_of_nobody\n")
    result = CliRunner().invoke(app, ["check", "lonely_shop:app", "--app-dir", str(folder)])
    assert result.exit_code == 2
    remedy = f"install 'teapots_of_nobody' for {sys.executable}, or give --app-dir"
    assert result.output.splitlines()[-1] == f"postlude: lonely_shop:app cannot be imported; {remedy}"


def test_an_error_of_postludes_keeps_the_line_that_made_it(folder: Path) -> None:
    text = "from postlude import Postlude, Retry\npostlude = Postlude()\n"
    (folder / "wrong_shop.py").write_text(f"{text}@postlude.task(retry=Retry(attempts=0))\ndef send(): ...\n")
    result = CliRunner().invoke(app, ["check", "wrong_shop:postlude", "--app-dir", str(folder)])
    assert f'  File "{folder}/wrong_shop.py", line 3, in <module>' in result.output.splitlines()[1]
    assert "Retry(attempts=0): give a whole number, 1 or more" in result.output.splitlines()[-2]


def test_what_is_no_application(folder: Path) -> None:
    result = CliRunner().invoke(app, ["check", "nonsense", "--app-dir", str(folder)])
    assert result.exit_code == 2
    assert "write module:name" in result.output


CELERY = (
    SOURCE.replace("lambda: None", "print, 1")
    + """
from celery import Celery
celery = Celery("shop")
@celery.task(shared=False)
def early(): ...
"""
)


def test_an_application_of_celery_s_is_looked_at_if_it_is_named(folder: Path) -> None:
    done = run(folder, "--celery", "checked_shop:celery", source=CELERY)
    assert "PL010 info: checked_shop.early is acknowledged before it runs" in done.stdout
    assert "PL010" not in run(folder, source=CELERY).stdout


def test_what_is_none_of_celery_s_is_said(folder: Path) -> None:
    done = run(folder, "--celery", "checked_shop:app", source=CELERY)
    assert done.exit_code == 2
    assert "that is no application of Celery's" in done.stderr


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as `fastapi dev` is called in, which names its application."""
    (folder / "checked_shop.py").write_text(SOURCE)
    (folder / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "checked_shop:app"\n')
    monkeypatch.chdir(folder)
    return folder


def test_which_application_is_meant_is_where_fastapi_looks_for_it(project: Path) -> None:
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 0
    assert result.output.endswith("1 call looked at: 1 warning.\n")


def test_what_is_typed_goes_before_it(project: Path) -> None:
    result = CliRunner().invoke(app, ["check", "checked_shop:other"])
    assert result.exit_code == 2
    assert "checked_shop has no 'other'" in result.output


@pytest.mark.parametrize("command", ["check", "worker", "celery worker", "celery worker --loglevel=INFO"])
@pytest.mark.parametrize("toml", [None, "tool = 1", "[tool]\nfastapi = 1", "[tool.fastapi]\n"])
def test_where_nothing_says_it_what_to_write_is_said(project: Path, command: str, toml: str | None) -> None:
    file = project / "pyproject.toml"
    file.unlink() if toml is None else file.write_text(toml)
    result = CliRunner().invoke(app, command.split())
    typed = command.partition(" --")[0]
    assert result.exit_code == 2
    assert (
        f"say which application is meant: postlude {typed} main:app; or let pyproject.toml" in result.output
    )


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[tool.fastapi", "pyproject.toml cannot be read"),
        ('[tool.fastapi]\nentrypoint = "main"', "'main' does not say where the application is"),
        ("[tool.fastapi]\nentrypoint = 3", "'3' does not say where the application is"),
    ],
)
def test_a_file_that_says_nothing_that_can_be_meant(project: Path, toml: str, says: str) -> None:
    (project / "pyproject.toml").write_text(toml)
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 2
    assert says in result.output
