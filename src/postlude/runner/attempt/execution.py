"""One attempt: finding the function and the arguments, running it, keeping what it returns."""

from contextvars import Context
from functools import partial
from typing import Any, Final

from postlude.clock import SECOND
from postlude.errors import InvalidArguments, PostludeError, UnknownTask
from postlude.jobs.current import CURRENT, CurrentJob
from postlude.model.outcome import SUCCEEDED, Cancelled, Failed, Outcome, Parked, Succeeded
from postlude.model.overrides import read_opts
from postlude.model.state import Reason
from postlude.runner.attempt.unrun import refuse_unrun
from postlude.runner.attempt.work import Work
from postlude.runner.executors.overtime import refuse_late
from postlude.tasks.context import Carried
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task
from postlude.telemetry.tracing import Observed

_LONGEST_WHY: Final = 1000
"""Characters that are kept of the sentence why a job is parked."""

NO_RELEASE: Final = ""
"""Parked by a release that does not know the task at all: any that does may take the job up."""


class Unrunnable(PostludeError):
    """A job is not to be run here and now; `outcome` says what becomes of it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


def ready(work: Work, registry: Registry) -> Task[..., Any]:
    """Find the function and the arguments of a work that came from the journal.

    Args:
        work: what is to be run.
        registry: where names become functions.

    Raises:
        Unrunnable: the task is unknown here, or its arguments do not validate.
    """
    task = work.task
    if task is None:
        try:
            task = work.task = registry.resolve(work.name)
        except UnknownTask as error:
            raise Unrunnable(Parked(Reason.UNKNOWN_TASK, NO_RELEASE, _sentence(error))) from error
    if work.args is None:
        try:
            work.args, work.kwargs = task.decode(work.payload)
        except InvalidArguments as error:
            why = f"{_sentence(error)} (release {task.release} of its parameters)"
            raise Unrunnable(Parked(Reason.INVALID_ARGUMENTS, task.release, why)) from error
    return task


def _sentence(error: PostludeError) -> str:
    """Return what is kept of why a job is parked: bounded, and as UTF-8 can write it."""
    text = " ".join(str(error)[:_LONGEST_WHY].split())
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def bound_in_time(work: Work, task: Task[..., Any], now: int) -> float | None:
    """Return how long the attempt that starts now may take (seconds); None: as long as it likes.

    Raises:
        Unrunnable: it must not start any more.
    """
    opts, policy = read_opts(work.given.opts), task.policy
    start = policy.must_start_by(opts, work.created)
    if start is not None and now > start:
        raise Unrunnable(Cancelled(Reason.EXPIRED))
    timeout = policy.attempt_within(opts)
    end = policy.must_end_by(opts, work.created)
    if end is None:
        return timeout
    left = (end - now) / SECOND
    if left <= 0:
        line = "TimeoutError: the time for all of its attempts was over before this one could start"
        raise Unrunnable(Failed(line, line, None, Reason.DEADLINE))
    return left if timeout is None else min(timeout, left)


def surroundings(work: Work, current: CurrentJob, carried: Carried) -> Context:
    """Return the context that an attempt runs in: what travels with its job, and nothing of others."""
    context = Context() if work.given.context is None else carried.context(work.given.context)
    context.run(CURRENT.set, current)
    if work.trace is not None:
        work.trace.enter(context)
    return context


def kept(task: Task[..., Any], value: Any) -> Outcome:
    """Return the outcome of an attempt that returned this, which is not None."""
    result, dropped = task.encode_result(value)
    return SUCCEEDED if result is None and not dropped else Succeeded(result, dropped)


def run_sync(work: Work, task: Task[..., Any]) -> Outcome | BaseException:
    """Run a sync function in this thread; whatever it raises is returned."""
    assert work.args is not None
    assert work.kwargs is not None
    try:
        result: Any
        if work.trace is None:
            result = task.function(*work.args, **work.kwargs)
        else:
            result = Observed(task.function).of_sync(partial(task.function, *work.args, **work.kwargs))
        if work.seconds is not None:
            refuse_late()
        if result is None:
            return SUCCEEDED
        refuse_unrun(work.name, result)
        return kept(task, result)
    except BaseException as error:
        return error
