"""Keys: a call whose key a waiting or running job of its task has meets that job."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from postlude.errors import KeyTaken
from postlude.messages.quoting import quoted
from postlude.model.job import NewJob
from postlude.model.state import QUEUED, Reason, Stored
from postlude.model.terms import Conflict
from postlude.stores.relational.columns import NewRow
from postlude.stores.relational.concurrency import ConcurrencyKey
from postlude.stores.relational.transaction import Transaction

Landing = Callable[[int | None, str | None, int], tuple[Stored, int | None, Reason | None]]
"""Says where a job that is to wait comes to lie, by its due time, concurrency key and task: state, due time,
reason."""


class Joined(NamedTuple):
    """The job that stands for a call: in the journal already, or a row of this group."""

    seq: int
    row: int | None


class Keys:
    """The keys of one group of adds.

    Args:
        tx: the group's transaction.
        rows: what the group is about to insert.
        landing: where a job that is to wait comes to lie.
        vacate: called when a row that was to be ready in a concurrency key is not any more.
    """

    def __init__(
        self,
        tx: Transaction,
        rows: list[NewRow],
        landing: Landing,
        vacate: Callable[[ConcurrencyKey], None],
    ) -> None:
        self._tx = tx
        self._rows = rows
        self._landing = landing
        self._vacate = vacate
        self.left: set[ConcurrencyKey] = set()
        """Lanes that a replaced job has left."""
        self._known: dict[tuple[int, str], tuple[int, int, str | None, int | None] | None] = {}
        self._new: dict[tuple[str, str], int] = {}
        self._aliases: list[tuple[NewJob, Joined]] = []

    def look_up(self, jobs: Sequence[NewJob]) -> None:
        """Find who has the keys of these jobs, with one statement."""
        tx = self._tx
        wanted = [(tx.task_id(job.task), job.terms.key) for job in jobs if job.terms.key is not None]
        if len(wanted) > 1:
            self._known = dict.fromkeys(wanted)
            for task, key, *found in tx.rows("keyed_all", to_json(wanted).decode()):
                self._known[task, key] = tuple(found)

    def note(self, job: NewJob, row: int) -> None:
        """A row of this group has this job's key."""
        if job.terms.key is not None:
            self._new[job.task, job.terms.key] = row

    def refusal(self, jobs: Sequence[NewJob]) -> KeyTaken | None:
        """Return why a call is refused, if one of its keys is taken and it says so."""
        own: set[tuple[str, str]] = set()
        for job in jobs:
            if job.terms.key is None:
                continue
            if job.terms.conflict is Conflict.RAISE and (
                (job.task, job.terms.key) in own
                or (job.task, job.terms.key) in self._new
                or self._found(job) is not None
            ):
                return KeyTaken(f"{job.task}: a job with the key {quoted(job.terms.key)} waits or runs")
            own.add((job.task, job.terms.key))
        return None

    def join(self, job: NewJob) -> Joined | None:
        """Let the job that has the key stand for this one; None if no job has it."""
        if job.terms.key is None:
            return None
        row, call = self._new.get((job.task, job.terms.key)), job
        if row is not None:
            joined = Joined(0, row)
            if job.terms.conflict is Conflict.REPLACE and self._rows[row].state in QUEUED:
                call = self._rows[row].job
                self._replace_row(self._rows[row], job)
        else:
            found = self._found(job)
            if found is None:
                return None
            seq, state, concurrency_key, started = found
            joined = Joined(seq, None)
            if job.terms.conflict is Conflict.REPLACE and Stored(state) in QUEUED:
                self._replace(seq, Stored(state), concurrency_key, job)
                if started is not None:
                    _forget_runs(self._tx, seq)
                return joined
        self._aliases.append((call, joined))
        return joined

    def write_aliases(self, seqs: Sequence[int]) -> None:
        """Let the ids of joined calls resolve to the jobs that stand for them; `seqs`: of the group."""
        self._tx.run_for(
            "add_aliases",
            [
                (call.id, seq if row is None else seqs[row], call.terms.owner)
                for call, (seq, row) in self._aliases
            ],
        )

    def _found(self, job: NewJob) -> Any:
        task, key = self._tx.task_id(job.task), job.terms.key
        if key is not None and (task, key) in self._known:
            return self._known[task, key]
        return self._tx.value("keyed", task, key)

    def _replace(self, seq: int, was: Stored, concurrency_key: str | None, job: NewJob) -> None:
        tx, task = self._tx, self._tx.task_id(job.task)
        if job.terms.key is not None:
            self._known.pop((task, job.terms.key), None)  # what was found of it is not true any more
        tx.run("keep_id", seq)
        row = NewRow(job, task, tx.now)
        row.state = Stored.SCHEDULED
        if concurrency_key is not None and was in (Stored.READY, Stored.PUBLISHED):
            # Out of its concurrency key first, so that it does not count against itself.
            tx.run("replace_job", *row.replacing(), seq)
            self.left.add((task, concurrency_key))
        row.state, row.due, row.reason = self._landing(job.terms.due, job.terms.concurrency_key, task)
        tx.run("replace_job", *row.replacing(), seq)
        tx.run("replace_payload", seq, job.payload)
        if row.state is Stored.READY and job.terms.concurrency_key is not None:
            # It is in the table already, and must not count twice.
            self._vacate((task, job.terms.concurrency_key))
        tx.said.changed = True
        tx.waits |= row.due is not None
        if row.state is not was:
            tx.count(task, was, row.state)

    def _replace_row(self, row: NewRow, job: NewJob) -> None:
        key = row.job.terms.concurrency_key
        if key is not None and row.state is Stored.READY:
            self._vacate((row.task, key))
        self._tx.count(row.task, row.state, None)
        row.job, row.follows = row.job.replaced_by(job), None
        row.state, row.due, row.reason = self._landing(job.terms.due, job.terms.concurrency_key, row.task)
        self._tx.count(row.task, None, row.state)


def _forget_runs(tx: Transaction, seq: int) -> None:
    """Forget what attempts have left that were made at what a job was before."""
    for statement in ("prune_attempts", "prune_progress", "prune_logs"):
        tx.run(statement, f"[{seq}]")
