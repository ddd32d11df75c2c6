"""What failures have in common: the exception's class, and where the application's own code has raised it."""

import re
from typing import Final, NamedTuple

from postlude.model.outcome import Failed
from postlude.model.state import Reason

LONGEST: Final = 300
"""Characters that are kept of each."""

_FRAME: Final = re.compile(r'^  File "([^"\n]+)", line (\d+)(?:, in ([^\n]+))?$', re.MULTILINE)
_OTHERS: Final = ("site-packages", "dist-packages", "lib/python3", "<")
"""What stands in the path of a file that is no application's: a library's, Python's own, or no file."""

_PARTS: Final = 3
"""So much of a path is told: what comes before differs from host to host."""


class Failure(NamedTuple):
    """What a failure is grouped by, beside its task."""

    kind: str
    """The exception's class; of a job that no attempt has ended, the reason for which it has failed. Empty:
    nobody knows, because an older release has ended it."""
    place: str
    """Where the application's own code was last, as `shop/mail.py:31 in send`. Empty: nowhere."""


class FailureGroup(NamedTuple):
    """Jobs that have failed in the same way."""

    task: str
    kind: str
    place: str
    jobs: int
    first: int
    """When the first of them had failed (microseconds, UTC)."""
    last: int
    """When the last of them had."""
    newest: bytes
    """The id of the newest of them, by the order of jobs."""


def failure_of(failed: Failed) -> Failure:
    """Return what a failure is grouped by, by the texts that are kept of it."""
    kind = failed.error.partition(":")[0].strip()
    return Failure(kind[:LONGEST], place_of(failed.traceback)[:LONGEST])


def failure_by(reason: Reason | None) -> Failure:
    """Return what a failure is grouped by that no attempt has told."""
    return Failure("" if reason is None else reason.value, "")


def is_own(path: str) -> bool:
    """Whether a file is the application's own, and not a library's or Python's."""
    path = path.replace("\\", "/")
    return not any(other in path for other in _OTHERS)


def place_of(traceback: str) -> str:
    """Return where the application's own code was last, in the last of the tracebacks of a text."""
    found = ""
    for path, line, name in _FRAME.findall(traceback):
        if is_own(path):
            path = path.replace("\\", "/")
            found = f"{'/'.join(path.split('/')[-_PARTS:])}:{line}" + (f" in {name}" if name else "")
    return found
