"""What a call says of its job beside what the job is, and what of that its attempts are given.

Times are integers in microseconds, UTC.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class Conflict(StrEnum):
    """What happens to a call whose key a waiting or running job has."""

    KEEP = "keep"
    """The job that is there stands for it too."""
    REPLACE = "replace"
    """If that job is queued, it becomes what this call asks for; otherwise as `KEEP`."""
    RAISE = "raise"
    """Nothing of the call's `add` is stored: `KeyTaken`."""


class Given(NamedTuple):
    """What a call gives each attempt at its job, beside the arguments. Stores keep it by these names."""

    opts: str | None = None
    """What the call set of its policy (`postlude.model.overrides`), as JSON."""
    context: str | None = None
    """Values of context variables that travel with the job, as JSON."""


NOTHING: Final = Given()


class Terms(NamedTuple):
    """What is said of a job beside what it is; by default nothing."""

    due: int | None = None
    """When it may start at the earliest; None: at once."""
    priority: int = 0
    """Lower runs first."""
    once: bool = False
    """Delivery at most once."""
    follows: bool = False
    """It waits for the first attempt of the job before it in the same call of `add`."""
    request: bytes | None = None
    owner: str | None = None
    key: str | None = None
    """No other job of the task with this key waits, is parked or runs."""
    conflict: Conflict = Conflict.KEEP
    held: bool = False
    """It waits, blocked, until it is freed (`Intake.free`) or its `due`: a task of its request that runs in
    memory comes before it."""
    concurrency_key: str | None = None
    """Its task has a limit: as many jobs of one task and concurrency key as the limit says run at once."""
    rated: bool = False
    """Its task, or its queue, has a limit or a rate: it is never born claimed."""
    given: Given = NOTHING

    # What is done for each call whose policy says something: `_replace` takes three times as long.

    def keyed(self, key: str) -> "Terms":
        """Return the same with a key."""
        return tuple.__new__(Terms, (*self[:_KEY], key, *self[_KEY + 1 :]))

    def of_call(self, concurrency_key: str | None, rated: bool, context: str | None) -> "Terms":
        """Return the terms of a policy with what each call says for itself."""
        given = self.given if context is None else self.given._replace(context=context)
        return tuple.__new__(Terms, (*self[:_SAID_BY_EACH_CALL], concurrency_key, rated, given))


_KEY: Final = Terms._fields.index("key")
_SAID_BY_EACH_CALL: Final = Terms._fields.index("concurrency_key")
"""The place of the first of the fields that `Terms.of_call` sets, the last ones."""

ONCE: Final = Terms(once=True)

PLAIN: Final = Terms()
"""The terms of a job that is to start at once, and of which nothing else is said. Nearly all have this very
object: what is done with many of them asks for nothing else."""

KEPT: Final = ("once", "request")
"""The terms that a job keeps when its key's next call replaces it."""
