"""Bringing a journal to this release's form before the application does: `postlude migrate`."""

import typer

from postlude.cli.exits import errors_in_one_line
from postlude.cli.journal import locate
from postlude.cli.options import StoreOption
from postlude.cli.panels import SET_UP
from postlude.cli.text import escaped
from postlude.stores.location import DEFAULT_LOCATION
from postlude.stores.open import make_current


def add_migrate(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=SET_UP)(migrate)


def migrate(store: StoreOption = DEFAULT_LOCATION) -> None:
    """Make a journal, or bring it to the form of this release, as the application's first start would.

    It may be in use meanwhile, also by processes of the release before.
    """
    with errors_in_one_line():
        place = make_current(locate(store))
        typer.echo(escaped(f"{place} has the form of this release"))
