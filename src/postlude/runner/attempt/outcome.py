"""What the end of an attempt means: success, another attempt, or the end of its job."""

import asyncio
import random
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

from postlude.clock import SECOND
from postlude.errors import Discard, RetryLater, Snooze
from postlude.messages.raised import frames_of, is_a, kind_of, leaves_of, text_of, writable
from postlude.model.event.jobs import (
    AttemptEnded,
    AttemptInterrupted,
    AttemptUnsuccessful,
    BackoffFailed,
    JudgingFailed,
    RetryUnasked,
)
from postlude.model.outcome import Cancelled, Failed, Outcome, Snoozed, Succeeded
from postlude.model.overrides import read_opts
from postlude.model.retry import Retry
from postlude.model.state import Reason
from postlude.model.wait import Wait
from postlude.runner.attempt.work import Stopping, Work
from postlude.runner.executors.overtime import Overtime
from postlude.runner.executors.process.failures import ChildFailed, ProcessDied
from postlude.telemetry.events import Events

_PACKAGE: Final = __name__.partition(".")[0]

_DECISIONS: Final = (Snooze, RetryLater, Discard)
"""What a task raises to say what becomes of its job; of several in one group, the last of these counts."""


class Outcomes:
    """Turns what an attempt raised into its outcome.

    Args:
        rng: where the jitter of waits comes from.
        most: characters that are kept of a traceback.
        events: who is told of what the application's own part of it raises.
    """

    def __init__(self, rng: random.Random, most: int, events: Events) -> None:
        self._rng = rng
        self._events = events
        self._most = most

    def judge(self, work: Work, error: BaseException, now: int) -> Outcome:
        """Return what becomes of a job whose attempt raised.

        Args:
            work: whose attempt it was.
            error: what it raised.
            now: when (microseconds, UTC).
        """
        try:
            if work.trace is not None:  # the lines of log belong to it
                return work.trace.run(self._judged, work, error, now)
            return self._judged(work, error, now)
        except BaseException as own:
            self._events.emit(JudgingFailed(*work.identity, own))
            line = kind_of(error)
            failed = Failed(line, line)
            self._events.emit(ended(work, now, failed))
            return failed

    def _judged(self, work: Work, error: BaseException, now: int) -> Outcome:
        outcome: Outcome
        error = decided(error, now)
        if is_a(error, Snooze) and (due := due_of(error, now)) is not None:
            outcome = self._snoozed(work, error, due)
        elif is_a(error, Discard):
            outcome = Cancelled(Reason.DISCARDED, f"Discard: {text_of(error)}"[:1000])
        elif work.stopping is Stopping.CANCEL:
            outcome = self._cancelled(error)
        else:
            overtime = work.stopping is Stopping.TIMEOUT or is_a(error, Overtime)
            if overtime:
                error = _overtime(work, error)
            outcome = self._failed(work, error, now, overtime)
        self._events.emit(ended(work, now, outcome, error))
        return outcome

    def _snoozed(self, work: Work, error: BaseException, due: int) -> Outcome:
        end = _must_end_by(work)
        if end is not None and due >= end:
            return Failed(*describe(error, self._most), None, Reason.DEADLINE)
        return Snoozed(due)

    def _cancelled(self, error: BaseException) -> Outcome:
        if is_a(error, asyncio.CancelledError) or not is_own(error):
            return Cancelled()
        return Cancelled(None, *describe(error, self._most))

    def _failed(self, work: Work, error: BaseException, now: int, overtime: bool) -> Failed:
        retry_at = self._retry_at(work, error, now)
        end = _must_end_by(work)
        late = end is not None and (now if retry_at is None else retry_at) >= end
        if late:
            retry_at = None
        line, text = describe(error, self._most)
        timed_out = Reason.TIMED_OUT if overtime and retry_at is None else None
        return Failed(line, text, retry_at, Reason.DEADLINE if late else timed_out)

    def _retry_at(self, work: Work, error: BaseException, now: int) -> int | None:
        if work.once or work.task is None:
            return None
        retry = read_opts(work.given.opts).over(work.task.policy.retry)
        if work.failures + 1 >= retry.attempts:
            return None
        if is_a(error, RetryLater) and (due := due_of(error, now)) is not None:
            return due
        if not (is_a(error, Snooze) or is_a(error, RetryLater) or covered(retry, error, self._events)):
            return None
        try:
            return retry.next_due(work.failures + 1, now, self._rng)
        except BaseException as own:
            self._events.emit(BackoffFailed(*work.identity, own))
            return now + 60 * SECOND


