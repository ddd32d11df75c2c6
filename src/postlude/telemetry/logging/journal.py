"""What the log says of a journal."""

import os
from typing import Final

from postlude.model.event import journal as event
from postlude.model.event.journal import Harm
from postlude.telemetry.log import Log
from postlude.telemetry.logging.lines import Lines, line, with_traceback
from postlude.telemetry.startup_log import announce

JOURNAL: Final = Log("postlude.journal")

ADVICE: Final = "stop the application before its journal's files are moved, replaced or removed"

_MENDED: Final = {
    Harm.INDEX_LOST: "the -shm file of the journal %s was removed while it was in use; it is made anew",
    Harm.WAL_LOST: "the WAL of the journal %s was removed in use; it is made anew",
    Harm.DATABASE_LOST: "the journal %s was removed in use; it was written anew",
    Harm.REPLACED: "the journal %s was removed while it was in use; another process has written it anew",
    Harm.DAMAGED: "the files of the journal %s were cut short or overwritten in use; it was written anew, "
    "and the damaged file is %s",
}

_RESTART: Final = "stop every process of the application"
_REMEDIES: Final = {
    Harm.DATABASE_LOST: f"put its files back; or {_RESTART}, put the saved copy, if there is one, at "
    f"{{path}}, and start it anew",
    Harm.REPLACED: f"put its files back; or {_RESTART}, put the saved copy at {{path}} if its jobs are "
    "wanted, and start it anew",
    Harm.UNFOLDED: "do not stop the application, which alone has what was accepted last: mend the disk, or "
    "make room on it",
    Harm.WAL_LOST: f"{_RESTART}, put the saved copy at {{path}} without the old -wal and -shm files, and "
    "start it anew",
    Harm.DAMAGED: f"{_RESTART}, put a backup at {{path}} without the old -wal and -shm files, and start it "
    "anew",
}

_UNSAVED: Final = {
    Harm.UNFOLDED: "it cannot be folded",
    Harm.DATABASE_LOST: "it cannot be written anew",
    Harm.DAMAGED: "what they held could not be saved",
}


def _mended(told: event.JournalMended) -> None:
    about = (told.path,) if told.aside is None else (told.path, told.aside)
    JOURNAL.error(f"{_MENDED[told.harm]}; nothing was lost; {ADVICE}", *about)


def _shut(told: event.JournalShut) -> None:
    remedy = _REMEDIES[told.harm].format(path=told.path)
    JOURNAL.critical("%s; %s", "; ".join(filter(None, (told.why, _saved(told)))), remedy)


def _saved(told: event.JournalShut) -> str:
    """Say what became of what it held."""
    error = "" if told.error is None else f" ({type(told.error).__name__}: {told.error})"
    if told.copy is not None:
        return f"what it held was saved to {told.copy}{error}"
    if told.error is None:
        return ""
    return f"{_UNSAVED.get(told.harm, 'what it held could not be saved')}{error}"


def _marks_removed(told: event.MarksRemoved) -> None:
    if told.error is None:
        JOURNAL.error("%s was removed in use; it is made anew; %s", told.path, ADVICE)
    else:
        JOURNAL.error("%s was removed in use, and cannot be made anew: %s", told.path, told.error)


def _shared(told: event.JournalShared) -> None:
    JOURNAL.warning(
        "the journal %s was used by another application (%s) so far, and is opened by %s: each runs the "
        "jobs whose tasks it knows by name; give each its own with store=, unless that is meant",
        told.path, ", ".join(told.known), told.application,
    )  # fmt: skip


def _copied(told: event.JournalCopied) -> None:
    JOURNAL.warning(
        "the journal %s is a copy, or a backup that was put back (made on %s): jobs that had not ended in it "
        "run, also those that have ended since; those that ran when it was made follow when the lease of the "
        "process that ran them is over, although the original, if it is still in use, runs them too",
        told.path, told.host or "an unknown host",
    )  # fmt: skip


def _repaired(told: event.JournalRepaired) -> None:
    for change in told.changes:
        JOURNAL.error("the journal %s: %s", told.path, _in_words(change))


