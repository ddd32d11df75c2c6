"""The command that looks for what is certain to be wrong with an application, by its code."""

from collections.abc import Callable
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from postlude.app.finding import NoApplication, find, imported, trace_of, why_not
from postlude.check.checking import check as look_at
from postlude.check.finding import Level, Report
from postlude.check.report import as_github, as_json, as_text
from postlude.cli.application import meant
from postlude.cli.exits import Exit
from postlude.cli.journal import reading
from postlude.cli.options import ApplicationArgument
from postlude.cli.panels import CHECK
from postlude.cli.text import escaped
from postlude.errors import PostludeError

T = TypeVar("T")


class Format(StrEnum):
    """Who reads the report."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


_WRITES: Final[dict[Format, Callable[[Report, Path], str]]] = {
    Format.TEXT: lambda report, directory: escaped(as_text(report, directory), keep="\n"),
    Format.JSON: as_json,
    Format.GITHUB: as_github,
}
_LEVELS: Final = (Level.INFO, Level.WARNING, Level.ERROR)


def add_check(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=CHECK)(check)


def check(
    application: ApplicationArgument = None,
    app_dir: Annotated[Path, typer.Option(help="Where its modules are looked for first.")] = Path(),
    journal: Annotated[
        str | None, typer.Option(help="Also look for waiting jobs of this journal that the code cannot run.")
    ] = None,
    celery: Annotated[
        str | None,
        typer.Option(help="Also look at an application of Celery's, which is moved from: shop.celery:app."),
    ] = None,
    format: Annotated[Format, typer.Option(help="Who reads the report.")] = Format.TEXT,
    fail_level: Annotated[Level, typer.Option(help="Exit with 1 if something is so bad, or worse.")] = (
        Level.ERROR
    ),
) -> None:
    """Import an application, and look for what is certain to be wrong with its tasks."""
    try:
        postlude = _imported(meant(application, "check"), app_dir, find)
        other = None if celery is None else _celery(celery, app_dir)
        with nullcontext() if journal is None else reading(journal) as opened:
            report = look_at(postlude, postlude.application, opened, other)
    except PostludeError as error:
        typer.echo(f"postlude: {escaped(str(error))}", err=True)
        raise typer.Exit(Exit.USAGE) from error
    typer.echo(_WRITES[format](report, Path.cwd()))
    if any(_LEVELS.index(one.severity) >= _LEVELS.index(fail_level) for one in report.findings):
        raise typer.Exit(Exit.FAILED)


def _celery(text: str, directory: Path) -> Any:
    """Import an application of Celery's.

    Raises:
        NoApplication: it is none, or cannot be imported.
    """
    found = _imported(text, directory, imported)
    if not hasattr(found, "tasks") or not hasattr(found, "conf"):
        raise NoApplication(f"--celery {text}: that is no application of Celery's")
    return found


def _imported(application: str, directory: Path, find: Callable[[str, str], T]) -> T:
    """Import an application.

    Raises:
        NoApplication: it is none, or cannot be imported: then the error has been told with its traceback.
    """
    try:
        return find(application, str(directory.absolute()))
    except NoApplication:
        raise
    except BaseException as error:
        typer.echo(trace_of(error), err=True, nl=False)
        raise NoApplication(why_not(application, error)) from error
