"""One attempt, from finding the function to knowing how it ended."""

import logging
import random
import traceback
from types import CoroutineType
from typing import Any, Final

from postlude.errors import InvalidArguments, PostludeError, UnknownTask
from postlude.model.outcome import SUCCEEDED, Failed, Outcome, Parked
from postlude.model.state import Reason
from postlude.runner.work import Work
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task

log = logging.getLogger("postlude.jobs")


NO_RELEASE: Final = ""
"""Parked by a release that does not know the task at all: any that does may take the job up."""


class Unrunnable(PostludeError):
    """This release cannot run a job; it says so to the journal, and costs no attempt."""

    def __init__(self, parked: Parked) -> None:
        super().__init__(parked.reason)
        self.parked = parked


def ready(work: Work, registry: Registry) -> Task[..., Any]:
    """Find the function and the arguments of a work that came from the journal.

    Raises:
        Unrunnable: the task is unknown here, or its arguments do not validate.
    """
    task = work.task
    if task is None:
        try:
            task = work.task = registry.resolve(work.name)
        except UnknownTask as error:
            log.warning("job %s is parked: %s", work, error)
            raise Unrunnable(Parked(Reason.UNKNOWN_TASK, NO_RELEASE)) from error
    if work.args is None:
        try:
            work.args, work.kwargs = task.decode(work.payload)
        except InvalidArguments as error:
            log.warning("job %s is parked: %s", work, error)
            raise Unrunnable(Parked(Reason.INVALID_ARGUMENTS, task.release)) from error
    return task


def run_sync(work: Work, task: Task[..., Any]) -> Outcome | BaseException:
    """Run a sync function in this thread; whatever it raises is returned."""
    assert work.args is not None
    assert work.kwargs is not None
    try:
        result = task.function(*work.args, **work.kwargs)
    except BaseException as error:
        return error
    if result.__class__ is CoroutineType:
        result.close()
        return TypeError(f"{work.name} is not async but returned a coroutine; await it inside an async def")
    return SUCCEEDED


def judge_error(work: Work, error: BaseException, now: int, rng: random.Random, most: int) -> Failed:
    """Turn what an attempt raised into its outcome, and log it with its traceback.

    Args:
        work: whose attempt it was.
        error: what it raised.
        now: when (microseconds, UTC).
        rng: for the jitter of the next attempt.
        most: characters that are kept of the traceback.
    """
    assert work.task is not None
    retry_at = None if work.once else work.task.policy.retry.next_due(work.failures + 1, now, rng)
    log.error(
        "job %s failed, attempt %d%s",
        work,
        work.failures + 1,
        "" if retry_at is None else f"; the next is due in {(retry_at - now) / 1e6:.1f} s",
        exc_info=(type(error), error, error.__traceback__),
    )
    return Failed(*describe(error, most), retry_at)


def describe(error: BaseException, most: int) -> tuple[str, str]:
    """Return an error as one line, and its traceback without this module's frames, both capped."""
    try:
        line = "".join(traceback.format_exception_only(error)).strip()
    except Exception:
        line = type(error).__name__
    frames = error.__traceback__
    inner = frames.tb_next if frames is not None and frames.tb_next is not None else frames
    try:
        text = "".join(traceback.format_exception(type(error), error, inner))
    except Exception:
        text = line
    if len(text) > most:
        text = f"{text[: most // 2]}\n... {len(text) - most} characters left out ...\n{text[-most // 2 :]}"
    return line[:1000], text
