"""A journal used at random on a recorded disk; what it confirms goes into a ledger."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest import mock

import apsw

from postlude.clock import SECOND, ManualClock
from postlude.config import Keep
from postlude.model.job import Added, Cancel, Claimed, Hold, NewJob
from postlude.model.outcome import SUCCEEDED, Failed, Finish, LogLine, Outcome, Succeeded
from postlude.model.state import FINAL, Stored
from postlude.stores.protocol import NewRunner
from postlude.stores.reply import Reply
from postlude.stores.sqlite import SqliteStore, backend, premises
from postlude.stores.sqlite.connection import open_writer
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.locks import WriterLock
from tests.durability.ledger import Group, Jobs, Ledger, read
from tests.durability.ledger import Job as Entered
from tests.durability.platter import Recording

PATIENCE: Final = 20.0
LEASE: Final = 1e9
CHECKPOINT: Final = 60
"""Pages of WAL after which it is folded into the database: a few commits, not a thousand pages."""

Note = Callable[[Any, Jobs], None]
"""Enters an answer in the ledger."""

Call = Callable[[], tuple[Reply[Any], Note]]


@contextmanager
def tuned(synchronous: str) -> Iterator[None]:
    """Have journals opened with early checkpoints, and another `synchronous` than ours, which is `FULL`."""

    def open_tuned(path: Path) -> apsw.Connection:
        db = open_writer(path)
        if synchronous != "FULL":
            db.execute(f"PRAGMA synchronous = {synchronous}")
        return db

    with (
        mock.patch.object(premises, "open_writer", open_tuned),
        mock.patch.object(backend, "FOLD_FROM", CHECKPOINT),
    ):
        yield


class Life:
    """One process's use of a journal.

    Args:
        journal: the database.
        recording: of the folder that it is in.
        clock: moves on with each group.
        rng: decides what is done.
    """

    def __init__(self, journal: Path, recording: Recording, clock: ManualClock, rng: Random) -> None:
        self._journal = journal
        self._recording = recording
        self._clock = clock
        self._rng = rng
        self._runner = 0
        self._groups: list[Group] = []
        self._jobs: Jobs = {}

    def live(self, groups: int) -> Ledger:
        """Use the journal; close it now and then, and at the end."""
        self._open()
        content = read(self._journal)
        self._jobs = content.jobs
        self._groups.append(Group(0, 0, content))
        self._begin()
        for _ in range(groups):
            if self._rng.random() < 0.04:
                self._reopen()
            self._ask(*self._calls())
        self._close()
        return Ledger(self._groups)

    def _open(self) -> None:
        self._store = SqliteStore(self._journal, clock=self._clock)
        self._store.open()
        self._lock = WriterLock(JournalFiles(self._journal).writer_lock)

    def _close(self) -> None:
        self._lock.close()
        self._store.close()

    def _reopen(self) -> None:
        if self._rng.random() < 0.5:
            self._ask(lambda: (self._store.retire(self._runner, draining=True), _released))
        self._close()
        self._open()
        self._begin()

    def _begin(self) -> None:
        """Enlist, and bury the runner before."""

        def enlisted(answer: Any, jobs: Jobs) -> None:
            self._runner = answer.runner

        self._ask(
            lambda: (self._store.enlist(NewRunner("", LEASE)), enlisted),
            lambda: (self._store.reap(), _released),
        )

    def _ask(self, *calls: Call) -> None:
        """Have all of these written as one group, and enter it."""
        self._clock.advance(self._rng.uniform(0.5, 3.0))
        asked = self._recording.place
        self._lock.acquire()  # the writer can begin when all of them have been asked for, and not before
        try:
            replies = [call() for call in calls]
        finally:
            self._lock.release()
        jobs = dict(self._jobs)
        for reply, note in replies:
            note(reply.wait(PATIENCE), jobs)
        confirmed = self._recording.place
        content = read(self._journal)
        assert content.jobs == jobs, "the journal does not hold what it has confirmed, even without a fault"
        self._jobs = jobs
        self._groups.append(Group(asked, confirmed, content))

    # -- what a group asks for, in the order in which the writer applies it -----------------------

    def _calls(self) -> list[Call]:
        rng, store = self._rng, self._store
        held = self._some(Stored.RUNNING, rng.choice((0, 5, 30)))
        split = rng.randrange(len(held) + 1) if rng.random() < 0.2 else 0
        wanted: list[tuple[float, Call]] = [
            (1.0, lambda: self._finish(held[split:])),
            (1.0 if split else 0.0, lambda: self._release(held[:split])),
            (0.2, lambda: (store.renew(self._runner), _nothing)),
            (0.3, lambda: (store.promote(), self._promoted)),
            (0.2, lambda: self._cancel(self._some(rng.choice((Stored.SCHEDULED, Stored.READY)), 3))),
            (0.2, lambda: self._retry(self._some(rng.choice((Stored.FAILED, Stored.CANCELLED)), 3))),
            (0.8, lambda: (store.claim(self._runner, rng.choice((1, 5, 30)), suspect=False), _claimed)),
            *[(0.4, self._add)] * 3,
            (0.1, self._prune),
        ]
        return [call for chance, call in wanted if rng.random() < chance]

    def _some(self, state: Stored, most: int) -> list[bytes]:
        found = [id for id, job in self._jobs.items() if job.state == state]
        return self._rng.sample(found, min(most, len(found)))

    def _add(self) -> tuple[Reply[Any], Note]:
        rng, now = self._rng, self._clock.now()
        new = []
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8, 20))):
            size = rng.choice((100, 100, 100, 100, 1000, 9000))
            payload = json.dumps({"a": [rng.randbytes(8).hex()], "k": {"rest": "x" * size}}).encode()
            new.append(NewJob(rng.randbytes(16), rng.choice("tu"), rng.choice("pq"), payload, now))
        runner = self._runner if rng.random() < 0.5 else None

        def added(answers: list[Added], jobs: Jobs) -> None:
            for job, (seq, fence, _) in zip(new, answers, strict=True):
                state = Stored.RUNNING if fence else Stored.READY
                jobs[job.id] = Entered(seq, job.task, job.payload, state, fence)

        return self._store.add(new, claim_for=runner), added

    def _finish(self, ids: list[bytes]) -> tuple[Reply[Any], Note]:
        now, ends = self._clock.now(), {id: self._outcome() for id in ids}
        finishes = []
        for id, end in ends.items():
            job = self._jobs[id]
            logs = (LogLine(now, 20, "tests", "x" * 300),) if job.seq % 3 == 0 else ()
            finishes.append(Finish(job.seq, job.fence, job.task, now - 1, now, end, logs))

        def finished(answers: list[bool], jobs: Jobs) -> None:
            assert all(answers)
            for id, end in ends.items():
                if isinstance(end, Failed) and end.retry_at is not None:
                    jobs[id] = jobs[id]._replace(state=Stored.SCHEDULED, due=end.retry_at)
                else:
                    state = Stored.FAILED if isinstance(end, Failed) else Stored.SUCCEEDED
                    jobs[id] = jobs[id]._replace(state=state, finished=now)

        return self._store.finish(finishes), finished

    def _outcome(self) -> Outcome:
        retry_at = self._clock.now() + 5 * SECOND
        return self._rng.choice(
            (SUCCEEDED, SUCCEEDED, Succeeded(b"1" * 500), Failed("E", "T" * 400), Failed("E", "T", retry_at))
        )

    def _release(self, ids: list[bytes]) -> tuple[Reply[Any], Note]:
        holds = [Hold(self._jobs[id].seq, self._jobs[id].fence) for id in ids]

        def released(count: int, jobs: Jobs) -> None:
            assert count == len(ids)
            jobs.update({id: jobs[id]._replace(state=Stored.READY) for id in ids})

        return self._store.release(self._runner, holds), released

    def _promoted(self, _: Any, jobs: Jobs) -> None:
        for id, job in jobs.items():
            if job.state == Stored.SCHEDULED and job.due is not None and job.due <= self._clock.now():
                jobs[id] = job._replace(state=Stored.READY, due=None)

    def _cancel(self, ids: list[bytes]) -> tuple[Reply[Any], Note]:
        def cancelled(answers: list[Cancel], jobs: Jobs) -> None:
            assert set(answers) <= {Cancel.CANCELLED}
            for id in ids:
                jobs[id] = jobs[id]._replace(state=Stored.CANCELLED, finished=self._clock.now())

        return self._store.cancel(ids), cancelled

    def _retry(self, ids: list[bytes]) -> tuple[Reply[Any], Note]:
        def retried(answers: list[bool], jobs: Jobs) -> None:
            assert all(answers)
            jobs.update({id: jobs[id]._replace(state=Stored.READY, due=None, finished=None) for id in ids})

        return self._store.retry(ids), retried

    def _prune(self) -> tuple[Reply[Any], Note]:
        keep, now = Keep(success_seconds=0.0, failure_seconds=0.0), self._clock.now()

        def pruned(count: int, jobs: Jobs) -> None:
            old = [id for id, job in jobs.items() if job.state in FINAL and (job.finished or now) < now]
            assert count == len(old)
            for id in old:
                del jobs[id]

        return self._store.prune(keep), pruned


def _nothing(_: Any, jobs: Jobs) -> None:
    pass


def _released(_: Any, jobs: Jobs) -> None:
    """Enter that a runner is gone: nobody holds anything."""
    for id, job in jobs.items():
        if job.state == Stored.RUNNING:
            jobs[id] = job._replace(state=Stored.READY)


def _claimed(answer: Claimed, jobs: Jobs) -> None:
    for claim in answer.claims:
        assert claim.payload == jobs[claim.id].payload
        jobs[claim.id] = jobs[claim.id]._replace(state=Stored.RUNNING, fence=claim.fence, due=None)
