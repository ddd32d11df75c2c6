"""How an attempt in another process can fail. No exception of that process is built again here."""

import signal

from postlude.errors import PostludeError


class ProcessDied(PostludeError):
    """The process that ran a job died, or none could be started for it.

    It was not raised by the task's own code.
    """


class ChildFailed(Exception):
    """What a task raised in another process, as text.

    Attributes:
        line: the exception's type and message, one line, capped.
        traceback: its traceback without our own frames, capped.
        covered: whether the task's policy follows it with another attempt.
    """

    def __init__(self, line: str, traceback: str, covered: bool) -> None:
        super().__init__(line)
        self.line = line
        self.traceback = traceback
        self.covered = covered

    @property
    def told(self) -> tuple[str, str]:
        """The line and the traceback, as the journal keeps them."""
        return self.line, self.traceback


def how_it_died(code: int) -> str:
    """Say how a process ended, in words.

    Args:
        code: its exit code; a signal's number below zero.
    """
    if code >= 0:
        return f"ended itself with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"died with signal {-code} ({name})"
