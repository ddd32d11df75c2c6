"""The command that makes a new project: `postlude new`."""

from pathlib import Path
from typing import Annotated

import typer

from postlude.cli.exits import errors_in_one_line
from postlude.cli.panels import SET_UP
from postlude.cli.text import escaped
from postlude.new.files import files, write
from postlude.new.project import Project, Variant, source


def add_new(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=SET_UP)(new)


def new(
    name: Annotated[str, typer.Argument(help="The project's, its folder's and its package's name: shop.")],
    variant: Annotated[
        Variant,
        typer.Option(help="Where jobs are kept, and with which broker Celery runs those of one queue."),
    ] = Variant.SQLITE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files.")] = False,
) -> None:
    """Make a new project in a folder of its own: an application with tasks, tests and a dashboard.

    It runs as it is: `make run`, `make test`.
    """
    with errors_in_one_line():
        project = Project(name, variant)
        if dry_run:
            for path, text in files(project).items():
                typer.echo(f"{escaped(name)}/{path}  {len(text.splitlines())} lines")
            return
        folder = write(project, Path.cwd())
    typer.echo(f"{folder.name}/ is made: cd {folder.name}, then")
    if variant.postgres:
        typer.echo("  make services   # in containers; or name what you have in .env (make .env writes it)")
    typer.echo("  make run\n  make test")
    if origin := source():
        typer.echo(
            f"Its Makefile has Postlude from {escaped(origin)}, where yours is from. "
            "The Dockerfile and the workflow take it from a package index."
        )
