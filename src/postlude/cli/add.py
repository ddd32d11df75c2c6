"""The command that shows what an application that exists has to change: `postlude add`."""

from pathlib import Path
from typing import Annotated

import typer

from postlude.cli.exits import errors_in_one_line
from postlude.cli.panels import SET_UP
from postlude.cli.text import escaped
from postlude.messages.quoting import quoted
from postlude.new.adding import changed, difference
from postlude.new.project import CannotMake


def add_add(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=SET_UP)(add)


def add(
    file: Annotated[Path, typer.Argument(help="The file that makes the application: main.py.")],
    app: Annotated[str | None, typer.Option(help="Its name there, if there are several.")] = None,
    router: Annotated[bool, typer.Option(help="With routes that tell how a job is doing.")] = True,
    dashboard: Annotated[bool, typer.Option(help="With the dashboard, for who sits at the machine.")] = True,
) -> None:
    """Show what an application has to change, and change nothing.

    What is printed is a diff: postlude add main.py | git apply
    """
    with errors_in_one_line():
        try:
            before = file.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise CannotMake(f"{quoted(str(file))} cannot be read: {error}") from error
        try:
            after = changed(before, app=app, router=router, dashboard=dashboard)
        except CannotMake as error:
            raise CannotMake(f"{file}: {error}") from error
    typer.echo(escaped(difference(before, after, file.as_posix()), keep="\n\r\t"), nl=False)
    extras = "fastapi,cli,dashboard" if dashboard else "fastapi,cli"
    typer.echo(f'Nothing has been changed. It needs: pip install "postlude[{extras}]"', err=True)
