"""Reading the journal without writing: for the store, and for the command line."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import apsw
from pydantic_core import from_json

from postlude.clock import Clock, SystemClock
from postlude.errors import JournalUnavailable
from postlude.model.bucket import Bucket
from postlude.model.counted import Counted, counted_of
from postlude.model.failure import FailureGroup
from postlude.model.history import Sum
from postlude.model.job import Found, Hold, JobFilter, JobRecord
from postlude.model.state import Reason, Stored
from postlude.stores.outgoing import OutState
from postlude.stores.protocol import Asked, Counts, LivingRunner, Pause, QueueState, Totals
from postlude.stores.relational.cells import Cells, as_bytes, from_bytes
from postlude.stores.relational.columns import NAMES
from postlude.stores.relational.contradictions import found
from postlude.stores.relational.overview import audit_line, explained, living_runners, queue_states
from postlude.stores.relational.records import record
from postlude.stores.relational.schedule_records import schedule_record, schedule_time
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime
from postlude.stores.sqlite import summed
from postlude.stores.sqlite.connection import VERSION, open_reader
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.finding import conditions
from postlude.stores.sqlite.locks.marks import is_dead, marks_path
from postlude.stores.sqlite.sql import SQL
from postlude.stores.sqlite.starts import Starts
from postlude.stores.sqlite.watcher import Outlook
from postlude.stores.values import LAST_NUMBER, AuditLine, Contradiction, totals_of

T = TypeVar("T")


class JournalReader:
    """A read-only look at a journal that exists. One thread at a time.

    A row of which something cannot be read is shown as far as it can, and says so in its `note`.

    Args:
        path: the database.
        clock: says if a rate lets something start now; the machine's by default.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: it cannot be opened.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.path = path
        self._runners = JournalFiles(path).runners
        self._turns = threading.RLock()
        self._open = True
        self._db = self._connect()

    def _connect(self) -> apsw.Connection:
        try:
            return open_reader(self.path)
        except apsw.Error as error:
            raise JournalUnavailable(f"cannot read the journal {self.path}: {error}") from error

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Have no connection for a while; others wait. From any thread."""
        with self._turns:
            self._db.close()
            self._open = False
            yield

    def get(self, id: bytes) -> JobRecord | None:
        """Return a job with its arguments and attempts."""
        return self._answer(lambda: self._get(id))

    def ids_beginning(self, digits: str) -> list[bytes]:
        """Return the ids of jobs that begin with these hexadecimal digits; two of them at most."""
        first, last = (bytes.fromhex(digits.ljust(32, end)) for end in "0f")
        return self._answer(lambda: [id for (id,) in self._rows("ids_between", first, last)])

    def page(self, wanted: JobFilter) -> list[JobRecord]:
        """Return jobs, newest first, with arguments but without attempts."""
        return self._answer(lambda: self._page(wanted))

    def find(self, wanted: JobFilter) -> list[Found]:
        """Return which jobs are meant, newest first."""
        return self._answer(lambda: self._find(wanted))

    def counts(self) -> list[Counts]:
        """Return how many jobs each task has in each state."""
        return self._answer(lambda: summed.counts(self._rows("counts")))

    def totals(self) -> list[Totals]:
        """Return how many jobs each task has had."""
        return self._answer(lambda: totals_of(summed.tallies(self._rows("tallies"))))

    def history(self, since: int, until: int, minutes: int) -> list[Sum]:
        """Return what has happened, minute by minute."""
        return self._answer(lambda: list(summed.history(self._rows("history", since, until, minutes))))

    def groups(self, since: int) -> list[FailureGroup]:
        """Return which failures are of one kind."""
        return self._answer(lambda: list(summed.groups(self._rows("groups", since))))

    def contradictions(self) -> list[Contradiction]:
        """Return what is stored and cannot be true."""
        return self._answer(lambda: [*summed.damage(self._rows("integrity")), *found(self._rows)])

    def audit(self, before: int | None, limit: int) -> list[AuditLine]:
        """Return what people have done, newest first."""
        last = LAST_NUMBER if before is None else before
        return self._answer(lambda: [audit_line(row) for row in self._rows("audit", last, limit)])

    def counted(self) -> list[Counted]:
        """Return what processes have counted."""
        text = Cells().text
        return [counted_of(text("key", key), n) for key, n in self._answer(lambda: self._rows("counted"))]

    def size(self) -> int:
        """Return how long the file is, and its WAL."""
        ((pages,),) = self._answer(lambda: self._rows("size"))
        wal = Path(f"{self.path}-wal")
        return int(pages) + (wal.stat().st_size if wal.exists() else 0)

    def parked(self) -> list[tuple[str, str]]:
        """Return the distinct (task name, release) pairs of parked jobs."""
        text = Cells().text
        rows = self._answer(lambda: self._rows("parked"))
        return [(text("task", name), text("release", release)) for name, release in rows]

    def published(self) -> list[OutState]:
        """Return of each queue what of it is published."""
        text = Cells().text
        rows = self._answer(lambda: self._rows("published"))
        return [OutState(text("queue", queue), *told) for queue, *told in rows]

    def ready_ids(self, queue: str, limit: int) -> list[bytes]:
        """Return the jobs of a queue that are ready."""
        return self._answer(lambda: [id for (id,) in self._rows("ready_ids", queue, limit)])

    def holds(self, runner: int) -> list[Hold]:
        """Return the claims of a runner."""
        return self._answer(lambda: [Hold(*row) for row in self._rows("holds", runner)])

    def asked(self, runner: int) -> Asked:
        """Return what is asked of a runner."""

        def look() -> Asked:
            ((orphan,),) = self._rows("orphan", runner)
            return Asked([seq for (seq,) in self._rows("asked", runner)], bool(orphan))

        return self._answer(look)

    def paused(self) -> list[Pause]:
        """Return what is paused."""
        text = Cells().text
        rows = self._answer(lambda: self._rows("paused"))
        return [Pause(text("kind", kind), text("name", name)) for kind, name in rows]

    def queues(self) -> list[QueueState]:
        """Return each queue in which a job has not ended, or that is paused."""
        return self._answer(lambda: queue_states(self._rows("queues"), self.paused()))

    def schedules(self) -> list[ScheduleRecord]:
        """Return the schedules that are in force."""
        return self._answer(lambda: [schedule_record(row) for row in self._rows("schedules")])

    def schedule_times(self, name: str, limit: int) -> list[ScheduleTime]:
        """Return the last due times of a schedule."""
        return self._answer(
            lambda: [schedule_time(*row) for row in self._rows("schedule_times", name, limit)]
        )

    def living(self) -> list[LivingRunner]:
        """Return the runners that live."""
        return self._answer(self._living)

    def outlook(self) -> Outlook:
        """Return what somebody has to act on."""
        return self._answer(lambda: Outlook(*from_json(self._db.execute(SQL["outlook"]).get)))

    def current(self) -> bool:
        """Say whether the journal has the form that this release writes."""
        return self._answer(lambda: self._rows("meta", "version") == [(VERSION,)])

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _ensure_open(self) -> None:
        if not self._open:
            self._db = self._connect()
            self._open = True

    def _answer(self, look: Callable[[], T]) -> T:
        with self._turns:
            self._ensure_open()
            try:
                return look()
            except apsw.Error as error:
                raise JournalUnavailable(f"cannot read the journal: {error}") from error

    def _rows(self, name: str, *bindings: Any) -> list[tuple[Any, ...]]:
        return self._fetch(SQL[name], bindings)

    def _fetch(self, sql: str, bindings: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, bindings).fetchall()
        except UnicodeDecodeError:
            from apsw.ext import query_info  # takes 30 ms, and hardly any process needs it

            columns = len(query_info(self._db, sql).description)
            return [from_bytes(row) for row in self._db.execute(as_bytes(sql, columns), bindings)]

    def _get(self, id: bytes) -> JobRecord | None:
        where = "WHERE job.id = ?1 OR job.seq = (SELECT job FROM alias WHERE id = ?1)"
        for row in self._fetch(f"{SQL['record']} {where}", (id,)):
            seq = row[NAMES.index("seq")]
            attempts, logs = self._rows("attempts", seq), self._rows("logs", seq)
            result = next((value for (value,) in self._rows("result", seq)), None)
            found = record(row, Starts(self._runners), attempts, logs, result)
            return explained(
                [found if found.id == id else self._called(found, id)],
                self.paused,
                self._bound_of,
                self._living,
            )[0]
        return None

    def _called(self, found: JobRecord, id: bytes) -> JobRecord:
        """Return a job as the call with this id, which is not its own, is told of it."""
        owner = next((owner for (owner,) in self._rows("alias_owner", id)), None)
        return replace(found, call_owner=Cells().maybe_text("owner", owner))

    def _page(self, wanted: JobFilter) -> list[JobRecord]:
        what, values = conditions(wanted, self._jobs_in)
        rows = self._fetch(f"{SQL['record']} {what}", values)
        starts = Starts(self._runners)
        return explained([record(row, starts) for row in rows], self.paused, self._bound_of, self._living)

    def _find(self, wanted: JobFilter) -> list[Found]:
        what, values = conditions(wanted, self._jobs_in)
        cells = Cells()
        return [
            Found(seq, cells.id("id", id), cells.text("task", task), cells.stored(state).public)
            for seq, id, task, state in self._fetch(f"{SQL['found']} {what}", values)
        ]

    def _jobs_in(self, state: Stored) -> int:
        ((jobs,),) = self._rows("jobs_in_state", int(state))
        return jobs if type(jobs) is int else 0

    def _bound_of(self, queue: str) -> Reason | None:
        """Return which of its bounds lets nothing of a queue start now."""
        for concurrent, every, burst, tat in self._rows("queue_bounds", queue):
            if type(concurrent) is int and self._rows("running_in_queue", queue)[0][0] >= concurrent:
                return Reason.LIMIT
            if all(type(number) is int and number > 0 for number in (every, burst)) and type(tat) is int:
                bucket = Bucket(every, burst, tat)
                return None if bucket.allowed(self._clock.now()) else Reason.RATE
        return None

    def _living(self) -> list[LivingRunner]:
        return [
            runner
            for token, runner in living_runners(self._rows("living"), self._clock.boot())
            if not is_dead(marks_path(self._runners, token))
        ]
