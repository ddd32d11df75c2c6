"""Writes docs/cli.md from the commands' own words: `python scripts/commands.py`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer.main

from postlude.cli.commands import app

PAGE: Final = Path(__file__).parents[1] / "docs" / "cli.md"

HEAD: Final = """\
# Command line

`pip install "postlude[cli]"` ([Installing](install.md)). Data go to standard output, words and progress to
standard error. `NO_COLOR` is heard. `--store`, or `POSTLUDE_STORE`, says where the journal is.
`postlude --install-completion` lets the shell complete.

| exit code | |
|---|---|
| 0 | done |
| 1 | could not: the journal is not to be had, or some failed |
| 2 | what was typed does not say what is meant |
| 3 | no such job, or nothing matches |
| 4 | refused: not confirmed, or too late |
| 130 | interrupted |

`doctor`, `check` and `verify`: 0 nothing was found, 1 something was, 2 it could not be looked at.

<!-- What follows is written by scripts/commands.py. -->
"""


def page() -> str:
    """Return the page."""
    root: Any = typer.main.get_command(app)
    panels: dict[str, list[str]] = {}
    for name, command in root.commands.items():
        panels.setdefault(str(command.rich_help_panel or "More"), []).append("".join(_told(name, command)))
    return HEAD + "".join(f"\n## {panel}\n{''.join(parts)}" for panel, parts in panels.items())


def _told(name: str, command: Any) -> Iterator[str]:
    yield f"\n### postlude {name}\n\n{_text(command.help)}\n"
    options = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
    if options:
        yield "\n| | |\n|---|---|\n"
        yield from (f"| {_spelled(one)} | {_meaning(one)} |\n" for one in options)
    for other, under in getattr(command, "commands", {}).items():
        yield from _told(f"{name} {other}", under)


def _spelled(option: Any) -> str:
    if option.param_type_name == "argument":
        return f"`{option.name.upper()}`" + (" …" if option.nargs == -1 else "")
    value = "" if option.is_flag else f" {(option.metavar or option.name).upper().strip('<>')}"
    return ", ".join(f"`{one}{value}`" for one in (*option.opts, *option.secondary_opts))


def _meaning(option: Any) -> str:
    text = _text(getattr(option, "help", None) or "").replace("|", "\\|").replace("\n", " ")
    variable = f" (`{option.envvar}`)" if getattr(option, "envvar", None) else ""
    plain = isinstance(option.default, str | int | float) and not isinstance(option.default, bool)
    default = f" By default `{option.default}`." if plain and option.default != "" else ""
    return f"{text}{variable}{default}".strip()


def _text(help: str | None) -> str:
    """Return a help text as Markdown: without the marks of the terminal's."""
    text = re.sub(r"\[/?(?:bold|dim|cyan|green|red|yellow|italic)\]", "", help or "").replace("\\[", "[")
    return re.sub(r"\n{3,}", "\n\n", text.replace("\b", "")).strip()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