def ended(work: Work, now: int, outcome: Outcome, error: BaseException | None = None) -> AttemptEnded:
    """Return the end of an attempt as an event.

    Args:
        work: whose attempt it was.
        now: when (microseconds, UTC).
        outcome: what it means.
        error: what it has raised; None: it has not begun, or returned.
    """
    about = (*work.identity, work.started, now, outcome)
    trace = work.traced.get("traceparent")
    if type(outcome) is Succeeded:
        return AttemptEnded(*about, trace=trace)
    frames = None if error is None or is_a(error, ChildFailed) else own_frames(error)
    return AttemptUnsuccessful(*about, error, frames, trace=trace)


def interrupted(works: Iterable[Work], events: Events) -> None:
    """Tell that attempts of these works, if they have begun, do not count any more."""
    if AttemptInterrupted in events.heard:
        for work in works:
            if work.started:
                events.emit(AttemptInterrupted(*work.identity))


def is_own(error: BaseException) -> bool:
    """Whether an error came from the task's own code, and not from ending its process."""
    return not is_a(error, ProcessDied)


def decided(error: BaseException, now: int) -> BaseException:
    """Return what a task has decided by what it raised; what it raised, if that is no decision.

    A group (`asyncio.TaskGroup` raises one) in which there is nothing but decisions stands for one of them:
    `Discard` rather than `RetryLater`, that rather than `Snooze`, and the one that waits longest. With an
    error among them, it is an error.

    Args:
        error: what it raised.
        now: when (microseconds, UTC).
    """
    if not is_a(error, BaseExceptionGroup):
        return error
    leaves = leaves_of(error)
    if not all(_rank(leaf) for leaf in leaves):
        return error
    return max(leaves, key=lambda leaf: (_rank(leaf), due_of(leaf, now) or 0))


def _rank(error: BaseException) -> int:
    """Return how much a decision counts beside others; 0: it is none."""
    return sum(rank for rank, kind in enumerate(_DECISIONS, start=1) if is_a(error, kind))


def due_of(error: BaseException, now: int) -> int | None:
    """Return when a task that raised this wants to run again; None: it did not say when."""
    wait = wait_in(error)
    return None if wait is None else wait.due(now)


def wait_in(error: BaseException) -> Wait | None:
    """Return the wait that a `Snooze` or a `RetryLater` asks for; None: it does not say."""
    try:
        wait: Any = error.wait  # type: ignore[attr-defined]
    except BaseException:  # of a subclass that has its own idea
        return None
    return wait if type(wait) is Wait else None


def covered(retry: Retry, error: BaseException, events: Events) -> bool:
    """Whether a policy follows an error with another attempt; also where the classes that it names fail."""
    if is_a(error, ChildFailed):
        return error.covered  # type: ignore[attr-defined,no-any-return]
    try:
        if not is_a(error, BaseExceptionGroup):
            return retry.covers(error)
        return retry.covers(error, [leaf for leaf in leaves_of(error) if not _rank(leaf)])
    except BaseException as own:
        events.emit(RetryUnasked(own))
        return True


def describe(error: BaseException, most: int) -> tuple[str, str]:
    """Return an error as one line, and its traceback without this package's frames, both capped.

    Args:
        error: what was raised; one from another process brings both texts with it.
        most: characters that are kept of the traceback.
    """
    if is_a(error, ChildFailed):
        line, text = error.told  # type: ignore[attr-defined]
    else:
        line, text = writable(_line_of(error)), writable(_traceback_of(error))
    if len(text) > most:
        text = f"{text[: most // 2]}\n... {len(text) - most} characters left out ...\n{text[-most // 2 :]}"
    return line[:1000], text


def _line_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception_only(error)).strip()
    except BaseException:
        return kind_of(error)


def own_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback of an error from where this package has called code of others; else all of it."""
    inner = whole = frames_of(error)
    while inner is not None and _is_ours(inner):
        inner = inner.tb_next
    return inner or whole


def _is_ours(frame: TracebackType) -> bool:
    return str(frame.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE


def _traceback_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, own_frames(error)))
    except BaseException:
        return _line_of(error)


def _overtime(work: Work, error: BaseException) -> TimeoutError:
    late = TimeoutError(f"the attempt took longer than {work.seconds:g} s")
    late.__cause__ = None if is_a(error, asyncio.CancelledError) or not is_own(error) else error
    return late.with_traceback(frames_of(BaseException.with_traceback(error, own_frames(error))))


def _must_end_by(work: Work) -> int | None:
    if work.task is None or not (work.given.opts or work.task.timed):
        return None
    return work.task.policy.must_end_by(read_opts(work.given.opts), work.created)
