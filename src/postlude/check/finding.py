"""What the check finds: where, by which rule, and what to do about it."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple


class Level(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """A call raises, or jobs cannot run."""
    WARNING = "warning"
    """It runs, and less is kept than one may think."""
    INFO = "info"
    """It is worth to be known."""


class Rule(NamedTuple):
    """What one rule finds."""

    title: str
    level: Level
    """Of its findings; a finding may be worse where the call is strict."""


RULES: Final[Mapping[str, Rule]] = {
    "PL001": Rule("a task that runs in memory only", Level.WARNING),
    "PL002": Rule("a parameter of a declared task that no argument can be kept for", Level.ERROR),
    "PL003": Rule("arguments that do not fit the task's parameters", Level.ERROR),
    "PL004": Rule("an argument that needs an annotation of its parameter", Level.WARNING),
    "PL005": Rule("a commit after the response, behind a request's jobs", Level.WARNING),
    "PL006": Rule("a response with a background of its own, beside the request's tasks", Level.INFO),
    "PL008": Rule("waiting jobs that this release cannot run", Level.ERROR),
    "PL009": Rule("a version that Postlude does not support", Level.ERROR),
    "PL010": Rule("what Celery does otherwise", Level.INFO),
}
"""Every rule by its id. An id is never given to another rule."""


class Finding(NamedTuple):
    """Something that is not as it should be, for certain."""

    rule: str
    says: str
    remedy: str
    file: Path | None = None
    line: int | None = None
    """None: it is not in a line of code."""
    column: int | None = None
    level: Level | None = None
    """None: that of its rule."""

    @property
    def severity(self) -> Level:
        """How bad it is."""
        return RULES[self.rule].level if self.level is None else self.level


class NotLookedAt(NamedTuple):
    """A call of which it cannot be told for certain what it adds."""

    file: Path
    line: int
    why: str


class Report(NamedTuple):
    """What a check has found."""

    findings: tuple[Finding, ...]
    calls: int
    """How many calls were looked at."""
    not_looked_at: tuple[NotLookedAt, ...]
    ignored: int
    """How many findings a comment in the code has silenced."""
