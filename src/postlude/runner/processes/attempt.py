"""One attempt in the other process: from the order to the answer."""

import asyncio
import importlib
from types import CoroutineType
from typing import Any, NamedTuple

from postlude.errors import Discard, RetryLater, Snooze
from postlude.runner.current import CURRENT, CurrentJob
from postlude.runner.judging import describe, text_of
from postlude.runner.processes.messages import Answer, Order
from postlude.tasks.process import task_at
from postlude.tasks.task import Task


class Ending(NamedTuple):
    """How an attempt ended, and its result's bytes."""

    answer: Answer
    result: bytes | None = None


def attempt(order: Order, payload: bytes, current: CurrentJob, max_error: int) -> Ending:
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
        value = context.run(task.function, *args, **kwargs)
        del args, kwargs, context
        return _returned(task, value)
    except BaseException as error:  # SystemExit too: what a task raises does not end the process
        return Ending(_raised(task, error, current, max_error))


def _returned(task: Task[..., Any], value: Any) -> Ending:
    if value is None:
        return Ending(_answer("returned"))
    if value.__class__ is CoroutineType:
        value.close()
        raise TypeError(f"{task.name} is not async but returned a coroutine; leave run= out and await it")
    result, dropped = task.encode_result(value)
    return Ending(_answer("returned", kept=result is not None, dropped=dropped), result)


def _raised(task: Task[..., Any] | None, error: BaseException, current: CurrentJob, max_error: int) -> Answer:
    match error:
        case Snooze():
            return _answer("snooze", seconds=float(error.seconds))
        case Discard():
            return _answer("discard", text=text_of(error))
        case RetryLater():
            return _answer("later", seconds=float(error.seconds), text=text_of(error))
        case asyncio.CancelledError() if current.cancelled:
            return _answer("stopped", text=text_of(error))
    line, traceback = describe(error, max_error)
    covered = task is None or task.policy.retry.covers(error)
    return _answer("raised", text=line, traceback=traceback, covered=covered)


def _answer(kind: str, **fields: Any) -> Answer:
    return Answer(kind, **fields)
