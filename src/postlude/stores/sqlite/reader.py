"""Reading the journal without writing: for the store, and for the command line."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import apsw

from postlude.clock import Clock, SystemClock, boot_id
from postlude.errors import JournalUnavailable
from postlude.model.job import AttemptRecord, Hold, JobFilter, JobRecord, Progress
from postlude.model.outcome import LogLine
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Counts, Pause
from postlude.stores.sqlite.connection import open_reader
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.marks import LeftMarks, is_dead, look_at, marks_path
from postlude.stores.sqlite.rules import Bucket
from postlude.stores.sqlite.sql import SQL

T = TypeVar("T")


class JournalReader:
    """A read-only look at a journal that exists. One thread at a time.

    Args:
        path: the database.
        clock: says if a rate lets something start now; the machine's by default.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: it cannot be opened.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._path = path
        self._runners = JournalFiles(path).runners
        self._turns = threading.RLock()
        self._open = True
        self._db = self._connect()
        self._version: int | None = None

    def _connect(self) -> apsw.Connection:
        try:
            return open_reader(self._path)
        except apsw.Error as error:
            raise JournalUnavailable(f"cannot read the journal {self._path}: {error}") from error

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

    def beginning_with(self, digits: str) -> list[bytes]:
        """Return the ids of jobs that begin with these hexadecimal digits; two of them at most."""
        first, last = (bytes.fromhex(digits.ljust(32, end)) for end in "0f")
        return self._answer(lambda: [bytes(id) for (id,) in self._rows("ids_between", first, last)])

    def page(self, wanted: JobFilter) -> list[JobRecord]:
        """Return jobs, newest first, with arguments but without attempts."""
        return self._answer(lambda: self._page(wanted))

    def counts(self) -> list[Counts]:
        """Return how many jobs each task has in each state."""
        return self._answer(self._counts)

    def parked(self) -> list[tuple[str, str]]:
        """Return the distinct (task name, release) pairs of parked jobs."""
        return self._answer(self._parked)

    def holds(self, runner: int) -> list[Hold]:
        """Return the claims of a runner."""
        return self._answer(lambda: [Hold(*row) for row in self._rows("holds", runner)])

    def asked(self, runner: int) -> list[int]:
        """Return the jobs that a runner holds and that were asked to stop."""
        return self._answer(lambda: [seq for (seq,) in self._rows("asked", runner)])

    def paused(self) -> list[Pause]:
        """Return what is paused."""
        return self._answer(lambda: [Pause(*row) for row in self._rows("paused")])

    def living(self) -> list[str]:
        """Return the `release` of each runner that lives."""
        return self._answer(self._living)

    def changed(self) -> bool:
        """Say whether any other connection has written since the last call. Never waits."""
        if not self._turns.acquire(blocking=False):
            return True
        try:
            self._ensure_open()
            version: int = self._db.execute(SQL["data_version"]).get
        finally:
            self._turns.release()
        before, self._version = self._version, version
        return version != before

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _ensure_open(self) -> None:
        if not self._open:
            self._db, self._version = self._connect(), None
            self._open = True

    def _answer(self, look: Callable[[], T]) -> T:
        with self._turns:
            self._ensure_open()
            try:
                return look()
            except apsw.Error as error:
                raise JournalUnavailable(f"cannot read the journal: {error}") from error

    def _parked(self) -> list[tuple[str, str]]:
        found: Any = self._db.execute(SQL["parked"]).fetchall()
        return list(found)

    def _rows(self, name: str, *bindings: Any) -> Any:
        return self._db.execute(SQL[name], bindings).fetchall()

    def _get(self, id: bytes) -> JobRecord | None:
        where = "WHERE job.id = ?1 OR job.seq = (SELECT job FROM alias WHERE id = ?1)"
        row = self._db.execute(f"{SQL['record']} {where}", (id,)).fetchone()
        if row is None:
            return None
        attempts: Any = self._db.execute(SQL["attempts"], (row[1],)).fetchall()
        (record,) = self._explained([_record(row, _Runners(self._runners), attempts)])
        return replace(record, result=self._result(record.seq), logs=self._logs(record.seq))

    def _result(self, seq: int) -> bytes | None:
        found: Any = self._db.execute(SQL["result"], (seq,)).get
        return None if found is None else bytes(found)

    def _logs(self, seq: int) -> tuple[tuple[int, LogLine], ...]:
        return tuple(
            (attempt, LogLine(*line))
            for attempt, lines in self._rows("logs", seq)
            for line in json.loads(lines)
        )

    def _page(self, wanted: JobFilter) -> list[JobRecord]:
        conditions: list[str] = []
        bindings: list[Any] = []
        if wanted.states:
            states = [str(int(stored)) for stored in Stored if stored.public in wanted.states]
            conditions.append(f"job.state IN ({', '.join(states)})")
        for column, value in (
            ("task_name.name = ?", wanted.task),
            ("job.queue = ?", wanted.queue),
            ("job.seq < ?", wanted.before),
        ):
            if value is not None:
                conditions.append(column)
                bindings.append(value)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._db.execute(
            f"{SQL['record']} {where} ORDER BY job.seq DESC LIMIT ?", (*bindings, wanted.limit)
        )
        runners = _Runners(self._runners)
        return self._explained([_record(row, runners) for row in rows])

    def _explained(self, records: list[JobRecord]) -> list[JobRecord]:
        """Return jobs with the reason for which their queues keep those that are ready waiting."""
        ready = {record.queue for record in records if record.stored is Stored.READY}
        if not ready:
            return records
        paused = {what.name for what in self.paused() if what.kind == "queue"}
        why = {queue: Reason.PAUSED if queue in paused else self._bound_of(queue) for queue in ready}
        return [
            replace(record, reason=why[record.queue] or record.reason)
            if record.stored is Stored.READY
            else record
            for record in records
        ]

    def _bound_of(self, queue: str) -> Reason | None:
        """Return which of its bounds lets nothing of a queue start now."""
        bounds = self._db.execute(SQL["queue_bounds"], (queue,)).fetchone()
        if bounds is None:
            return None
        concurrent, every, burst, tat = bounds
        if concurrent is not None and self._db.execute(SQL["running_in_queue"], (queue,)).get >= concurrent:
            return Reason.LIMIT
        bucket = None if every is None else Bucket(("queue", queue), every, burst, tat, 0)
        return None if bucket is None or bucket.allowed(self._clock.now()) else Reason.RATE

    def _living(self) -> list[str]:
        boot, now = boot_id(), self._clock.boot()
        return [
            release
            for token, of_boot, until, release in self._rows("living")
            if of_boot == boot and now <= until and not is_dead(marks_path(self._runners, token))
        ]

    def _counts(self) -> list[Counts]:
        found: dict[tuple[str, State], int] = {}
        for task, stored, jobs in self._db.execute(SQL["counts"]):
            key = (task, Stored(stored).public)
            found[key] = found.get(key, 0) + jobs
        return [Counts(task, state, jobs) for (task, state), jobs in sorted(found.items())]


