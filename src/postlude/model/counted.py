"""What processes count that no job's row tells of: how often a lease was lost, or an add refused."""

from typing import Final, NamedTuple


class Counted(NamedTuple):
    """How often something has happened ever, in all processes, that no job's row tells of."""

    name: str
    """What, in one word: `leases_lost`."""
    label: str
    """Of which task or schedule, or why; may be empty."""
    n: int


COUNTED: Final = "count "
"""Begins the keys under which it stands among what a journal knows of itself."""


def key_of(counted: Counted) -> str:
    """Return under which key it stands."""
    return f"{COUNTED}{counted.name} {counted.label}"


def counted_of(key: str, n: int) -> Counted:
    """Return what stands under a key."""
    name, _, label = key.removeprefix(COUNTED).partition(" ")
    return Counted(name, label, n)


ADD: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Bounds of the buckets in which responses are counted by how long they waited for the journal, in seconds.
What takes longer than the last of them is counted in one more bucket."""

# The names of what is counted.
ADDS_REFUSED: Final = "adds_refused"
ADDS_TIMED: Final = "adds_timed"
"""Responses that waited for the journal; the label is the place of their bucket."""
ADDS_TIME: Final = "adds_time"
"""For how long they waited, all together. Microseconds."""
ENDS_STALE: Final = "ends_stale"
LEASES_LOST: Final = "leases_lost"
LOOP_STALLS: Final = "loop_stalls"
MEMORY_ONLY: Final = "memory_only"
PROCESSES_DIED: Final = "processes_died"
TIMES_MISSED: Final = "times_missed"
