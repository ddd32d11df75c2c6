"""The limits and times that an application may change, with the contract's defaults."""

import os
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from postlude.messages.quoting import quoted
from postlude.messages.spelling import spelled

_MAY_BE_ZERO: Final = frozenset(
    {
        *("success_seconds", "successes", "failure_seconds", "failures"),
        *("grace", "order_wait", "reap_every", "prune_every", "max_error", "max_log_lines", "max_log_chars"),
    }
)


_LONGEST_RELEASE: Final = 200


def _check(config: Any) -> None:
    """Refuse numbers that nothing works with."""
    for field in fields(config):
        if field.type not in (int, float, bool):
            continue
        value = getattr(config, field.name)
        if field.type is bool:
            fits, wanted = isinstance(value, bool), "True or False"
        else:
            kinds = int if field.type is int else (int, float)
            least = "0 or more" if field.name in _MAY_BE_ZERO else "more than 0"
            wanted = f"{'a whole number' if field.type is int else 'seconds'}, {least}"
            fits = isinstance(value, kinds) and not isinstance(value, bool)
            fits = fits and (value > 0 or (value == 0 and field.name in _MAY_BE_ZERO))
        if not fits:
            raise ValueError(f"{type(config).__name__}({field.name}={quoted(value)}): give {wanted}")


AUDIT_SECONDS: Final = 90 * 86_400.0
"""For how long it is kept what people have done."""


@spelled
@dataclass(frozen=True, slots=True)
class Keep:
    """How long finished jobs stay readable, whichever bound comes first."""

    success_seconds: float = 86_400.0
    """How long succeeded jobs are kept at most. Seconds; 86,400 (a day) by default."""
    successes: int = 1_000_000
    """How many succeeded jobs are kept at most. Jobs; 1,000,000 by default."""
    failure_seconds: float = 14 * 86_400.0
    """How long failed and cancelled jobs are kept at most. Seconds; 1,209,600 (14 days) by default."""
    failures: int = 100_000
    """How many failed and cancelled jobs are kept at most. Jobs; 100,000 by default."""

    def __post_init__(self) -> None:
        _check(self)


@spelled
@dataclass(frozen=True, slots=True)
class Config:
    """Everything about a Postlude that is a number or a switch. Times are in seconds."""

    loop_slots: int = 1024
    """Async jobs that run at once in one process: as many as it holds claimed (`ahead`). Jobs; 1,024 by
    default."""
    threads: int = 40
    """Sync jobs that run at once in one process, as in FastAPI; each thread starts when it is needed. Jobs;
    40 by default."""
    processes: int = os.cpu_count() or 1
    """Jobs of `run="process"` tasks that run at once, each in a process. Jobs; as many as there are
    processors by default."""
    recycle_jobs: int = 1000
    """A process of `run="process"` tasks is replaced after so many. Jobs; 1,000 by default."""
    recycle_bytes: int = 1024 * 1024 * 1024
    """A process of `run="process"` tasks that uses more memory than this after a job is replaced. Bytes;
    1,073,741,824 (1 GiB) by default."""
    ahead: int = 1024
    """How much one process holds claimed at most; of slow jobs far less. The rest waits in the journal.
    Jobs; 1,024 by default."""
    lease: float = 15.0
    """A process that has not renewed its lease for so long has lost its jobs to others. Seconds; 15 by
    default."""
    renew_every: float = 5.0
    """How often a process renews its lease; must be less than `lease`. Seconds; 5 by default."""
    reap_every: float = 1.0
    """How often a process looks for others that have died, to take over their jobs. Seconds; 1 by
    default."""
    poll_every: float = 0.25
    """How often a process looks after the jobs that it holds: which have waited too long for a place, what
    the journal did not take. Of jobs that others store it hears at once. Seconds; 0.25 by default."""
    budget: float = 5.0
    """How long a write may take before the client gets 503. Seconds; 5 by default."""
    grace: float = 10.0
    """How long shutdown waits for running jobs before it releases the rest. Seconds; 10 by default."""
    order_wait: float = 15.0
    """The next plain function of a request starts after this long even if the one before still runs.
    Seconds; 15 by default."""
    stall_limit: float = 300.0
    """An event loop that has not turned for so long has stalled for good; see `on_stall`. Seconds; 300 by
    default."""
    on_stall: Literal["log", "exit"] = "log"
    """What a process does whose event loop has stalled: `"log"` says so, `"exit"` ends it, for its
    supervisor to start another. "log" by default."""
    prune_every: float = 60.0
    """How often a process looks for ended jobs that are kept no longer. Seconds; 60 by default."""
    keep: Keep = Keep()
    """How long ended jobs stay readable. Keep() by default."""
    max_payload: int = 1024 * 1024
    """A job's arguments, as JSON, are this long at most. Bytes; 1,048,576 (1 MiB) by default."""
    max_depth: int = 100
    """How deeply a job's arguments may be nested. Levels; 100 by default."""
    max_result: int = 256 * 1024
    """What a job returns is this long at most, as JSON; what is longer is dropped (`ResultDropped`). Bytes;
    262,144 (256 KiB) by default."""
    max_error: int = 16 * 1024
    """How much is kept of an error's traceback. Characters; 16,384 by default."""
    keep_logs: bool = True
    """Keep what tasks log, from INFO on, with their attempts. On by default."""
    max_log_lines: int = 200
    """How much is kept of what one attempt logs: its first lines. Lines; 200 by default."""
    max_log_chars: int = 64 * 1024
    """How much is kept of what one attempt logs: its first characters. Characters; 65,536 by default."""
    schedules: bool = True
    """Declare the application's schedules, and add the jobs of those that are due; the variable
    `POSTLUDE_SCHEDULES` (on, off) overrides it. On by default."""
    tune_gc: bool = True
    """Let Python's garbage collector look less often while jobs can run. On by default."""
    tune_switching: bool = True
    """Let threads change places every millisecond while jobs can run. On by default."""

    release: str = ""
    """What identifies the code that this process runs: a version, a commit. `postlude processes` shows it,
    attempts that fail keep it, and `postlude doctor` says when two run side by side. 200 characters at
    most; "" by default."""

    @property
    def slots(self) -> int:
        """How many jobs run at once in one process, of all kinds."""
        return self.loop_slots + self.threads + self.processes

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one of them cannot be meant.
        """
        _check(self)
        if self.renew_every >= self.lease:
            raise ValueError(
                f"Config(lease={quoted(self.lease)}, renew_every={quoted(self.renew_every)}): "
                f"a lease must be renewed before it ends; give a longer lease"
            )
        if self.on_stall not in ("log", "exit"):
            raise ValueError(f'Config(on_stall={quoted(self.on_stall)}): give "log" or "exit"')
        if not isinstance(self.release, str) or len(self.release) > _LONGEST_RELEASE:
            raise ValueError(
                f"Config(release={quoted(self.release)}): give a text, {_LONGEST_RELEASE} characters at most"
            )
        if not isinstance(self.keep, Keep):
            raise ValueError(f"Config(keep={quoted(self.keep)}): give a Keep(...)")
