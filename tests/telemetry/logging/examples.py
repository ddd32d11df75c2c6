"""An example of each kind of event that the log has a line for, and that line."""

import os
from pathlib import Path
from typing import Final

from postlude.errors import JournalUnavailable, Snooze
from postlude.model.event import Event, broker, journal, request, runner, schedules, worker
from postlude.model.event import jobs as job
from postlude.model.event.journal import DamagedRow, Harm, MendedNumber, WalReader
from postlude.model.event.runner import JobName
from postlude.model.ids import id_text
from postlude.model.outcome import Cancelled, Failed, Parked
from postlude.model.state import Reason

ID: Final = bytes(range(16))
NAME: Final = f"app:f ({id_text(ID)})"
ABOUT: Final = (ID, "app:f", "mail", 2)
TIMES: Final = (1_000_000, 2_000_000)
ERROR: Final = ValueError("seven")
DOWN: Final = JournalUnavailable("the disk is full")
JOBS: Final = "postlude.jobs"
RUNNER: Final = "postlude.runner"
ROOT: Final = "postlude"
WORKER: Final = "postlude.worker"
BROKER: Final = "postlude.broker"


def raised() -> ValueError:
    try:
        raise ERROR
    except ValueError as error:
        return error


FRAMES: Final = raised().__traceback__


def ended(outcome: Failed | Cancelled | Parked, error: BaseException | None = ERROR) -> Event:
    return job.AttemptUnsuccessful(*ABOUT, *TIMES, outcome, error, FRAMES if error else None)


def names(number: int) -> list[JobName]:
    return [JobName(ID, f"t{each}") for each in range(number)]


Line = tuple[Event, str, str, str]

OF_JOBS: Final[list[Line]] = [
    (
        ended(Failed("ValueError: seven", "...")),
        JOBS, "ERROR", f"job {NAME} failed, attempt 2",
    ),
    (
        ended(Failed("ValueError: seven", "...", 62_000_000)),
        JOBS, "WARNING", f"job {NAME} failed, attempt 2; the next is due in 60.0 s: ValueError: seven",
    ),
    (
        job.AttemptUnsuccessful(*ABOUT, *TIMES, Failed("ValueError: seven", "its text"), ERROR, None),
        JOBS, "ERROR", f"job {NAME} failed, attempt 2\nits text",
    ),
    (
        ended(Failed("TimeoutError: too late", "...", None, Reason.DEADLINE), None),
        JOBS, "ERROR", f"job {NAME} failed: TimeoutError: too late",
    ),
    (
        ended(Failed("Snooze: again", "...", None, Reason.DEADLINE), Snooze(5)),
        JOBS, "ERROR", f"job {NAME} failed: it snoozes beyond its deadline",
    ),
    (ended(Cancelled(Reason.EXPIRED), None), JOBS, "INFO", f"job {NAME} has expired"),
    (
        ended(Cancelled(Reason.DISCARDED, "Discard: no such order")),
        JOBS, "INFO", f"job {NAME} discards itself: no such order",
    ),
    (ended(Cancelled()), JOBS, "INFO", f"job {NAME} was cancelled while it ran"),
    (
        ended(Parked(Reason.UNKNOWN_TASK, "", "'app:f' is not declared as a task"), None),
        JOBS, "WARNING", f"job {NAME} is parked: 'app:f' is not declared as a task",
    ),
    (
        job.EndStale(*ABOUT),
        RUNNER, "WARNING",
        f"job {NAME}: this attempt does not count; it had been written, or taken over, before",
    ),
    (job.JobOverran(*ABOUT, 1.5), JOBS, "WARNING", f"job {NAME} takes longer than its 1.5 s"),
    (
        job.JobHangs(*ABOUT, 1, True),
        JOBS, "ERROR", f"job {NAME} hangs in its thread, which nothing can end; its place is replaced",
    ),
    (
        job.JobHangs(*ABOUT, 8, False),
        JOBS, "ERROR", f"8 threads hang: the place of job {NAME} is not replaced",
    ),
    (
        job.JobReturned(*ABOUT),
        JOBS, "WARNING", f"job {NAME} has come to an end after all, long after its time was over",
    ),
    (
        job.JobIgnoresCancel(*ABOUT),
        JOBS, "ERROR", f"job {NAME} does not end although it was cancelled; its place is another's",
    ),
    (
        job.JudgingFailed(*ABOUT, ERROR),
        JOBS, "ERROR", f"how job {NAME} ended could not be judged; it has failed",
    ),
    (
        job.BackoffFailed(*ABOUT, ERROR),
        JOBS, "ERROR", f"the backoff of app:f failed; job {NAME} waits a minute",
    ),
    (
        job.RetryUnasked(ERROR),
        JOBS, "ERROR",
        "Retry(on=..., unless=...) could not be asked about an error; it counts as one of them",
    ),
    (
        job.ArgumentsChanged("app:f", ["rows"]),
        JOBS, "INFO",
        "app:f has changed its argument 'rows', which is a copy. If whoever called it is to see that, let "
        "it return what it has found (`await job.result()`), or keep that where both look",
    ),
]  # fmt: skip

