"""What a journal was asked and has confirmed, beside what a power loss has left of it."""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

_JOBS: Final = """
SELECT job.id, job.seq, name, args, state, fence, due, finished
FROM job JOIN task_name ON task_name.id = job.task LEFT JOIN payload ON payload.seq = job.seq
"""

_TABLES: Final = dict.fromkeys(
    (
        "job", "result", "progress", "log", "attempt", "runner", "alias", "stat", "bounds", "pause",
        "task_name", "sqlite_sequence",
    ), "*"
) | {"payload": "seq, codec, length(args)"}  # fmt: skip
"""What is compared of the tables, beside what `Job` has."""


class Job(NamedTuple):
    """What the journal is to know of a job."""

    seq: int
    task: str
    payload: bytes
    state: int
    fence: int
    due: int | None = None
    finished: int | None = None


Jobs = dict[bytes, Job]
"""All jobs, by their ids."""


class Content(NamedTuple):
    """What a journal holds, as the tests read it."""

    jobs: Jobs
    digest: bytes
    """Of every row of the other tables, but for `meta`."""


def read(journal: Path) -> Content:
    """Read a journal."""
    with closing(apsw.Connection(str(journal), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        db.set_busy_timeout(2000)
        rows: Any = db.execute(_JOBS)
        jobs = {id: Job(*rest) for id, *rest in rows}
        digest = hashlib.blake2b()
        for table, columns in _TABLES.items():
            found = db.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()
            digest.update(repr((table, found)).encode())
        return Content(jobs, digest.digest())


class Group(NamedTuple):
    """One transaction."""

    asked: int
    """How much the disk had been asked when the first of it was asked for."""
    confirmed: int
    """How much it had been asked when all of it was answered."""
    content: Content
    """What the journal holds from then on."""


@dataclass
class Losses:
    """What does not hold of an image, with names."""

    lost: list[str] = field(default_factory=list)
    phantoms: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def violated(self) -> dict[str, list[str]]:
        """What does not hold, with examples."""
        return {name: found[:3] for name, found in vars(self).items() if found}


class Ledger:
    """The groups of a life, in order.

    Args:
        groups: the first is what the journal held when the life began.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups

    def confirmed(self, place: int) -> int:
        """Return the last group that was confirmed when the disk had been asked so much."""
        return sum(1 for _ in takewhile(lambda group: group.confirmed <= place, self._groups[1:]))

    def asked(self, place: int) -> int:
        """Return the last group that can have reached the disk by then."""
        return sum(1 for _ in takewhile(lambda group: group.asked < place, self._groups[1:]))

    def jobs(self, group: int) -> Jobs:
        """Return the jobs that there are after a group."""
        return self._groups[group].content.jobs

    def lacks(self, found: Content, first: int, last: int) -> int:
        """Return how many jobs are not as the last of these groups has left them, because it is not there."""
        if found == self._groups[last].content or last == first:
            return 0
        return sum(found.jobs.get(id) != job for id, job in self.jobs(last).items())

    def compare(self, found: Content, first: int, last: int, losses: Losses) -> None:
        """Find what is wrong with a journal that must hold what one of these groups has left."""
        contents = [group.content for group in self._groups[first : last + 1]]
        if found in contents:
            return
        legal = [content.jobs for content in contents]
        before = len(losses.lost) + len(losses.phantoms)
        for id, job in legal[0].items():
            have = found.jobs.get(id)
            if have not in [jobs.get(id) for jobs in legal]:
                losses.lost.append(f"{id.hex()}: {_told(job)} was confirmed, there is {_told(have)}")
        for id, have in found.jobs.items():
            if id not in legal[0] and have not in [jobs.get(id) for jobs in legal]:
                losses.phantoms.append(f"{id.hex()}: nobody asked for {_told(have)}")
        if before < len(losses.lost) + len(losses.phantoms):
            return
        if found.jobs not in legal:
            losses.halves.append(f"of the groups {first} to {last} none is there as a whole")
        else:
            losses.lost.append(f"what the groups {first} to {last} wrote beside the jobs")


def _told(job: Job | None) -> str:
    return "nothing" if job is None else f"state {job.state}, fence {job.fence}, {len(job.payload)} bytes"
