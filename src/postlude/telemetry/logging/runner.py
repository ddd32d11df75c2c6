"""What the log says of runners."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from postlude.errors import PostludeError
from postlude.model.event import runner as event
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, Seldom, line, named, with_traceback
from postlude.telemetry.startup_log import announce, count_of

POSTLUDE: Final = Log("postlude")
RUNNER: Final = Log("postlude.runner")
JOBS: Final = Log("postlude.jobs")

_NAMED: Final = 5


class WhileAway:
    """Says what fails again and again while the journal is away."""

    def __init__(self) -> None:
        self._seldom = Seldom()

    def lines(self) -> Lines:
        """Return what writes the line of each event."""
        return {
            event.ClaimsFailed: lambda told: self._say(f"no jobs could be claimed: {told.error}"),
            event.LeaseUnrenewed: self._lease_unrenewed,
            event.RejoinFailed: lambda told: self._say(
                f"joining the journal's runners again failed: {told.error}"
            ),
            event.DutyFailed: self._duty_failed,
            event.EndsRefused: self._ends_refused,
        }

    def _say(self, text: str, key: str | None = None) -> None:
        self._seldom(lambda text: RUNNER.warning("%s", text), text, key)

    def _ends_refused(self, told: event.EndsRefused) -> None:
        again = f"not written; they are offered again: {told.error}"
        self._say(f"{told.ends} ends of jobs were {again}", f"ends {again}")

    def _lease_unrenewed(self, told: event.LeaseUnrenewed) -> None:
        if told.error is None:
            self._say("the journal took more than a lease to renew the runner's lease")
        else:
            self._say(f"the runner's lease could not be renewed: {told.error}")

    def _duty_failed(self, told: event.DutyFailed) -> None:
        if isinstance(told.error, PostludeError):
            self._say(f"the journal cannot be looked after now: {told.error}")
        else:
            text, error = "housekeeping met an error of its own; it goes on", told.error
            self._seldom(lambda text: RUNNER.error("%s", text, exc_info=error), text, repr(error))


def _loop_stalled(told: event.LoopStalled) -> None:
    RUNNER.error(
        "the event loop has not turned for %.1f s; it is running %s; %d waiting jobs were released "
        "for other processes; its stack:\n%s",
        told.seconds, f"job {named(told.running)}" if told.running else "no job of ours", told.released,
        told.stack or "  (unknown)",
    )  # fmt: skip


def _slot_refused(told: event.SlotRefused) -> None:
    if told.slot is event.Slot.PROCESS:
        RUNNER.error("no process can be started for jobs that wait; it is tried again: %s", told.error)
    elif told.slot is event.Slot.SIDE_THREAD:
        JOBS.error("no thread can be started for a sync job; it is tried again: %s", told.error)
    else:
        JOBS.error(
            "no thread can be started for the %d sync jobs that wait; it is tried again: %s",
            told.waiting, told.error,
        )  # fmt: skip


def _slots_taken(told: event.SlotsTaken) -> None:
    places = len(told.waiting)
    RUNNER.warning(
        "all places that this process has (Config(%s=%d)) are taken by jobs that wait for the results of "
        "others (%s for %s), which cannot start: they wait for ever. Let fewer of them run at once "
        "(limit=Limit(concurrent=%d) on those that wait), raise %s, or do not wait inside of a job: let "
        "the one that ends last go on",
        told.setting, places, _sorted(told.waiting), _sorted(told.awaited), max(1, places // 2), told.setting,
    )  # fmt: skip


def _sorted(names: Sequence[str]) -> str:
    return ", ".join(sorted(set(names)))


def _loop_closed(told: event.LoopClosed) -> None:
    match told.missed:
        case event.Missed.START:
            job = named(told.job) if told.job else "?"
            RUNNER.debug("job %s was not started, and its event loop has closed", job)
        case event.Missed.PROGRESS:
            RUNNER.debug("a job said how far it is after its event loop had closed")
        case event.Missed.END:
            JOBS.warning("a job ended after its event loop had closed; it will run again")


def _done_again(told: event.DutiesDone) -> None:
    failed = count_of(told.failures, "attempt has", "attempts have")
    RUNNER.warning("the journal is looked after again; %s failed", failed)


def _buried(told: event.RunnersBuried) -> None:
    say = RUNNER.warning if told.released or told.ended else RUNNER.info
    say("%s", in_words(told))


def in_words(told: event.RunnersBuried) -> str:
    """Say what the death of processes has meant for their jobs."""
    runners, again, failed = told.runners, told.released, told.ended
    parts = [f"{runners} {'process' if runners == 1 else 'processes'} of the journal {_has(runners)} died"]
    theirs = "its" if runners == 1 else "their"
    if again == 1:
        parts.append(f"1 of {theirs} jobs runs again")
    elif again:
        parts.append(f"{again} of {theirs} jobs run again, those that had started one at a time")
    if failed:
        parts.append(f"{failed} of {theirs} jobs {_has(failed)} failed: `postlude jobs --state failed`")
    return "; ".join(parts)


def _has(number: int) -> str:
    return "has" if number == 1 else "have"


def _draining(told: event.Draining) -> None:
    jobs = count_of(len(told.jobs), "job", "jobs")
    announce(f"waiting up to {told.grace:g} s (Config.grace) for {jobs}: {_list(told.jobs)}")


def _list(jobs: Sequence[event.JobName]) -> str:
    """Name jobs, the first ones of many."""
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    return ", ".join(map(named, islice(jobs, _NAMED))) + more


def _grace_over(told: event.GraceOver) -> None:
    jobs = count_of(len(told.jobs), "job", "jobs")
    RUNNER.warning("the grace period is over, %s released: %s", jobs, _list(told.jobs))


LINES: Final[Lines] = {
    event.ClaimsReleased: line(
        RUNNER.warning, "%d claims, made while the journal failed, are released", "claims"
    ),
    event.ReleaseFailed: line(
        RUNNER.warning, "claims could not be given back; they are once more: %s", "error"
    ),
    event.LeaseLost: line(
        RUNNER.warning, "this process was taken for dead (it slept, or was stopped); it joins again"
    ),
    event.ParentGone: line(
        RUNNER.warning, "this process's parent has gone: it claims nothing more, and ends what it runs"
    ),
    event.HeartbeatFailed: with_traceback(
        RUNNER.error, "the heartbeat met an error of its own; it goes on"
    ),
    event.LoopStalled: _loop_stalled,
    event.StallLimitReached: line(
        RUNNER.critical, "the event loop hangs beyond stall_limit; the process exits"
    ),
    event.SlotRefused: _slot_refused,
    event.ProcessLost: line(
        RUNNER.warning, "an idle process of the pool %s; it is replaced when it is needed", "how"
    ),
    event.SlotsTaken: _slots_taken,
    event.CancelFailed: with_traceback(
        JOBS.error, "what %s waits for could not be cancelled", "task"
    ),
    event.LoopClosed: _loop_closed,
    event.DutiesDone: _done_again,
    event.RunnersBuried: _buried,
    event.Draining: _draining,
    event.GraceOver: _grace_over,
    event.NoLifespan: line(
        POSTLUDE.warning,
        "no lifespan runs on this event loop: jobs run inside the requests that added them "
        "(start the server with lifespan, or use `with TestClient(app)`, for a runner of its own; of an "
        "application that is mounted in another no lifespan runs: give the outer one the Postlude)",
    ),
    event.InlineFailed: line(POSTLUDE.warning, "jobs stay in the journal and run later: %s", "error"),
    event.InlineLookFailed: line(
        POSTLUDE.warning, "what waits in the journal could not be looked at: %s", "error"
    ),
    event.InlineCancelled: line(
        POSTLUDE.debug, "%d jobs of a cancelled request wait for another call", "jobs"
    ),
}  # fmt: skip
