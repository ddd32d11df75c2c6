"""Keys: a call whose key a waiting or running job of its task has meets that job."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from postlude.errors import KeyTaken
from postlude.messages.quoting import quoted
from postlude.model.job import Conflict, NewJob
from postlude.model.state import QUEUED, Reason, Stored
from postlude.stores.sqlite.concurrency import ConcurrencyKey
from postlude.stores.sqlite.transaction import Transaction

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
        rows: what the group is about to insert, in the columns of `add_special_jobs`.
        payloads: beside it, the arguments.
        landing: where a job that is to wait comes to lie.
        vacate: called when a row that was to be ready in a concurrency key is not any more.
    """

    def __init__(
        self,
        tx: Transaction,
        rows: list[list[Any]],
        payloads: list[bytes],
        landing: Landing,
        vacate: Callable[[ConcurrencyKey], None],
    ) -> None:
        self._tx = tx
        self._rows = rows
        self._payloads = payloads
        self._landing = landing
        self._vacate = vacate
        self.left: set[ConcurrencyKey] = set()
        """Lanes that a replaced job has left."""
        self._known: dict[tuple[int, str], tuple[int, int, str | None, int | None] | None] = {}
        self._new: dict[tuple[str, str], int] = {}
        self._aliases: list[tuple[bytes, Joined]] = []

    def look_up(self, jobs: Sequence[NewJob]) -> None:
        """Find who has the keys of these jobs, with one statement."""
        tx = self._tx
        wanted = [(tx.task_id(job.task), job.key) for job in jobs if job.key is not None]
        if len(wanted) > 1:
            self._known = dict.fromkeys(wanted)
            for task, key, *found in tx.rows("keyed_all", to_json(wanted).decode()):
                self._known[task, key] = tuple(found)

    def note(self, job: NewJob, row: int) -> None:
        """A row of this group has this job's key."""
        if job.key is not None:
            self._new[job.task, job.key] = row

    def refusal(self, jobs: Sequence[NewJob]) -> KeyTaken | None:
        """Return why a call is refused, if one of its keys is taken and it says so."""
        own: set[tuple[str, str]] = set()
        for job in jobs:
            if job.key is None:
                continue
            if job.conflict is Conflict.RAISE and (
                (job.task, job.key) in own or (job.task, job.key) in self._new or self._found(job) is not None
            ):
                return KeyTaken(f"{job.task}: a job with the key {quoted(job.key)} waits or runs")
            own.add((job.task, job.key))
        return None

    def join(self, job: NewJob) -> Joined | None:
        """Let the job that has the key stand for this one; None if no job has it."""
        if job.key is None:
            return None
        row, id = self._new.get((job.task, job.key)), job.id
        if row is not None:
            joined = Joined(0, row)
            if job.conflict is Conflict.REPLACE and Stored(self._rows[row][3]) in QUEUED:
                id = self._rows[row][0]
                self._replace_row(row, job)
        else:
            found = self._found(job)
            if found is None:
                return None
            seq, state, concurrency_key, started = found
            joined = Joined(seq, None)
            if job.conflict is Conflict.REPLACE and Stored(state) in QUEUED:
                self._replace(seq, Stored(state), concurrency_key, job)
                if started is not None:
                    _forget_runs(self._tx, seq)
                return joined
        self._aliases.append((id, joined))
        return joined

    def write_aliases(self, first: int) -> None:
        """Let the ids of joined calls resolve to the jobs that stand for them."""
        self._tx.run_for(
            "add_aliases",
            [(id, seq if row is None else first + row) for id, (seq, row) in self._aliases],
        )

    def _found(self, job: NewJob) -> Any:
        task, key = self._tx.task_id(job.task), job.key
        if key is not None and (task, key) in self._known:
            return self._known[task, key]
        return self._tx.value("keyed", task, key)

    def _replace(self, seq: int, was: Stored, concurrency_key: str | None, job: NewJob) -> None:
        tx, task = self._tx, self._tx.task_id(job.task)
        if job.key is not None:
            self._known.pop((task, job.key), None)  # what was found of it is not true any more
        tx.run("keep_id", seq)
        if concurrency_key is not None and was is Stored.READY:
            # Out of its concurrency key first, so that it does not count against itself.
            tx.run(
                "replace_job", seq, int(Stored.SCHEDULED), job.priority, tx.now, None, concurrency_key, None,
                None, job.created, job.id, job.owner,
            )  # fmt: skip
            self.left.add((task, concurrency_key))
        state, due, reason = self._landing(job.due, job.concurrency_key, task)
        tx.run(
            "replace_job", seq, int(state), job.priority, due, reason, job.concurrency_key, job.opts,
            job.context, job.created, job.id, job.owner,
        )  # fmt: skip
        tx.run("replace_payload", seq, job.payload)
        if state is Stored.READY and job.concurrency_key is not None:
            self._vacate((task, job.concurrency_key))  # it is in the table already, and must not count twice
        if state is not was:
            tx.count(task, was, state)

    def _replace_row(self, row: int, job: NewJob) -> None:
        columns = self._rows[row]
        task = columns[1]
        if columns[16] is not None and columns[3] == Stored.READY:
            self._vacate((task, columns[16]))
        state, due, reason = self._landing(job.due, job.concurrency_key, task)
        self._tx.count(task, Stored(columns[3]), None)
        self._tx.count(task, None, state)
        columns[3:6] = [int(state), job.priority, due]
        columns[0], columns[8], columns[11] = job.id, job.created, job.owner
        columns[13:] = [None, reason, job.key, job.concurrency_key, job.opts, job.context]
        self._payloads[row] = job.payload


def _forget_runs(tx: Transaction, seq: int) -> None:
    """Forget what attempts have left that were made at what a job was before."""
    for statement in ("prune_attempts", "prune_progress", "prune_logs"):
        tx.run(statement, f"[{seq}]")
