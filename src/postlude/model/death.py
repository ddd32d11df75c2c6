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


def process_of(host: str, pid: int) -> str:
    """Name a job's process in a sentence."""
    return f"its process ({pid} on {host})"


def note(started: int, now: int, why: str) -> LogLine:
    """Return what is kept with a job of an attempt that did not come to its end.

    Args:
        started: when it started (microseconds, UTC).
        now: when that was noticed.
        why: what happened to its process.
    """
    start = datetime.fromtimestamp(started / SECOND, UTC).isoformat(" ", "milliseconds")
    message = f"this attempt, started {start}, was interrupted: {why}"
    return LogLine(now, logging.WARNING, "postlude.runner", message)
