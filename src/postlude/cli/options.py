"""Options that several commands have."""

from typing import Annotated, Final

import typer

from postlude.model.state import State

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="POSTLUDE_STORE",
        help="The journal: its path, sqlite:///its/path.db, or postgresql://...",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

ApplicationArgument = Annotated[
    str | None,
    typer.Argument(
        help="Where the Postlude is, or the application that has it: main:app. Without it, as `fastapi dev`: "
        "what pyproject.toml calls the entrypoint in [tool.fastapi].",
        show_default=False,
    ),
]

_SELECT: Final = "Which jobs"

StateOption = Annotated[
    list[State] | None,
    typer.Option("--state", help="In this state; can be repeated.", rich_help_panel=_SELECT),
]
TaskOption = Annotated[
    str | None,
    typer.Option("--task", help="Of this task: its name, or its function's.", rich_help_panel=_SELECT),
]
QueueOption = Annotated[str | None, typer.Option("--queue", help="Of this queue.", rich_help_panel=_SELECT)]
KeyOption = Annotated[str | None, typer.Option("--key", help="With this key.", rich_help_panel=_SELECT)]
OwnerOption = Annotated[str | None, typer.Option("--owner", help="Of this owner.", rich_help_panel=_SELECT)]
ArgOption = Annotated[
    list[str] | None,
    typer.Option("--arg", help="Called with name=value; can be repeated.", rich_help_panel=_SELECT),
]
ErrorOption = Annotated[
    str | None,
    typer.Option("--error", help="Whose last error has this text in it.", rich_help_panel=_SELECT),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Created since then: 30m, 2h, 7d, or a date (2026-11-29, 2026-11-29T08:00), in UTC.",
        rich_help_panel=_SELECT,
    ),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="Created before that.", rich_help_panel=_SELECT)
]
IdsArgument = Annotated[
    list[str] | None, typer.Argument(help="Jobs by their ids, or how these begin or end.", show_default=False)
]
AllOption = Annotated[
    bool, typer.Option("--all", help="All jobs, whatever they are.", rich_help_panel=_SELECT)
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
