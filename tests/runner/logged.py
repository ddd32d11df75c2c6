"""Logging as the code of a job, and reading what was kept."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from postlude.jobs.current import CURRENT, CurrentJob
from postlude.model.ids import IdSource
from postlude.runner.attempt.logs import LogKeeper, lines_of

T = TypeVar("T")

shop = logging.getLogger("tests.shop")
FORMAT = "%(job_id)s|%(task)s|%(attempt)s|%(message)s"


def a_job(task: str = "shop:send", attempt: int = 2) -> CurrentJob:
    return CurrentJob(IdSource().new(0), task, "default", attempt)


def inside(job: CurrentJob, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run a function as a job's code."""

    def run() -> T:
        CURRENT.set(job)
        return function(*args, **kwargs)

    return Context().run(run)


@contextmanager
def keeping(**options: Any) -> Iterator[LogKeeper]:
    keeper = LogKeeper(**{"keep": True, **options})
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def messages(job: CurrentJob) -> list[str]:
    return [line.message for line in lines_of(job)]