OF_RUNNERS: Final[list[Line]] = [
    (runner.ClaimsFailed(DOWN), RUNNER, "WARNING", f"no jobs could be claimed: {DOWN}"),
    (
        runner.ClaimsReleased(3),
        RUNNER, "WARNING", "3 claims, made while the journal failed, are released",
    ),
    (
        runner.ReleaseFailed(DOWN),
        RUNNER, "WARNING", f"claims could not be given back; they are once more: {DOWN}",
    ),
    (
        runner.EndsRefused(3, DOWN),
        RUNNER, "WARNING", f"3 ends of jobs were not written; they are offered again: {DOWN}",
    ),
    (
        runner.LeaseUnrenewed(DOWN),
        RUNNER, "WARNING", f"the runner's lease could not be renewed: {DOWN}",
    ),
    (
        runner.LeaseUnrenewed(None),
        RUNNER, "WARNING", "the journal took more than a lease to renew the runner's lease",
    ),
    (
        runner.LeaseLost(),
        RUNNER, "WARNING", "this process was taken for dead (it slept, or was stopped); it joins again",
    ),
    (
        runner.RejoinFailed(DOWN),
        RUNNER, "WARNING", f"joining the journal's runners again failed: {DOWN}",
    ),
    (
        runner.ParentGone(),
        RUNNER, "WARNING", "this process's parent has gone: it claims nothing more, and ends what it runs",
    ),
    (
        runner.HeartbeatFailed(ERROR),
        RUNNER, "ERROR", "the heartbeat met an error of its own; it goes on",
    ),
    (
        runner.LoopStalled(15.04, JobName(ID, "app:f"), 7, "  File x\n"),
        RUNNER, "ERROR",
        f"the event loop has not turned for 15.0 s; it is running job {NAME}; 7 waiting jobs were released "
        "for other processes; its stack:\n  File x\n",
    ),
    (
        runner.LoopStalled(15.04, None, 0, ""),
        RUNNER, "ERROR",
        "the event loop has not turned for 15.0 s; it is running no job of ours; 0 waiting jobs were "
        "released for other processes; its stack:\n  (unknown)",
    ),
    (
        runner.StallLimitReached(),
        RUNNER, "CRITICAL", "the event loop hangs beyond stall_limit; the process exits",
    ),
    (
        runner.SlotRefused(runner.Slot.THREAD, 2, ERROR),
        JOBS, "ERROR", "no thread can be started for the 2 sync jobs that wait; it is tried again: seven",
    ),
    (
        runner.SlotRefused(runner.Slot.SIDE_THREAD, 1, ERROR),
        JOBS, "ERROR", "no thread can be started for a sync job; it is tried again: seven",
    ),
    (
        runner.SlotRefused(runner.Slot.PROCESS, 2, ERROR),
        RUNNER, "ERROR", "no process can be started for jobs that wait; it is tried again: seven",
    ),
    (
        runner.ProcessLost("was ended by SIGKILL"),
        RUNNER, "WARNING",
        "an idle process of the pool was ended by SIGKILL; it is replaced when it is needed",
    ),
    (
        runner.SlotsTaken("threads", ["b", "a", "b", "b"], ["d", "c"]),
        RUNNER, "WARNING",
        "all places that this process has (Config(threads=4)) are taken by jobs that wait for the results of "
        "others (a, b for c, d), which cannot start: they wait for ever. Let fewer of them run at once "
        "(limit=Limit(concurrent=2) on those that wait), raise threads, or do not wait inside of a job: let "
        "the one that ends last go on",
    ),
    (
        runner.CancelFailed("app:f", ERROR),
        JOBS, "ERROR", "what app:f waits for could not be cancelled",
    ),
    (
        runner.LoopClosed(runner.Missed.START, JobName(ID, "app:f")),
        RUNNER, "DEBUG", f"job {NAME} was not started, and its event loop has closed",
    ),
    (
        runner.LoopClosed(runner.Missed.PROGRESS),
        RUNNER, "DEBUG", "a job said how far it is after its event loop had closed",
    ),
    (
        runner.LoopClosed(runner.Missed.END),
        JOBS, "WARNING", "a job ended after its event loop had closed; it will run again",
    ),
    (runner.DutyFailed(DOWN), RUNNER, "WARNING", f"the journal cannot be looked after now: {DOWN}"),
    (runner.DutiesDone(7), RUNNER, "WARNING", "the journal is looked after again; 7 attempts have failed"),
    (
        runner.DutyFailed(ERROR),
        RUNNER, "ERROR", "housekeeping met an error of its own; it goes on",
    ),
    (runner.RunnersBuried(1, 0, 0), RUNNER, "INFO", "1 process of the journal has died"),
    (
        runner.RunnersBuried(1, 1, 2),
        RUNNER, "WARNING",
        "1 process of the journal has died; 1 of its jobs runs again; "
        "2 of its jobs have failed: `postlude jobs --state failed`",
    ),
    (
        runner.Draining(10.0, names(7)),
        ROOT, "INFO",
        "waiting up to 10 s (Config.grace) for 7 jobs: "
        + ", ".join(f"t{each} ({id_text(ID)})" for each in range(5)) + " and 2 more",
    ),
    (
        runner.GraceOver(names(2)),
        RUNNER, "WARNING",
        f"the grace period is over, 2 jobs released: t0 ({id_text(ID)}), t1 ({id_text(ID)})",
    ),
    (
        runner.GraceOver(names(6)),
        RUNNER, "WARNING",
        "the grace period is over, 6 jobs released: "
        + ", ".join(f"t{each} ({id_text(ID)})" for each in range(5)) + " and 1 more",
    ),
    (
        runner.NoLifespan(),
        ROOT, "WARNING",
        "no lifespan runs on this event loop: jobs run inside the requests that added them "
        "(start the server with lifespan, or use `with TestClient(app)`, for a runner of its own; of an "
        "application that is mounted in another no lifespan runs: give the outer one the Postlude)",
    ),
    (runner.InlineFailed(DOWN), ROOT, "WARNING", f"jobs stay in the journal and run later: {DOWN}"),
    (
        runner.InlineLookFailed(DOWN),
        ROOT, "WARNING", f"what waits in the journal could not be looked at: {DOWN}",
    ),
    (
        runner.InlineCancelled(2),
        ROOT, "DEBUG", "2 jobs of a cancelled request wait for another call",
    ),
]  # fmt: skip

