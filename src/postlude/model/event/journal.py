"""What happens to a journal: to its files, its connection, its rows, and its writer."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from postlude.model.event import Event


@dataclass(frozen=True)
class OfJournal(Event):
    """Something that has happened to the journal at a path."""

    path: Path


# -- the writer --------------------------------------------------------------------------------


@dataclass(frozen=True)
class WriterFailed(Event):
    """The journal's writer has met an error of its own; it goes on."""

    error: BaseException


@dataclass(frozen=True)
class DisownFailed(Event):
    """Jobs whose callers were told 503 could not be cancelled; they will run."""

    error: Exception


# -- the connection ----------------------------------------------------------------------------


@dataclass(frozen=True)
class JournalFailed(OfJournal):
    """The disk, or SQLite, has failed; the journal is opened anew before the next write."""

    error: Exception


@dataclass(frozen=True)
class JournalReopened(OfJournal):
    """It is open again."""


@dataclass(frozen=True)
class CloseFailed(OfJournal):
    """Closing the connection after an error of the disk has failed."""

    error: Exception


@dataclass(frozen=True)
class JournalShared(OfJournal):
    """Another application (`application`) opens it than those that have used it so far (`known`)."""

    known: Sequence[str]
    application: str


@dataclass(frozen=True)
class JournalCopied(OfJournal):
    """It is a copy, or a backup that was put back. `host`: where it was made; None: unknown."""

    host: str | None


@dataclass(frozen=True)
class JournalDoubtful(OfJournal):
    """It is on a file system (`kind`) that has damaged databases."""

    kind: str


@dataclass(frozen=True)
class ServerPooled(Event):
    """A pooler (PgBouncer) stands before the journal's server: nothing can be left in a session.

    `location`: of the journal, without secrets.
    """

    location: str


@dataclass(frozen=True)
class TransactionHeld(Event):
    """Another transaction of its database has been open for so many `seconds`: claims get slower.

    `pid` and `application`: its session's, as `pg_stat_activity` has them.
    """

    location: str
    pid: int
    application: str
    seconds: int


# -- its files ---------------------------------------------------------------------------------


class Harm(Enum):
    """What was done to the files of a journal in use."""

    INDEX_LOST = auto()
    """The -shm file was removed, or replaced."""
    WAL_LOST = auto()
    """The WAL was."""
    UNFOLDED = auto()
    """The WAL was, and it cannot be folded into the database now: the process alone has it still."""
    DATABASE_LOST = auto()
    """The database was removed."""
    REPLACED = auto()
    """Another database was put in its place."""
    DAMAGED = auto()
    """They were cut short, or overwritten."""


@dataclass(frozen=True)
class JournalMended(OfJournal):
    """Its files were not in their places; they are again, and nothing was lost.

    Attributes:
        harm: what was done to them; `REPLACED`: by another of its processes, which had mended it.
        aside: where the damaged database has been put.
    """

    harm: Harm
    aside: Path | None = None


@dataclass(frozen=True)
class JournalShut(OfJournal):
    """Its files are not in their places and nothing sound can be done: it takes no job until they are.

    Attributes:
        harm: what was done to them.
        why: the same in a sentence, which callers are told.
        copy: where a copy of what it held was saved to.
        error: why that failed, or why it could not be put in its place.
    """

    harm: Harm
    why: str
    copy: Path | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class JournalInPlace(OfJournal):
    """The files of a journal that was shut are in their places again."""


@dataclass(frozen=True)
class JournalGone(OfJournal):
    """There was a journal, and it is gone: a new one is made, without its jobs."""


@dataclass(frozen=True)
class JournalMadeTwice(OfJournal):
    """Another process has made it at the same time."""


@dataclass(frozen=True)
class JournalTightened(OfJournal):
    """It was readable by others; they have no access any more."""


@dataclass(frozen=True)
class FolderTightened(OfJournal):
    """The folder beside it, `path`, was open to others; they have no access any more."""


@dataclass(frozen=True)
class MarksRemoved(OfJournal):
    """The file of a runner's start marks, `path`, was removed in use. `error`: why it cannot be made anew."""

    error: OSError | None = None


# -- its rows ----------------------------------------------------------------------------------


class DamagedRow(NamedTuple):
    """A row of the journal that could not be what it said, and was set aside.

    Attributes:
        table: of the journal.
        name: what it was about.
        damage: its damaged cells.
        parked: whether it is a job that is parked now.
    """

    table: str
    name: str
    damage: str
    parked: bool = False


class MendedNumber(NamedTuple):
    """A number that was the largest that there can be, and kept others from being given.

    Attributes:
        of: `job` or `process`; empty: of none, and the next number is counted again.
        was: the number.
        now: what it is now; None: its row is removed.
    """

    of: str = ""
    was: int = 0
    now: int | None = None


@dataclass(frozen=True)
class JournalRepaired(OfJournal):
    """Damaged rows were set aside."""

    changes: Sequence[DamagedRow | MendedNumber]


@dataclass(frozen=True)
class RepairFailed(OfJournal):
    """It could not be looked through for damaged rows."""

    error: Exception


# -- its WAL -----------------------------------------------------------------------------------


class WalReader(NamedTuple):
    """A process that reads the journal. `pid` not above 0: not seen from here; `name` None: unknown."""

    pid: int
    name: str | None


@dataclass(frozen=True)
class WalGrew(OfJournal):
    """Its WAL has grown to `size` bytes, because somebody reads all the time in one transaction.

    Attributes:
        size: of the WAL, in bytes.
        readers: who reads, as far as the kernel tells.
    """

    size: int
    readers: Sequence[WalReader]


@dataclass(frozen=True)
class WalFolded(OfJournal):
    """A WAL that had grown is folded into the database again."""


@dataclass(frozen=True)
class FoldFailed(OfJournal):
    """The WAL could not be folded, and grows."""

    error: Exception
