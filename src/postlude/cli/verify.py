"""`postlude verify`: whether what a journal has can be true."""

from uuid import UUID

import typer

from postlude.cli.display import console, print_json
from postlude.cli.exits import Exit
from postlude.cli.journal import reading
from postlude.cli.options import JsonOption, StoreOption
from postlude.cli.panels import CHECK
from postlude.cli.text import counted, escaped
from postlude.errors import PostludeError
from postlude.stores.location import DEFAULT_LOCATION
from postlude.stores.values import Contradiction


def add_verify(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=CHECK)(verify)


def verify(store: StoreOption = DEFAULT_LOCATION, as_json: JsonOption = False) -> None:
    """Look through all that a journal has for what cannot be true: after a disk has failed, or a restore.

    It reads all rows, while the application goes on.

    Exit codes: 0 nothing was found, 1 something was, 2 it could not be looked at.
    """
    try:
        with reading(store) as journal:
            jobs = sum(one.jobs for one in journal.counts().wait())
            found = journal.contradictions().wait()
            where = journal.location
    except PostludeError as error:
        typer.echo(f"postlude: {escaped(str(error))}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        print_json({"jobs": jobs, "found": [_told(one) for one in found]})
    elif found:
        for one in found:
            such = f"; one is {_id(one)}" if one.job is not None else ""
            console().print(f"{one.code}: {one.many:,} {one.says}{such}", markup=False, soft_wrap=True)
        console().print(
            f"In {where}. A backup is put back as docs/journal.md says.", markup=False, soft_wrap=True
        )
    else:
        console().print(f"{counted(jobs)}: nothing that cannot be true.", markup=False)
    raise typer.Exit(Exit.FAILED if found else Exit.DONE)


def _told(one: Contradiction) -> dict[str, object]:
    return {"code": one.code, "says": one.says, "many": one.many, "job": _id(one)}


def _id(one: Contradiction) -> str | None:
    return None if one.job is None else str(UUID(bytes=one.job))
