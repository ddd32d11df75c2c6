"""One attempt in the other process: from the order to the answer."""

import asyncio
import importlib
import time
from typing import Any, Final, NamedTuple

from postlude.errors import Discard, RetryLater, Snooze
from postlude.jobs.current import CURRENT, CurrentJob
from postlude.messages.raised import is_a, text_of
from postlude.runner.attempt.outcome import covered, decided, describe, wait_in
from postlude.runner.attempt.unrun import refuse_unrun
from postlude.runner.executors.process.messages import Answer, RunJob
from postlude.tasks.process import task_at
from postlude.tasks.task import Task
from postlude.telemetry.carrying import arrived
from postlude.telemetry.process import EVENTS

_KINDS: Final = {Snooze: "snooze", Discard: "discard", RetryLater: "later"}


class Ending(NamedTuple):
    """How an attempt ended, and its result's bytes."""

    answer: Answer
    result: bytes | None = None


def attempt(order: RunJob, payload: bytes, current: CurrentJob, max_error: int) -> Ending:
    """Run a job; whatever happens becomes an answer.

    Args:
        order: what to run.
        payload: its arguments, as the journal keeps them.
        current: what the task sees of its job.
        max_error: characters that are kept of an error's traceback.
    """
    task: Task[..., Any] | None = None
    try:
        task = task_at(importlib.import_module(order.module), order.place, order.task)
        args, kwargs = task.decode(payload)
        context = task.carried.context(order.context)
        context.run(CURRENT.set, current)
        for carrier in task.carried.carriers:
            context.run(arrived, carrier)
        value = context.run(task.function, *args, **kwargs)
        del args, kwargs, context
        return _returned(task, value)
    except BaseException as error:  # SystemExit too: what a task raises does not end the process
        return Ending(_raised(task, error, current, max_error))


def _returned(task: Task[..., Any], value: Any) -> Ending:
    if value is None:
        return Ending(_answer("returned"))
    refuse_unrun(task.name, value)
    result, dropped = task.encode_result(value)
    return Ending(_answer("returned", kept=result is not None, dropped=dropped), result)


def _raised(task: Task[..., Any] | None, error: BaseException, current: CurrentJob, max_error: int) -> Answer:
    error = decided(error, time.time_ns() // 1000)
    for kind, name in _KINDS.items():
        if is_a(error, kind):
            return _answer(name, wait=wait_in(error), text=text_of(error))
    if current.cancelled and is_a(error, asyncio.CancelledError):
        return _answer("stopped", text=text_of(error))
    line, traceback = describe(error, max_error)
    again = task is None or covered(task.policy.retry, error, EVENTS)
    return _answer("raised", text=line, traceback=traceback, covered=again)


def _answer(kind: str, **fields: Any) -> Answer:
    return Answer(kind, **fields)
