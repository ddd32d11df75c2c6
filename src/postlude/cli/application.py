"""Which application a command means that imports one."""

from pathlib import Path

from postlude.app.finding import NoApplication, checked_application, entrypoint
from postlude.cli.exits import Usage


def meant(typed: str | None, command: str) -> str:
    """Return where the application is: as it was typed, or as the working directory's pyproject.toml says.

    Args:
        typed: what was typed.
        command: the command, for who has to type it once more.

    Raises:
        Usage: neither says it.
    """
    try:
        if typed is not None:
            return checked_application(typed)
        named = entrypoint(Path())
    except NoApplication as error:
        raise Usage(str(error)) from error
    if named is None:
        raise Usage(
            f"say which application is meant: postlude {command} main:app; or let pyproject.toml say so, by "
            'entrypoint = "main:app" in [tool.fastapi]'
        )
    return named