PATH: Final = Path("/srv/jobs.db")
JOURNAL: Final = "postlude.journal"
ADVICE: Final = "stop the application before its journal's files are moved, replaced or removed"
SAFE: Final = f"nothing was lost; {ADVICE}"
STOP: Final = "stop every process of the application"
NO_SPACE: Final = OSError("no space")
SAVED: Final = Path("/srv/jobs.db.saved")

OF_JOURNALS: Final[list[Line]] = [
    (
        journal.WriterFailed(ERROR),
        JOURNAL, "ERROR", "the journal's writer met an error of its own; it goes on",
    ),
    (
        journal.DisownFailed(ERROR),
        JOURNAL, "ERROR", "jobs whose callers were told 503 could not be cancelled; they will run",
    ),
    (journal.JournalFailed(PATH, ERROR), JOURNAL, "ERROR", f"the journal {PATH} failed: seven"),
    (journal.JournalReopened(PATH), JOURNAL, "WARNING", f"the journal {PATH} is open again"),
    (journal.CloseFailed(PATH, ERROR), JOURNAL, "ERROR", "closing the journal's connection failed"),
    (
        journal.JournalShared(PATH, ["shop", "mail"], "books"),
        JOURNAL, "WARNING",
        f"the journal {PATH} was used by another application (shop, mail) so far, and is opened by books: "
        "each runs the jobs whose tasks it knows by name; give each its own with store=, unless that is "
        "meant",
    ),
    *[
        (
            journal.JournalCopied(PATH, host),
            JOURNAL, "WARNING",
            f"the journal {PATH} is a copy, or a backup that was put back (made on {where}): jobs that had "
            "not ended in it run, also those that have ended since; those that ran when it was made follow "
            "when the lease of the process that ran them is over, although the original, if it is still in "
            "use, runs them too",
        )
        for host, where in (("web1", "web1"), (None, "an unknown host"))
    ],
    (
        journal.JournalMended(PATH, Harm.INDEX_LOST),
        JOURNAL, "ERROR",
        f"the -shm file of the journal {PATH} was removed while it was in use; it is made anew; {SAFE}",
    ),
    (
        journal.JournalMended(PATH, Harm.WAL_LOST),
        JOURNAL, "ERROR", f"the WAL of the journal {PATH} was removed in use; it is made anew; {SAFE}",
    ),
    (
        journal.JournalMended(PATH, Harm.DATABASE_LOST),
        JOURNAL, "ERROR", f"the journal {PATH} was removed in use; it was written anew; {SAFE}",
    ),
    (
        journal.JournalMended(PATH, Harm.REPLACED),
        JOURNAL, "ERROR",
        f"the journal {PATH} was removed while it was in use; another process has written it anew; {SAFE}",
    ),
    (
        journal.JournalMended(PATH, Harm.DAMAGED, SAVED),
        JOURNAL, "ERROR",
        f"the files of the journal {PATH} were cut short or overwritten in use; it was written anew, and the "
        f"damaged file is {SAVED}; {SAFE}",
    ),
    (
        journal.JournalShut(PATH, Harm.REPLACED, "why", SAVED),
        JOURNAL, "CRITICAL",
        f"why; what it held was saved to {SAVED}; put its files back; or {STOP}, put the saved copy at "
        f"{PATH} if its jobs are wanted, and start it anew",
    ),
    (
        journal.JournalShut(PATH, Harm.WAL_LOST, "why", None, NO_SPACE),
        JOURNAL, "CRITICAL",
        f"why; what it held could not be saved (OSError: no space); {STOP}, put the saved copy at {PATH} "
        "without the old -wal and -shm files, and start it anew",
    ),
    (
        journal.JournalShut(PATH, Harm.UNFOLDED, "why", None, NO_SPACE),
        JOURNAL, "CRITICAL",
        "why; it cannot be folded (OSError: no space); do not stop the application, which alone has what was "
        "accepted last: mend the disk, or make room on it",
    ),
    (
        journal.JournalDoubtful(PATH, "virtiofs"),
        JOURNAL, "WARNING",
        f"the journal {PATH} is on a file system (virtiofs) that has damaged databases; put it on a disk of "
        "the system that the application runs on (in a container: a volume, no folder of the host)",
    ),
    (
        journal.ServerPooled("postgresql://***/shop"),
        ROOT, "INFO",
        "a pooler stands before the server of the journal postgresql://***/shop: this process looks for jobs "
        "of others four times a second instead of listening, and it is taken for dead by its lease alone; a "
        "URL of the server itself is quicker at both",
    ),
    (
        journal.TransactionHeld("postgresql://***/shop", 7, "report", 31),
        JOURNAL, "WARNING",
        "journal postgresql://***/shop: process 7 of the server (application_name 'report') has had a "
        "transaction open for 31 s; as long as it has, PostgreSQL cannot clean up behind jobs, and claims "
        "get slower: let it commit, or end it with pg_terminate_backend",
    ),
    (
        journal.JournalShut(PATH, Harm.DATABASE_LOST, "why", None, NO_SPACE),
        JOURNAL, "CRITICAL",
        f"why; it cannot be written anew (OSError: no space); put its files back; or {STOP}, put the saved "
        f"copy, if there is one, at {PATH}, and start it anew",
    ),
    (
        journal.JournalShut(PATH, Harm.DATABASE_LOST, "why", SAVED, NO_SPACE),
        JOURNAL, "CRITICAL",
        f"why; what it held was saved to {SAVED} (OSError: no space); put its files back; or {STOP}, put the "
        f"saved copy, if there is one, at {PATH}, and start it anew",
    ),
    (
        journal.JournalShut(PATH, Harm.DAMAGED, "why"),
        JOURNAL, "CRITICAL",
        f"why; {STOP}, put a backup at {PATH} without the old -wal and -shm files, and start it anew",
    ),
    (journal.JournalInPlace(PATH), JOURNAL, "WARNING", f"the journal {PATH} is in its place again"),
    (
        journal.JournalGone(PATH),
        JOURNAL, "WARNING",
        f"there was a journal at {PATH}, and it is gone: a new one is made, without its jobs",
    ),
    (journal.JournalMadeTwice(PATH), JOURNAL, "DEBUG", f"another process made {PATH} at the same time"),
    (
        journal.JournalTightened(PATH),
        JOURNAL, "WARNING", f"the journal {PATH} was readable by others; it is now mode 0600",
    ),
    (
        journal.FolderTightened(PATH),
        JOURNAL, "WARNING", f"the folder {PATH} was open to others; it is now mode 0700",
    ),
    (journal.MarksRemoved(PATH), JOURNAL, "ERROR", f"{PATH} was removed in use; it is made anew; {ADVICE}"),
    (
        journal.MarksRemoved(PATH, NO_SPACE),
        JOURNAL, "ERROR", f"{PATH} was removed in use, and cannot be made anew: no space",
    ),
    *[
        (journal.JournalRepaired(PATH, [change]), JOURNAL, "ERROR", f"the journal {PATH}: {text}")
        for change, text in (
            (DamagedRow("task_name", "3", "name is 7"), "a task's name is 7; its jobs will be parked"),
            (
                DamagedRow("runner", "3", "pid is 'x'"),
                "of a process's row, pid is 'x'; it is removed, and what that process held is given to "
                "others",
            ),
            (
                DamagedRow("pause", "queue mail", "name is 7"),
                "of the pause of queue mail, name is 7; removed, until somebody says it again",
            ),
            (DamagedRow("job", "01a2", "due is 'x'"), "the row of job 01a2 is damaged (due is 'x')"),
            (
                DamagedRow("job", "01a2", "due is 'x'", True),
                "the row of job 01a2 is damaged (due is 'x'); it is parked",
            ),
            (MendedNumber("job", 2**63, 8), f"the number of a job was {2**63}; it is 8 now"),
            (MendedNumber("process", 2**63), f"the number of a process was {2**63}; its row is removed"),
            (MendedNumber(), "the next number of a job or a process was damaged; it is counted again"),
        )
    ],
    (
        journal.RepairFailed(PATH, ERROR),
        JOURNAL, "WARNING", f"the journal {PATH} could not be looked through: seven",
    ),
    *[
        (
            journal.WalGrew(PATH, 41_000_000, readers),
            JOURNAL, "WARNING",
            f"the WAL of the journal {PATH} has grown to 41 MB, because {who} reads the journal all the "
            "time, in one transaction; it shrinks once that has ended",
        )
        for readers, who in (
            ([], "another program"),
            ([WalReader(12345678, None)], "process 12345678"),
            ([WalReader(0, None)], "a process that is not seen from here"),
            ([WalReader(1, "init"), WalReader(os.getpid(), "x")], "process 1 (init) and this very process"),
        )
    ],
    (journal.WalFolded(PATH), JOURNAL, "WARNING", f"the WAL of the journal {PATH} is folded again"),
    (
        journal.FoldFailed(PATH, ERROR),
        JOURNAL, "WARNING", f"the WAL of {PATH} could not be folded, and grows: seven",
    ),
]  # fmt: skip

