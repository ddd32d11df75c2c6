"""Reading a PostgreSQL journal without writing: for the store, and for whoever only looks."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import psycopg

from postlude.clock import Clock
from postlude.errors import JournalUnavailable
from postlude.model.bucket import Bucket
from postlude.model.counted import Counted, counted_of
from postlude.model.failure import FailureGroup
from postlude.model.history import Sum, sum_of
from postlude.model.job import Found, Hold, JobFilter, JobRecord
from postlude.model.queues import read_queues
from postlude.model.state import Reason, State, Stored
from postlude.stores.outgoing import OutState
from postlude.stores.postgres.connection import check, connect, is_pooled, reason
from postlude.stores.postgres.finding import conditions
from postlude.stores.postgres.marks import PostgresMarks
from postlude.stores.postgres.sql import statements
from postlude.stores.protocol import Asked, Counts, LivingRunner, Pause, QueueState, Totals
from postlude.stores.relational.contradictions import found
from postlude.stores.relational.overview import deaf_for, explained, queue_states
from postlude.stores.relational.records import record
from postlude.stores.relational.schedule_records import schedule_record, schedule_time
from postlude.stores.scheduling import ScheduleRecord, ScheduleTime
from postlude.stores.values import LAST_NUMBER, AuditLine, Contradiction, Tally, totals_of

T = TypeVar("T")


class Start:
    """When a job that runs has started, as far as it is known; see `records.Starts`.

    Args:
        at: when, as the journal has it (microseconds, UTC).
        lives: whether its runner does.
        marks: its runner's, if that is of this process.
    """

    def __init__(self, at: int | None, lives: bool, marks: PostgresMarks | None) -> None:
        self._at = at
        self._lives = lives
        self._marks = marks

    def lives(self, token: object) -> bool:
        """Say whether the runner of the job is alive."""
        return self._lives

    def start_of(self, seq: int, token: object, before: int | None) -> int | None:
        """Return when the job started."""
        return self._at if self._marks is None else self._marks.start_of(seq, before)


class PostgresReader:
    """A connection that only reads. One thread at a time.

    Args:
        url: where the journal is.
        schema: its schema.
        clock: for tests; else the server tells the time.
        marks: the start marks of this process's runners, which are ahead of the journal.
        token: names the sessions of this process.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: it cannot be reached.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        clock: Clock | None = None,
        marks: dict[int, PostgresMarks] | None = None,
        token: str = "",
    ) -> None:
        self._url = url
        self._token = token
        self._schema = schema
        self._clock = clock
        self._marks = marks if marks is not None else {}
        self._sql = statements(schema)
        self._turns = threading.RLock()
        self._db = self._connect()

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            db = connect(self._url, f"postlude-reader {self._token}")
        except psycopg.Error as error:
            raise JournalUnavailable(f"cannot read the journal: {reason(error)}") from None
        try:
            if not is_pooled(db):
                db.execute("SET default_transaction_read_only = on")
            check(db, self._schema)
        except BaseException:
            db.close()
            raise
        return db

    def get(self, id: bytes) -> JobRecord | None:
        """Return a job with its arguments and attempts."""
        return self._answer(lambda: self._get(id))

    def page(self, wanted: JobFilter) -> list[JobRecord]:
        """Return jobs, newest first, with arguments but without attempts."""
        return self._answer(lambda: self._page(wanted))

    def find(self, wanted: JobFilter) -> list[Found]:
        """Return which jobs are meant, newest first."""
        return self._answer(lambda: self._find(wanted))

    def counts(self) -> list[Counts]:
        """Return how many jobs each task has in each state."""
        return self._answer(self._counts)

    def totals(self) -> list[Totals]:
        """Return how many jobs each task has had."""
        return self._answer(
            lambda: totals_of(
                Tally(name, gone or Stored(state).name.lower(), jobs, queue)
                for name, state, gone, jobs, queue in self._rows("tallies")
            )
        )

    def history(self, since: int, until: int, minutes: int) -> list[Sum]:
        """Return what has happened, minute by minute."""
        return self._answer(
            lambda: [
                sum_of(minute, name, queue, outcome, cells)
                for minute, name, _, queue, outcome, *cells in self._rows("history", since, until, minutes)
            ]
        )

    def groups(self, since: int) -> list[FailureGroup]:
        """Return which failures are of one kind."""
        return self._answer(
            lambda: [FailureGroup(name, *rest) for name, _, *rest in self._rows("groups", since)]
        )

    def contradictions(self) -> list[Contradiction]:
        """Return what is stored and cannot be true."""
        return self._answer(lambda: list(found(self._rows)))

    def audit(self, before: int | None, limit: int) -> list[AuditLine]:
        """Return what people have done, newest first."""
        last = LAST_NUMBER if before is None else before
        return self._answer(lambda: [AuditLine(*row) for row in self._rows("audit", last, limit)])

    def counted(self) -> list[Counted]:
        """Return what processes have counted."""
        return self._answer(lambda: [counted_of(key, n) for key, n in self._rows("counted")])

    def size(self) -> int:
        """Return how much room its tables and indexes take."""
        return self._answer(lambda: int(self._rows("size", self._schema)[0][0]))

    def parked(self) -> list[tuple[str, str]]:
        """Return the distinct (task name, release) pairs of parked jobs."""
        return self._answer(lambda: [(name, release) for name, release in self._rows("parked")])

    def published(self) -> list[OutState]:
        """Return of each queue what of it is published."""
        return self._answer(lambda: [OutState(*row) for row in self._rows("published")])

    def ready_ids(self, queue: str, limit: int) -> list[bytes]:
        """Return the jobs of a queue that are ready."""
        return self._answer(lambda: [id for (id,) in self._rows("ready_ids", queue, limit)])

    def holds(self, runner: int) -> list[Hold]:
        """Return the claims of a runner."""
        return self._answer(lambda: [Hold(*row) for row in self._rows("holds", runner)])

    def asked(self, runner: int) -> Asked:
        """Return what is asked of a runner."""
        return self._answer(
            lambda: Asked(
                [seq for (seq,) in self._rows("asked", runner)], bool(self._rows("orphan", runner)[0][0])
            )
        )

    def paused(self) -> list[Pause]:
        """Return what is paused."""
        return self._answer(lambda: [Pause(*row) for row in self._rows("paused")])

    def queues(self) -> list[QueueState]:
        """Return each queue in which a job has not ended, or that is paused."""
        return self._answer(lambda: queue_states(self._rows("queues"), self.paused()))

    def schedules(self) -> list[ScheduleRecord]:
        """Return the schedules that are in force; none, where the journal is older than they are."""
        try:
            return self._answer(lambda: [schedule_record(row) for row in self._rows("schedules")])
        except psycopg.errors.UndefinedTable:
            return []

    def schedule_times(self, name: str, limit: int) -> list[ScheduleTime]:
        """Return the last due times of a schedule."""
        return self._answer(
            lambda: [schedule_time(*row) for row in self._rows("schedule_times", name, limit)]
        )

    def living(self) -> list[LivingRunner]:
        """Return the runners whose leases hold."""
        return self._answer(self._living)

    def ids_beginning(self, digits: str) -> list[bytes]:
        """Return the ids of jobs that begin so; two at most."""
        first, last = (bytes.fromhex(digits.ljust(32, end)) for end in "0f")
        return self._answer(lambda: [id for (id,) in self._rows("ids_beginning", first, last)])

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _answer(self, look: Callable[[], T]) -> T:
        with self._turns:
            try:
                if self._db.closed:
                    self._db = self._connect()
                return look()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._db.close()
                raise JournalUnavailable(f"cannot read the journal: {reason(error)}") from None

    def _rows(self, name: str, *bindings: Any) -> list[tuple[Any, ...]]:
        return self._fetch(self._sql[name], bindings)

    def _fetch(self, sql: str, bindings: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, bindings).fetchall()

    def _now(self) -> int:
        if self._clock is not None:
            return self._clock.now()
        ((now,),) = self._fetch("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", ())
        return int(now)

    def _get(self, id: bytes) -> JobRecord | None:
        where = f"WHERE job.id = $1 OR job.seq = (SELECT job FROM {self._schema}.alias WHERE id = $1)"
        for row in self._fetch(f"{self._sql['record']} {where}", (id,)):
            seq = row[0]
            attempts, logs = self._rows("attempts", seq), self._rows("logs", seq)
            result = next((value for (value,) in self._rows("result", seq)), None)
            found = self._record(row, attempts, logs, result)
            if found.id != id:  # a call that another's job stands for has an owner of its own
                owner = next((owner for (owner,) in self._rows("alias_owner", id)), None)
                found = replace(found, call_owner=owner)
            return explained([found], self.paused, self._bound_of, self._living)[0]
        return None

    def _record(
        self,
        row: tuple[Any, ...],
        attempts: Sequence[Any] = (),
        logs: Sequence[Any] = (),
        result: object = None,
    ) -> JobRecord:
        *cells, runner, at, until = row
        lives = until is not None and self._now() <= until
        return record(cells, Start(at, lives, self._marks.get(runner)), attempts, logs, result)

    def _page(self, wanted: JobFilter) -> list[JobRecord]:
        what, values = conditions(wanted, self._schema)
        rows = self._fetch(f"{self._sql['record']} {what}", values)
        return explained([self._record(row) for row in rows], self.paused, self._bound_of, self._living)

    def _find(self, wanted: JobFilter) -> list[Found]:
        what, values = conditions(wanted, self._schema)
        rows = self._fetch(f"{self._sql['found']} {what}", values)
        return [Found(seq, id, task, Stored(state).public) for seq, id, task, state in rows]

    def _bound_of(self, queue: str) -> Reason | None:
        """Return which of its bounds lets nothing of a queue start now."""
        for concurrent, every, burst, tat in self._rows("queue_bounds", queue):
            if concurrent is not None and self._rows("running_in_queue", queue)[0][0] >= concurrent:
                return Reason.LIMIT
            if every is not None:
                return None if Bucket(every, burst, tat).allowed(self._now()) else Reason.RATE
        return None

    def _living(self) -> list[LivingRunner]:
        now = self._now()
        rows = [row for row in self._rows("living") if now <= row[0]]
        return [
            LivingRunner._make((*told[:3], read_queues(told[3]), *told[4:-1], deaf_for(told[-1])))
            for _, *told in rows
        ]

    def _counts(self) -> list[Counts]:
        found: dict[tuple[str, State], int] = {}
        for name, state, jobs in self._rows("counts"):
            key = (name, Stored(state).public)
            found[key] = found.get(key, 0) + jobs
        return [Counts(task, state, jobs) for (task, state), jobs in sorted(found.items()) if jobs > 0]
