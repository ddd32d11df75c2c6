"""What the log says of jobs."""

from collections.abc import Callable

from postlude.clock import SECOND
from postlude.errors import Snooze
from postlude.messages.raised import is_a
from postlude.model.event.jobs import (
    ArgumentsChanged,
    AttemptUnsuccessful,
    BackoffFailed,
    EndStale,
    JobHangs,
    JobIgnoresCancel,
    JobOverran,
    JobReturned,
    JudgingFailed,
    RetryUnasked,
)
from postlude.model.outcome import Cancelled, Failed, Parked
from postlude.model.state import Reason
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, extra, named, of_job, with_traceback

JOBS = Log("postlude.jobs")
RUNNER = Log("postlude.runner")

_MOST_TOLD = 1000


class UnsuccessfulAttempts:
    """Says how attempts that were not successful have ended."""

    def __init__(self) -> None:
        self._parked: set[str] = set()
        """The tasks of which it was said that this release does not know them. Another one that does un-parks
        their jobs, and may not be the one that claims them: they come by often."""

    def say(self, event: AttemptUnsuccessful) -> None:
        """Say it."""
        match event.outcome:
            case Failed():
                self._failed(event, event.outcome)
            case Cancelled():
                self._cancelled(event, event.outcome)
            case Parked():
                self._was_parked(event, event.outcome)

    def _failed(self, event: AttemptUnsuccessful, outcome: Failed) -> None:
        job, fields = named(event), extra(event)
        if outcome.retry_at is not None:
            # The traceback is kept with the attempt; an hour's outage must not fill the log with it.
            wait = (outcome.retry_at - event.finished) / SECOND
            JOBS.warning(
                "job %s failed, attempt %d; the next is due in %.1f s: %s",
                job, event.attempt, wait, outcome.error, extra=fields,
            )  # fmt: skip
        elif event.error is None:
            JOBS.error("job %s failed: %s", job, outcome.error, extra=fields)
        elif outcome.reason is Reason.DEADLINE and is_a(event.error, Snooze):
            JOBS.error("job %s failed: it snoozes beyond its deadline", job, extra=fields)
        elif event.frames is None:  # its traceback came as text
            JOBS.error("job %s failed, attempt %d\n%s", job, event.attempt, outcome.traceback, extra=fields)
        else:
            raised = (type(event.error), event.error, event.frames)
            JOBS.error("job %s failed, attempt %d", job, event.attempt, exc_info=raised, extra=fields)

    @staticmethod
    def _cancelled(event: AttemptUnsuccessful, outcome: Cancelled) -> None:
        job, fields = named(event), extra(event)
        if outcome.reason is Reason.EXPIRED:
            JOBS.info("job %s has expired", job, extra=fields)
        elif outcome.reason is Reason.DISCARDED:
            reason = (outcome.error or "").removeprefix("Discard: ")
            JOBS.info("job %s discards itself: %s", job, reason, extra=fields)
        elif event.error is not None:
            JOBS.info("job %s was cancelled while it ran", job, extra=fields)

    def _was_parked(self, event: AttemptUnsuccessful, outcome: Parked) -> None:
        again = outcome.reason is Reason.UNKNOWN_TASK and event.task in self._parked
        say = JOBS.debug if again else JOBS.warning
        say("job %s is parked: %s", named(event), outcome.why, extra=extra(event))
        if outcome.reason is Reason.UNKNOWN_TASK and len(self._parked) < _MOST_TOLD:
            self._parked.add(event.task)


def _hangs(event: JobHangs) -> None:
    if event.replaced:
        text = "job %s hangs in its thread, which nothing can end; its place is replaced"
        JOBS.error(text, named(event), extra=extra(event))
    else:
        JOBS.error("%d threads hang: the place of job %s is not replaced", event.hung, named(event))


def arguments_changed(event: ArgumentsChanged) -> None:
    """Say which arguments a task has changed."""
    JOBS.info(
        "%s has changed its argument %s, which is a copy. If whoever called it is to see that, let "
        "it return what it has found (`await job.result()`), or keep that where both look",
        event.task, ", ".join(map(repr, event.names)),
    )  # fmt: skip


def lines() -> Lines:
    """Return what writes the line of each event."""
    ends: Callable[[AttemptUnsuccessful], None] = UnsuccessfulAttempts().say
    return {
        AttemptUnsuccessful: ends,
        EndStale: of_job(
            RUNNER.warning, "job %s: this attempt does not count; it had been written, or taken over, before"
        ),
        JobOverran: of_job(JOBS.warning, "job %s takes longer than its %g s", "seconds"),
        JobHangs: _hangs,
        JobReturned: of_job(
            JOBS.warning, "job %s has come to an end after all, long after its time was over"
        ),
        JobIgnoresCancel: of_job(
            JOBS.error, "job %s does not end although it was cancelled; its place is another's"
        ),
        JudgingFailed: lambda event: JOBS.error(
            "how job %s ended could not be judged; it has failed", named(event), exc_info=event.error
        ),
        BackoffFailed: lambda event: JOBS.error(
            "the backoff of %s failed; job %s waits a minute", event.task, named(event), exc_info=event.error
        ),
        RetryUnasked: with_traceback(
            JOBS.error,
            "Retry(on=..., unless=...) could not be asked about an error; it counts as one of them",
        ),
    }
