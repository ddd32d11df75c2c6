"""docs/cli.md is what the commands say of themselves."""

from typing import Any

import typer.main

from postlude.cli.commands import app
from scripts.commands import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `make format`"


def test_each_command_and_option_is_there() -> None:
    root: Any = typer.main.get_command(app)
    text = page()
    for name, command in root.commands.items():
        assert f"### postlude {name}\n" in text
        for option in command.params:
            assert f"`{option.opts[0]}" in text or f"`{option.name.upper()}`" in text, (name, option.name)