KINDS: Final = [request.MemoryKind(f"t{each}", f"shop.py:{each}") for each in range(12)]

OF_REQUESTS: Final[list[Line]] = [
    (request.KeyConflict(ERROR), ROOT, "WARNING", "a request was answered 409: seven"),
    (
        request.JobsLost(["a", "b"], ERROR),
        ROOT, "ERROR", "The journal did not take the jobs of a failed request: a, b",
    ),
    (
        request.LimitsUntold(DOWN),
        ROOT, "WARNING", f"the journal was not told of limits and rates; it is told again: {DOWN}",
    ),
    (
        request.NobodyRuns("memory"),
        ROOT, "WARNING",
        "no living process runs the jobs of this journal (memory), this one neither: they wait until one "
        "does. Start the application's server, with its lifespan; without one (`--lifespan off`), jobs "
        "run only while requests come",
    ),
    (
        request.RunnersUnknown(DOWN),
        ROOT, "DEBUG", f"whether anybody runs jobs could not be found out: {DOWN}",
    ),
    (request.StreamEnded(DOWN), ROOT, "WARNING", f"a stream of events ends before its job: {DOWN}"),
    (
        request.MemoryOnly("remove", "shop.py:7", "it is a library's"),
        ROOT, "WARNING", "shop.py:7: remove is not durable and runs in memory only: it is a library's",
    ),
    (
        request.MemoryOnly(None, "shop.py:7", "5 cannot be called"),
        ROOT, "WARNING", "shop.py:7: this cannot run, and will fail after the response: 5 cannot be called",
    ),
    (
        request.MemorySummed(1, KINDS[:1], False),
        ROOT, "INFO",
        "1 task of 1 kind ran in memory only, and would not have survived a crash: t0 (shop.py:0); "
        "postlude.counters.memory_tasks says why",
    ),
    (
        request.MemorySummed(40, KINDS, True),
        ROOT, "INFO",
        "40 tasks of 12 kinds ran in memory only, and would not have survived a crash: "
        + ", ".join(f"t{each} (shop.py:{each})" for each in range(10))
        + " and 2 more; postlude.counters.memory_tasks says why. Instead of a method of an object, add a "
        "function that makes the object again",
    ),
    (request.MemoryTaskFailed("f", ERROR), ROOT, "ERROR", "A background task in memory failed: f"),
    (
        request.PassthroughFailed("app:f", ERROR),
        JOBS, "ERROR", "app:f failed; Postlude is off, so it ran in memory",
    ),
    (
        request.TurnsDropped(2),
        ROOT, "ERROR", "A cancelled request dropped 2 tasks that have no durable form",
    ),
    (
        request.TaskDropped(ERROR),
        ROOT, "ERROR", "A failed request dropped a task that cannot be kept: seven",
    ),
    *[
        (
            request.ResultDropped("app:f", part, "is a set"),
            JOBS, "WARNING",
            f"app:f: what it returned is not kept: it{has} is a set. Annotate what the function returns with "
            "a type that pydantic restores, or store the data and return its key (this is said once)",
        )
        for part, has in (("", ""), ("rows[0]", " has a part 'rows[0]' that"))
    ],
    (
        request.ContextUnlisted("tenant"),
        ROOT, "DEBUG", "a job's context has 'tenant', which context= does not list; left out",
    ),
    (
        request.ContextUnread(),
        ROOT, "DEBUG", "a job's context is not the JSON of this version; left out",
    ),
    (
        request.DrainFailed(ERROR),
        ROOT, "ERROR", "Draining failed; the application's shutdown goes on",
    ),
    (
        request.StatusRouteMissing(),
        ROOT, "WARNING",
        "tasks.accepted(...) gave an answer without Location: the application has no status route "
        "whose path can be filled; app.include_router(postlude.router(prefix='/jobs')) adds one",
    ),
    (
        request.AddTaskWrapped("shop: traced"),
        ROOT, "WARNING",
        "add_task is wrapped (shop: traced) and given another function than the one that is added; jobs run "
        "the function itself, without what is put around it",
    ),
    *[
        (
            request.RoutesInMemory([f"/{each}" for each in range(number)]),
            ROOT, "WARNING",
            "background tasks of these routes run in memory only; use postlude.starlette.Route for them: "
            + paths,
        )
        for number, paths in ((2, "/0, /1"), (11, "/0, /1, /2, /3, /4, /5, /6, /7, /8, /9 ..."))
    ],
    (
        request.HookFailed(ERROR),
        ROOT, "WARNING", "Routes that ask for postlude.fastapi.BackgroundTasks will fail: seven",
    ),
    (
        request.DependencyFailed("app:f", ERROR),
        JOBS, "WARNING", "app:f had failed, and then a dependency did: ValueError('seven')",
    ),
]  # fmt: skip