def _in_words(change: event.DamagedRow | event.MendedNumber) -> str:
    match change:
        case event.DamagedRow("task_name", _, damage):
            return f"a task's {damage}; its jobs will be parked"
        case event.DamagedRow("runner", _, damage):
            return (
                f"of a process's row, {damage}; it is removed, and what that process held is given to others"
            )
        case event.DamagedRow("job", name, damage, parked):
            return f"the row of job {name} is damaged ({damage}){'; it is parked' if parked else ''}"
        case event.DamagedRow(table, name, damage):
            return f"of the {table} of {name}, {damage}; removed, until somebody says it again"
        case event.MendedNumber("", _, _):
            return "the next number of a job or a process was damaged; it is counted again"
        case event.MendedNumber(of, was, None):
            return f"the number of a {of} was {was}; its row is removed"
        case event.MendedNumber(of, was, now):
            return f"the number of a {of} was {was}; it is {now} now"


def _grew(told: event.WalGrew) -> None:
    JOURNAL.warning(
        "the WAL of the journal %s has grown to %d MB, because %s reads the journal all the time, in one "
        "transaction; it shrinks once that has ended",
        told.path, told.size // 1_000_000, " and ".join(map(_named, told.readers)) or "another program",
    )  # fmt: skip


def _named(reader: event.WalReader) -> str:
    if reader.pid == os.getpid():
        return "this very process"
    if reader.pid <= 0:
        return "a process that is not seen from here"
    return f"process {reader.pid}" + (f" ({reader.name})" if reader.name is not None else "")


def _pooled(told: event.ServerPooled) -> None:
    announce(
        f"a pooler stands before the server of the journal {told.location}: this process looks for jobs of "
        "others four times a second instead of listening, and it is taken for dead by its lease alone; a URL "
        "of the server itself is quicker at both"
    )


LINES: Final[Lines] = {
    event.WriterFailed: with_traceback(
        JOURNAL.error, "the journal's writer met an error of its own; it goes on"
    ),
    event.DisownFailed: with_traceback(
        JOURNAL.error, "jobs whose callers were told 503 could not be cancelled; they will run"
    ),
    event.JournalFailed: line(JOURNAL.error, "the journal %s failed: %s", "path", "error"),
    event.JournalReopened: line(JOURNAL.warning, "the journal %s is open again", "path"),
    event.CloseFailed: with_traceback(JOURNAL.error, "closing the journal's connection failed"),
    event.JournalShared: _shared,
    event.JournalCopied: _copied,
    event.JournalDoubtful: line(
        JOURNAL.warning,
        "the journal %s is on a file system (%s) that has damaged databases; put it on a disk of the system "
        "that the application runs on (in a container: a volume, no folder of the host)",
        "path",
        "kind",
    ),
    event.ServerPooled: _pooled,
    event.TransactionHeld: line(
        JOURNAL.warning,
        "journal %s: process %d of the server (application_name %r) has had a transaction open for %d s; as "
        "long as it has, PostgreSQL cannot clean up behind jobs, and claims get slower: let it commit, or "
        "end it with pg_terminate_backend",
        "location",
        "pid",
        "application",
        "seconds",
    ),
    event.JournalMended: _mended,
    event.JournalShut: _shut,
    event.JournalInPlace: line(JOURNAL.warning, "the journal %s is in its place again", "path"),
    event.JournalGone: line(
        JOURNAL.warning,
        "there was a journal at %s, and it is gone: a new one is made, without its jobs",
        "path",
    ),
    event.JournalMadeTwice: line(JOURNAL.debug, "another process made %s at the same time", "path"),
    event.JournalTightened: line(
        JOURNAL.warning, "the journal %s was readable by others; it is now mode 0600", "path"
    ),
    event.FolderTightened: line(
        JOURNAL.warning, "the folder %s was open to others; it is now mode 0700", "path"
    ),
    event.MarksRemoved: _marks_removed,
    event.JournalRepaired: _repaired,
    event.RepairFailed: line(
        JOURNAL.warning, "the journal %s could not be looked through: %s", "path", "error"
    ),
    event.WalGrew: _grew,
    event.WalFolded: line(JOURNAL.warning, "the WAL of the journal %s is folded again", "path"),
    event.FoldFailed: line(
        JOURNAL.warning, "the WAL of %s could not be folded, and grows: %s", "path", "error"
    ),
}
