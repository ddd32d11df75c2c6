"""How the command ends: its exit codes, and errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from postlude.cli.text import escaped
from postlude.errors import JobNotFound, PostludeError, ScheduleNotFound
from postlude.jobs.naming import Unclear


class Exit(IntEnum):
    """What the exit codes mean."""

    DONE = 0
    FAILED = 1
    """It could not be done, or not all of it."""
    USAGE = 2
    """What was typed does not say what is meant."""
    NOTHING = 3
    """No job is meant, or there is no such job."""
    REFUSED = 4
    """It was not confirmed, or comes too late."""
    INTERRUPTED = 130


class Refused(PostludeError):
    """It was not done because nobody has confirmed it, or because it comes too late."""


class Usage(PostludeError):
    """What was typed does not say what is meant."""


_CODES = (
    (JobNotFound, Exit.NOTHING),
    (ScheduleNotFound, Exit.NOTHING),
    (Refused, Exit.REFUSED),
    (Usage, Exit.USAGE),
    (Unclear, Exit.USAGE),
)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Say what goes wrong in one line of standard error, and exit with what it means."""
    try:
        yield
    except PostludeError as error:
        typer.echo(f"postlude: {escaped(str(error))}", err=True)
        code = next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)
        raise typer.Exit(code) from error