OF_SCHEDULES: Final[list[Line]] = [
    (
        schedules.TimesMissed("report", 3, 1_767_225_600_000_000, 1_767_225_720_000_000, 1),
        ROOT, "WARNING",
        "schedule report: due times that passed while no process was there: 3 (2026-01-01 00:00:00Z to "
        "2026-01-01 00:02:00Z); jobs that make up for them: 1",
    ),
    (
        schedules.SchedulesInForce("shop", 2),
        ROOT, "INFO", "schedules of shop in force, as this release declares them: 2",
    ),
    (
        schedules.SchedulesSuperseded("shop"),
        ROOT, "INFO",
        "schedules of shop: those of a newer release are in force, of which processes run; this one's "
        "are not",
    ),
]  # fmt: skip

OF_BROKERS: Final[list[Line]] = [
    (broker.JobsPublished("reports", 3), BROKER, "DEBUG", "published jobs of queue reports: 3"),
    (
        broker.BrokerLost("reports", "ConnectionRefusedError: no"),
        BROKER, "WARNING",
        "the broker of queue reports takes nothing now, jobs wait in the journal meanwhile: "
        "ConnectionRefusedError: no",
    ),
    (
        broker.BrokerReached("reports"),
        BROKER, "WARNING", "the broker of queue reports takes messages again",
    ),
    (
        broker.WorkerDeaf(["mail", "reports"], 10.4, False),
        BROKER, "ERROR",
        "the worker has been deaf for 10 s: the broker has messages for it (mail, reports), and none reaches "
        "it; they are published again, for others",
    ),
    (
        broker.WorkerDeaf(["mail"], 60.0, True),
        BROKER, "ERROR",
        "the worker has been deaf for 60 s: the broker has messages for it (mail), and none reaches it; it "
        "ends, to begin anew",
    ),
    (broker.WorkerHears(["mail"]), BROKER, "WARNING", "the worker hears its broker again (mail)"),
    (
        broker.EngineFailed(ERROR),
        BROKER, "ERROR", "this process of the worker ends: the application has not started in it",
    ),
]  # fmt: skip