class _Runners:
    """What the runners' files of start marks tell of running jobs; the journal hears it at their end.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[object, tuple[bool, LeftMarks]] = {}

    def lives(self, token: object) -> bool:
        """Say whether the runner of a file is alive."""
        return self._look(token)[0]

    def start_of(self, seq: int, token: object, before: int | None) -> int | None:
        """Return when a job started that the runner of a file runs; None: it has not yet.

        Args:
            seq: the job.
            token: names the file.
            before: when the attempt had started whose end the journal knows.
        """
        marks = self._look(token)[1]
        if running := marks.starts(seq):
            return running[0]
        last = max((start for start in marks.starts(-seq) if start is not None), default=None)
        return None if last == before else last  # if it is another one, its end is about to be written

    def _look(self, token: object) -> tuple[bool, LeftMarks]:
        if token not in self._known:
            self._known[token] = look_at(marks_path(self._folder, token))
        return self._known[token]


def _record(row: tuple[Any, ...], runners: _Runners, attempts: Sequence[tuple[Any, ...]] = ()) -> JobRecord:
    (id, seq, task, queue, state, reason, priority, due, fence) = row[:9]
    (failures, deaths, created, started, finished, owner, payload, error) = row[9:17]
    key, opts, context, cancel_asked, token, *progress = row[17:]
    stored = Stored(state)
    if stored is Stored.RUNNING:
        started = runners.start_of(seq, token, started)
        reason = reason if runners.lives(token) else Reason.INTERRUPTED
    return JobRecord(
        id=id, seq=seq, task=task, queue=queue, stored=stored,
        reason=None if reason is None else Reason(reason), priority=priority, due=due, fence=fence,
        failures=failures, deaths=deaths, created=created, started=started, finished=finished,
        owner=owner, payload=bytes(payload or b""), error=error,
        attempts=tuple(AttemptRecord(*attempt) for attempt in attempts),
        key=key, opts=opts, context=context, cancel_asked=cancel_asked,
        progress=None if progress[3] is None else Progress(*progress[:4]), note=progress[4] or None,
    )  # fmt: skip
