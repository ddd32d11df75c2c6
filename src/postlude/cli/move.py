"""Moving a journal to another store: `postlude move`."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from postlude.cli.display import print_json
from postlude.cli.exits import Refused, Usage, errors_in_one_line
from postlude.cli.journal import locate
from postlude.cli.options import JsonOption, YesOption
from postlude.cli.panels import SET_UP
from postlude.cli.progress import progress
from postlude.cli.text import counted, escaped
from postlude.stores.moving import Moved, move, rows_to_move
from postlude.stores.open import open_source, open_target

SourceArgument = Annotated[str, typer.Argument(help="The journal that is moved: its path, or its URL.")]
TargetArgument = Annotated[
    str | None,
    typer.Argument(
        help="Where to: sqlite:///its/path.db or postgresql://...; by default what POSTLUDE_STORE says.",
        envvar="POSTLUDE_STORE",
        show_default=False,
    ),
]
UndoOption = Annotated[bool, typer.Option("--undo", help="Let the source be used again, where it is.")]


def add_move(app: typer.Typer) -> None:
    """Add the command."""
    app.command("move", rich_help_panel=SET_UP)(_move)


def _move(
    source: SourceArgument,
    target: TargetArgument = None,
    undo: UndoOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Move a journal to another store: all jobs, what has run, and how.

    No process may use either. The source is only read from then on. If it is interrupted, run it again.
    """
    with errors_in_one_line():
        if undo:
            _undo(source, yes=yes)
            return
        if target is None:
            raise Usage("say where to: postlude move sqlite:///postlude.db postgresql://user@host/database")
        here, there = locate(source), locate(target)
        if here == there:
            raise Usage(f"source and target are both {here}")
        with closing(open_source(here)) as old, closing(open_target(there)) as new:
            with progress("rows, each twice", 2 * rows_to_move(old)) as told:
                done = move(old, new, told)
            places = old.place, new.place
    if as_json:
        print_json({"source": places[0], "target": places[1], "again": done.again, "rows": done.rows})
    else:
        typer.echo(escaped(_in_words(done, *places)))


def _in_words(done: Moved, source: str, target: str) -> str:
    if done.again:
        return f"{source} has been moved to {target} already"
    rest = sum(rows for table, rows in done.rows.items() if table != "job")
    return (
        f"{counted(done.rows.get('job', 0))} moved from {source} to {target}, with {rest:,} rows about them, "
        "and compared. Set POSTLUDE_STORE to the new one; the old one is only read from now on"
    )


def _undo(source: str, *, yes: bool) -> None:
    with closing(open_source(locate(source))) as journal:
        mark = journal.mark()
        if mark is None:
            raise Refused(f"{journal.place} has not been moved")
        told = (
            f"{journal.place} was moved to {mark.place}: what waits there waits here too, and would run twice"
        )
        typer.echo(escaped(told), err=True)
        if not yes and not (sys.stdin.isatty() and typer.confirm("Let it be used again?", err=True)):
            raise Refused("not confirmed, so nothing was done; --yes confirms where nobody can be asked")
        journal.set_mark(None)
        typer.echo(escaped(f"{journal.place} can be used again"))