DIED: Final = "died with signal 9 (SIGKILL)"
MEMORY: Final = "; perhaps the system had no memory left"

OF_WORKERS: Final[list[Line]] = [
    (worker.WorkerBegins("main:postlude", 1), WORKER, "INFO", "worker of main:postlude: starts 1 process"),
    (
        worker.WorkerQueuesUnknown(["mial"], ["default", "mail"]),
        WORKER, "WARNING",
        "no declared task has the queue mial, nor does the application describe it; there are: default, mail",
    ),
    (worker.WorkerProcessReady(7, 1.25), WORKER, "INFO", "process 7 runs jobs, after 1.2 s"),
    (
        worker.WorkerNotStarted("main:postlude", "ended itself with exit code 3"),
        WORKER, "ERROR",
        "the worker of main:postlude cannot be started: its process ended itself with exit code 3; what it "
        "said stands above",
    ),
    (
        worker.WorkerProcessGone(7, DIED, 90.4, 0.0),
        WORKER, "ERROR", f"process 7 {DIED}, after 90 s{MEMORY}; another is started now",
    ),
    (
        worker.WorkerProcessGone(7, "ended itself with exit code 1", 2.0, 0.5),
        WORKER, "ERROR",
        "process 7 ended itself with exit code 1, after 2 s; another is started in 0.5 s",
    ),
    (
        worker.WorkerProcessGone(0, "cannot be started: no", None, None),
        WORKER, "ERROR",
        "a process cannot be started: no, before it ran jobs; another is started when the code changes",
    ),
    (
        worker.WorkerProcessDue(7, 1000, 5 * 1024**2),
        WORKER, "INFO", "process 7 has run 1000 jobs and uses 5 MiB: it ends, and another takes its place",
    ),
    (worker.WorkerRenews(), WORKER, "INFO", "processes are started afresh, one after another"),
    (
        worker.WorkerRenews(["/a.py", "/b.py", "/c.py", "/d.py"]),
        WORKER, "INFO", "/a.py, /b.py, /c.py and 1 more have changed: the process is started afresh",
    ),
    (
        worker.WorkerNotRenewed(DIED),
        WORKER, "ERROR", f"a process with the new code {DIED}; those with the old one go on",
    ),
    (
        worker.WorkerStops("SIGTERM", 2, 10.0),
        WORKER, "INFO",
        "SIGTERM: the worker ends; 2 processes may take up to 10 s for running jobs, what is left then is "
        "released for others (again: at once)",
    ),
    (
        worker.WorkerProcessesKilled([7, 8], hurried=True),
        WORKER, "WARNING", "killed, as nobody would wait: 7, 8",
    ),
    (
        worker.WorkerProcessesKilled([7], hurried=False),
        WORKER, "ERROR", "killed, as they had not ended in time: 7",
    ),
    (worker.WorkerStopped(), WORKER, "INFO", "the worker has ended"),
]  # fmt: skip

ALL: Final = [*OF_JOBS, *OF_RUNNERS, *OF_JOURNALS, *OF_REQUESTS, *OF_WORKERS, *OF_SCHEDULES, *OF_BROKERS]
