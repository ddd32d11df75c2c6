"""How many jobs ran at once, as they measured it themselves: when each came and when it left.

One file per process and one write per line, as in `witness.py`, but by the machine's monotonic clock,
which all processes share and nobody sets.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple


def now() -> int:
    """Return the time of this clock (nanoseconds)."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Stay(NamedTuple):
    """One run of a job."""

    group: str
    """What the limit is for: a tenant, a key, a queue."""
    token: str
    pid: int
    came: int
    left: int


class Logbook:
    """Writes this process's file. What it has taken outlives a SIGKILL.

    Args:
        folder: where all processes of a run write.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}.stays"
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, what: str, group: str, token: str) -> None:
        """Write one line."""
        os.write(self._fd, f"{what} {group} {token} {os.getpid()} {now()}\n".encode())

    @contextmanager
    def stay(self, group: str, token: str) -> Iterator[None]:
        """Note that a job comes, and that it leaves."""
        self.note("come", group, token)
        try:
            yield
        finally:
            self.note("leave", group, token)


class Note(NamedTuple):
    """One line."""

    what: str
    group: str
    token: str
    pid: int
    at: int


def notes(folder: Path) -> list[Note]:
    """Return all lines, by time."""
    found: list[Note] = []
    for path in folder.glob("*.stays"):
        for line in path.read_text("ascii").splitlines():
            what, group, token, pid, at = line.split(" ")
            found.append(Note(what, group, token, int(pid), int(at)))
    return sorted(found, key=lambda note: note.at)


def stays(folder: Path, killed: Mapping[int, int] | None = None) -> list[Stay]:
    """Return all runs, in the order in which they came.

    Args:
        folder: where the processes wrote.
        killed: the moment before each process that was killed was; its jobs left then.
    """
    killed = killed or {}
    found: list[Stay] = []
    inside: dict[tuple[int, str, str], int] = {}
    for what, group, token, pid, at in notes(folder):
        if what == "come":
            assert (pid, group, token) not in inside, f"{token} runs twice in {pid}"
            inside[pid, group, token] = at
        else:
            found.append(Stay(group, token, pid, inside.pop((pid, group, token)), at))
    for (pid, group, token), came in inside.items():
        assert pid in killed, f"{token} has not left {pid}"
        found.append(Stay(group, token, pid, came, max(came, killed[pid])))
    return sorted(found, key=lambda stay: stay.came)


def most_at_once(runs: Iterable[Stay]) -> Counter[str]:
    """Return how many of each group ran at once, at most."""
    steps = sorted(
        (at, step, stay.group) for stay in runs for at, step in ((stay.came, 1), (stay.left, -1))
    )  # at one moment, who leaves goes first
    inside: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for _, step, group in steps:
        inside[group] += step
        most[group] = max(most[group], inside[group])
    return most


class Use(NamedTuple):
    """How well the places were used that jobs were allowed."""

    seconds: float
    """From the first start to the last end."""
    jobs: int
    share: float
    """Of the time of all places that a waiting job might have had, how much had one."""
    handovers: Sequence[float]
    """Milliseconds from a job's end to the next start of its group, sorted."""

    @property
    def typical(self) -> float:
        """The median of `handovers`."""
        return self.handovers[len(self.handovers) // 2]

    @property
    def slow(self) -> float:
        """One in twenty of `handovers` is longer."""
        return self.handovers[len(self.handovers) * 19 // 20]

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs in {self.seconds:.1f} s ({self.jobs / self.seconds:.0f}/s), "
            f"{self.share:.0%} of the allowed places used; a place is taken again after "
            f"{self.typical:.1f} ms (median), {self.slow:.1f} ms (95 %), {self.handovers[-1]:.0f} ms (most)"
        )


def use_of(runs: Sequence[Stay], limit: int, slots: int) -> Use:
    """Return how well the places were used, where all jobs waited from the first start on.

    Args:
        runs: in order, one for each job.
        limit: how many of each group may run at once.
        slots: how many may run at once in all processes together.
    """
    begun, ended = runs[0].came, max(stay.left for stay in runs)
    left_over = Counter(stay.group for stay in runs)
    allowed = sum(min(limit, jobs) for jobs in left_over.values())
    offered, since = 0, begun
    for at, group in sorted((stay.left, stay.group) for stay in runs):
        offered += min(slots, allowed) * (at - since)
        since = at
        left_over[group] -= 1
        allowed -= left_over[group] < limit
    used = sum(stay.left - stay.came for stay in runs)
    return Use((ended - begun) / 1e9, len(runs), used / offered, _handovers(runs, limit))


def _handovers(runs: Sequence[Stay], limit: int) -> list[float]:
    """Pair each start but the first of a group with the end that has made room for it."""
    groups: defaultdict[str, list[Stay]] = defaultdict(list)
    for stay in runs:
        groups[stay.group].append(stay)
    found = []
    for stays_of_one in groups.values():
        ends = sorted(stay.left for stay in stays_of_one)
        starts = sorted(stay.came for stay in stays_of_one)
        found += [(start - end) / 1e6 for start, end in zip(starts[limit:], ends, strict=False)]
    return sorted(found)


def overlapping(runs: Sequence[Stay]) -> list[tuple[Stay, Stay]]:
    """Return the runs of one group that overlap."""
    by_group = sorted(runs, key=lambda stay: (stay.group, stay.came))
    return [(a, b) for a, b in pairwise(by_group) if a.group == b.group and b.came < a.left]


def most_starts_within(runs: Sequence[Stay], seconds: float) -> int:
    """Return how many came within so many seconds, at most."""
    times = [stay.came for stay in runs]
    first, most = 0, 0
    for last, at in enumerate(times):
        while at - times[first] > seconds * 1e9:
            first += 1
        most = max(most, last - first + 1)
    return most
