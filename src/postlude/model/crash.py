"""Who is charged when a process dies with jobs that had started.

A job that takes its process with it must not do so for ever, and the jobs that merely ran
beside it are innocent. So a death in company only makes suspects; a suspect runs as the only
suspect of its process; and a death that has one possible culprit is charged to it.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from postlude.clock import SECOND
from postlude.model.outcome import LogLine

MAX_DEATHS: Final = 3
"""After so many deaths of its own a job has failed, with the reason `killed`."""


DIED: Final = "died"
LOST: Final = "did not renew its lease"
STOPPED: Final = "stopped"
"""How runners end. What one that lost its lease has started may still come to its end."""
RELEASED: Final = "released it unfinished"
"""How a runner that ends in order gives up an attempt that it can wait for no longer."""


class Started(NamedTuple):
    """A job that had started when its process died."""

    seq: int
    suspect: bool
    deaths: int


class Verdict(NamedTuple):
    """What a death means for one job."""

    seq: int
    suspect: bool
    deaths: int

    @property
    def killed(self) -> bool:
        """Whether the job has failed by its deaths."""
        return self.deaths >= MAX_DEATHS


def judge(started: Iterable[Started], *, draining: bool) -> list[Verdict]:
    """Charge a process's death to the jobs that had started in it.

    Args:
        started: the jobs that had started and not finished.
        draining: the process was shutting down; then nobody is charged.
    """
    jobs = list(started)
    if draining:
        return [Verdict(*job) for job in jobs]
    candidates = [job for job in jobs if job.suspect] or jobs
    if len(candidates) == 1:
        culprit = candidates[0].seq
        return [
            Verdict(job.seq, True, job.deaths + 1) if job.seq == culprit else Verdict(*job) for job in jobs
        ]
    suspects = {job.seq for job in candidates}
    return [Verdict(job.seq, job.suspect or job.seq in suspects, job.deaths) for job in jobs]


class End(NamedTuple):
    """How a runner has ended, or let go of a job that it was running."""

    host: str
    pid: int
    how: str

    def note(self, started: int | None, now: int) -> LogLine:
        """Return what is kept with a job that it was running.

        Args:
            started: when that attempt started (microseconds, UTC), if that is known.
            now: when its runner's end was noticed, or this one's.
        """
        since = ""
        if started is not None:
            start = datetime.fromtimestamp(started / SECOND, UTC).isoformat(" ", "milliseconds")[:-6]
            since = f", started {start}Z,"
            if self.how == RELEASED:
                since = f"{since} {(now - started) / SECOND:.1f} s ago,"
        what = "was interrupted" if self.how == DIED else "was given up"
        message = f"this attempt{since} {what}: its process ({self.pid} on {self.host}) {self.how}"
        return LogLine(now, logging.WARNING, "postlude.runner", message)
