"""The limits and times that an application may change, with the contract's defaults."""

import os
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from postlude.spelling import spelled

_MAY_BE_ZERO: Final = frozenset(
    {
        *("success_seconds", "successes", "failure_seconds", "failures"),
        *("grace", "order_wait", "reap_every", "prune_every", "max_error", "max_log_lines", "max_log_chars"),
    }
)


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
            raise ValueError(f"{type(config).__name__}({field.name}={value!r}): give {wanted}")


@spelled
@dataclass(frozen=True, slots=True)
class Keep:
    """How long finished jobs stay readable, whichever bound comes first."""

    success_seconds: float = 86_400.0
    successes: int = 1_000_000
    failure_seconds: float = 14 * 86_400.0
    failures: int = 100_000

    def __post_init__(self) -> None:
        _check(self)


@spelled
@dataclass(frozen=True, slots=True)
class Config:
    """Everything about a Postlude that is a number or a switch. Times are in seconds."""

    loop_slots: int = 1024
    """Async jobs that run at once in one process: as many as it holds claimed (`ahead`)."""
    threads: int = 40
    """Sync jobs that run at once in one process, as in FastAPI; each thread starts when it is needed."""
    processes: int = os.cpu_count() or 1
    """Jobs of `run="process"` tasks that run at once, each in a process."""
    recycle_jobs: int = 1000
    """A process is replaced after so many jobs."""
    recycle_bytes: int = 1024 * 1024 * 1024
    """A process that uses more memory than this after a job is replaced."""
    ahead: int = 1024
    """Jobs that one process holds claimed at most; slow jobs far fewer (`runner/pace.py`). The rest
    wait in the journal."""
    lease: float = 15.0
    renew_every: float = 5.0
    reap_every: float = 1.0
    poll_every: float = 0.25
    """How soon a process notices jobs that another process has stored."""
    budget: float = 5.0
    """How long a write may take before the client gets 503."""
    grace: float = 10.0
    """How long shutdown waits for running jobs before it releases the rest."""
    order_wait: float = 15.0
    """The next plain function of a request starts after this long even if the one before still runs."""
    stall_limit: float = 300.0
    on_stall: Literal["log", "exit"] = "log"
    prune_every: float = 60.0
    keep: Keep = Keep()
    max_payload: int = 1024 * 1024
    """Bytes of a job's arguments."""
    max_depth: int = 100
    """How deeply a job's arguments may be nested."""
    max_result: int = 256 * 1024
    """Bytes of what a job returns; what is larger is dropped (`ResultDropped`)."""
    max_error: int = 16 * 1024
    """Characters that are kept of an error's traceback."""
    keep_logs: bool = True
    """Keep what tasks log, from INFO on, with their attempts."""
    max_log_lines: int = 200
    """Lines that are kept of what one attempt logs; the first ones."""
    max_log_chars: int = 64 * 1024
    """Characters that are kept of them."""
    tune_gc: bool = True
    """Let Python's garbage collector look less often while the runner runs (`runner/interpreter.py`)."""
    tune_switching: bool = True
    """Let threads change places every millisecond while the runner runs (`runner/interpreter.py`)."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one of them cannot be meant.
        """
        _check(self)
        if self.renew_every >= self.lease:
            raise ValueError(
                f"Config(lease={self.lease!r}, renew_every={self.renew_every!r}): a lease must be renewed "
                f"before it ends; give a longer lease"
            )
        if self.on_stall not in ("log", "exit"):
            raise ValueError(f'Config(on_stall={self.on_stall!r}): give "log" or "exit"')
        if not isinstance(self.keep, Keep):
            raise ValueError(f"Config(keep={self.keep!r}): give a Keep(...)")
